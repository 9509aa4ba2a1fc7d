"""The agent in a real kernel: it answers, tells and cancels while cells run, and leaves no name in the notebook."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from nbproof.explain.panel.door import TARGET

pytestmark = pytest.mark.slow

PATIENCE_S = 120
DOOR = '__import__("nbproof.explain.panel.door", fromlist=["door"]).open_door()'
MADE = """
import threading, time
import numpy as np, pandas as pd
from sklearn.linear_model import LinearRegression
draw = np.random.default_rng(0)
frame = pd.DataFrame(draw.normal(size=(300, 4)), columns=list("abcd"))
model = LinearRegression().fit(frame, frame["a"])
def slow(rows):
    print("asked")
    time.sleep(0.02)
    return np.asarray(rows)[:, 0]
"""


class Kernel:
    """A kernel, and a comm to the agent in it."""

    def __init__(self, client: Any) -> None:
        self.client, self.told = client, []
        self.printed: list[str] = []
        self._comm(msg_type="comm_open", target_name=TARGET, data={})

    def ask(self, identity: str, name: str, **given: Any) -> None:
        self._comm(data={"id": identity, "ask": name, "with": given})

    def hear(self, kind: str, identity: str) -> dict[str, Any]:
        """The next thing of this kind that is told of a request."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["msg_type"] == "stream" and message["parent_header"].get("msg_type") == "execute_request":
                self.printed.append(message["content"]["text"])
            if message["msg_type"] != "comm_msg":
                continue
            told = message["content"]["data"]
            self.told.append(told)
            if told["id"] == identity and told["is"] == kind:
                return dict(told.get("content", {}))
        raise AssertionError(f"{kind} of {identity} was never told; told: {self.told[-5:]}")

    def run(self, code: str, **options: Any) -> dict[str, Any]:
        """Run a cell and wait for its reply."""
        return self.reply(self.client.execute(code, **options))

    def reply(self, identity: str) -> dict[str, Any]:
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE_S)
            if message["parent_header"].get("msg_id") == identity:
                return dict(message["content"])

    def _comm(self, msg_type: str = "comm_msg", **content: Any) -> None:
        message = self.client.session.msg(msg_type, {"comm_id": "panel", **content})
        self.client.shell_channel.send(message)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        opened = client.execute("", silent=True, store_history=False, user_expressions={"door": DOOR})
        made = Kernel(client)
        assert made.reply(opened)["user_expressions"]["door"]["data"]["text/plain"] == "1"
        assert made.run(MADE)["status"] == "ok"
        yield made
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_run_is_watched_and_cancelled_while_cells_run(kernel: Kernel) -> None:
    """The main thread stays free: a cell ends meanwhile, without what the model prints, and a cancel is heard."""
    kernel.ask("long", "explain", model="slow", table="frame", rows=300)
    kernel.hear("progress", "long")

    cell = kernel.run("print('a cell')", user_expressions={"sum": "6 * 7"})
    progress = kernel.hear("progress", "long")
    kernel.ask("stop", "cancel", of="long")
    failure = kernel.hear("failure", "long")

    assert cell["user_expressions"]["sum"]["data"]["text/plain"] == "42"
    assert 0 < progress["total"] <= 300
    assert failure["error"] == "Cancelled"
    assert "asked" not in "".join(kernel.printed)


def test_a_request_waits_for_a_cell_and_is_then_answered(kernel: Kernel) -> None:
    """Where a kernel has no subshells, what is asked while a cell runs is taken up after it."""
    cell = kernel.client.execute("time.sleep(1)")
    kernel.ask("patient", "look")

    found = kernel.hear("end", "patient")

    assert kernel.reply(cell)["status"] == "ok"
    assert [each["name"] for each in found["models"]] == ["model", "slow"]


def test_nothing_is_left_in_the_namespace(kernel: Kernel) -> None:
    """Neither names nor history: the next cell has the next number, and `_` is what the user last saw."""
    names = kernel.run("6 * 7", user_expressions={"names": "sorted(globals())", "count": "len(In)"})
    kernel.ask("row", "explain", model="model", table="frame", row=0)
    kernel.hear("end", "row")
    opened = kernel.client.execute("", silent=True, store_history=False, user_expressions={"door": DOOR})
    kernel.reply(opened)

    after = kernel.run(
        "", store_history=False, user_expressions={"names": "sorted(globals())", "count": "len(In)", "last": "_"}
    )

    taken = names["user_expressions"]["names"]["data"]["text/plain"]
    left = set(eval(after["user_expressions"]["names"]["data"]["text/plain"])) - set(eval(taken))
    assert {name for name in left if not name.startswith("_")} == set()
    assert after["user_expressions"]["count"]["data"] == names["user_expressions"]["count"]["data"]
    assert after["user_expressions"]["last"]["data"]["text/plain"] == "42"


def test_an_interrupt_reaches_the_cell_and_not_the_explanation(kernel: Kernel) -> None:
    """The stop button is the cell's; an explanation is cancelled by its own."""
    kernel.ask("kept", "explain", model="model", table="frame", rows=300, is_brief=True)
    kernel.hear("end", "kept")

    assert kernel.run("1 / 0")["status"] == "error"
    kernel.ask("next", "slices", column="a")
    assert len(kernel.hear("end", "next")["slices"]) == 4
