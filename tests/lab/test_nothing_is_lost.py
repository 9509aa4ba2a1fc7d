"""Ten thousand executions under all that can befall pages, kernels and servers: each of them is recorded.

Every cell writes its name into a file of its own accord, so what ran is known without us.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket
from jupyter_client.blocking.client import BlockingKernelClient
from lab_kernels import channels, send, start, stop_kernel
from lab_server import USUAL, WARM, Lab, jupyter_lab, process_of, stop, wait_until
from other_environment import kernelspec, other_environment

from nbproof.track.capture import place
from nbproof.track.capture.session import LATE, NotebookSession, read_session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

OTHER = "other-environment"
MANY, SOME = 1500, 500


class Witness:
    """What the cells themselves say, and the sessions that were recorded."""

    def __init__(self, root: Path, file: Path) -> None:
        self.root, self.file, self.asked = root, file, 0
        file.touch()

    def cell(self) -> tuple[str, str]:
        """A name, and a cell that writes it down; some of them then fail."""
        name = f"cell-{self.asked}"
        self.asked += 1
        error = "\n1/0" if self.asked % 50 == 0 else ""
        return name, f"with open({str(self.file)!r}, 'a') as file: print({name!r}, file=file){error}"

    @property
    def ran(self) -> list[str]:
        return self.file.read_text().split()

    @property
    def sessions(self) -> list[NotebookSession]:
        found = [read_session(path) for path in place.sessions(self.root)]
        return [session for session in found if session is not None]

    def compare(self) -> tuple[int, int]:
        """How many cells ran, and how many of them the recording does not know; of none it may know too much."""
        executions = [execution for session in self.sessions for execution in session.executions]
        named = Counter(execution.cell_id for execution in executions if execution.cell_id is not None)
        late = sum(execution.error == LATE for execution in executions)
        ran = Counter(self.ran)
        assert max(ran.values()) == 1
        assert max(named.values()) == 1
        unnamed = len(set(ran) - set(named))
        return len(ran), unnamed - late


def ask(connection: websocket.WebSocket, witness: Witness, number: int) -> None:
    """Ask for cells, many at a time: nobody waits for the one before. An error stops none of them."""
    for _ in range(number):
        name, cell = witness.cell()
        send(connection, cell, stop_on_error=False, cellId=name)


def drive(lab: Lab, kernel_id: str, witness: Witness, number: int) -> None:
    """Run so many cells, and wait for the last."""
    expected = len(witness.ran) + number
    with channels(lab, kernel_id) as connection:
        ask(connection, witness, number)
        wait_until(lambda: len(witness.ran) == expected, "all cells ran", 240)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    (tmp_path / "root").mkdir()
    return Witness(tmp_path / "root", tmp_path / "ran.txt")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Lab]:
    if not (folder / "venv").exists():
        kernelspec(folder / "data/kernels" / OTHER, other_environment(folder / "venv"))
    with jupyter_lab(folder, panels=False, NBPROOF_TRACKING="false") as lab:
        yield lab


def test_ten_thousand_executions_and_none_is_lost(tmp_path: Path, witness: Witness) -> None:
    """Pages that go, kernels that are restarted and killed, servers that end, clients beside them: 0 are lost."""
    chance = random.Random(0)
    with serving(tmp_path) as lab:
        kernels = {spec: start(lab, spec, f"{spec}.ipynb") for spec in (USUAL, WARM, OTHER)}
        # One page after the other, on kernels of each kind.
        for kernel_id in kernels.values():
            drive(lab, kernel_id, witness, MANY)
        # Pages that go while their cells wait.
        for kernel_id in kernels.values():
            expected = len(witness.ran) + SOME
            with channels(lab, kernel_id) as connection:
                ask(connection, witness, SOME)
                wait_until(lambda before=expected - SOME: len(witness.ran) > before, "the first cell ran", 60)  # type: ignore[misc]
            wait_until(lambda expected=expected: len(witness.ran) == expected, "all cells ran", 120)  # type: ignore[misc]
        # Two pages at once, and a client beside them that knows nothing of the server.
        with channels(lab, kernels[USUAL]) as one, channels(lab, kernels[USUAL]) as two:
            expected = len(witness.ran) + 3 * SOME
            for _ in range(SOME // 10):
                ask(one, witness, 10)
                ask(two, witness, 10)
            client = beside(tmp_path, kernels[USUAL])
            for _ in range(SOME):
                client.execute(witness.cell()[1], stop_on_error=False)
            wait_until(lambda: len(witness.ran) == expected, "all cells ran", 240)
            client.stop_channels()
        nameless = SOME
        # Restarts, with a page that asks at once.
        for spec, kernel_id in kernels.items():
            for _ in range(5):
                lab.ask(f"kernels/{kernel_id}/restart", {})
                drive(lab, kernel_id, witness, SOME // 5)
            stop_kernel(lab, kernel_id)
            kernels[spec] = start(lab, spec, f"{spec}.ipynb")
        # Kernels killed at any moment.
        for kernel_id in kernels.values():
            for _ in range(2):
                before = len(witness.ran)
                with channels(lab, kernel_id) as connection:
                    ask(connection, witness, SOME)
                    wait_until(lambda before=before: len(witness.ran) > before, "the first cell ran", 60)  # type: ignore[misc]
                    time.sleep(chance.random() / 2)
                    process_of(kernel_id).kill()
                # What waited for the kernel that died may be asked of the next one.
                wait_until(lambda kernel_id=kernel_id: answers(lab, kernel_id, witness), "the next kernel answers", 120)  # type: ignore[misc]
        # The server itself, in the middle of everything.
        with channels(lab, kernels[WARM]) as connection:
            ask(connection, witness, SOME)
            os.kill(lab.process.pid, signal.SIGKILL)
        stop(lab)
    wait_until(lambda: not any(session.is_live for session in witness.sessions), "the kernels have ended", 60)
    with serving(tmp_path) as lab:
        kernel_id = start(lab, USUAL, f"{USUAL}.ipynb")
        while len(witness.ran) < 10_000:
            drive(lab, kernel_id, witness, SOME)

    ran, unknown = witness.compare()
    assert ran >= 10_000
    assert unknown == nameless
    executions = [execution for session in witness.sessions for execution in session.executions]
    assert sum(execution.cell_id is None and execution.error != LATE for execution in executions) == nameless
    assert [session.damaged for session in witness.sessions if session.damaged] == []


def beside(folder: Path, kernel_id: str) -> BlockingKernelClient:
    """A client of a kernel that goes past the server; its cells have no id."""
    client = BlockingKernelClient()
    client.load_connection_info(json.loads((folder / f"runtime/kernel-{kernel_id}.json").read_text()))
    client.start_channels()
    return client


def answers(lab: Lab, kernel_id: str, witness: Witness) -> bool:
    """Whether a kernel runs a cell; it may be on its way still, and the cell one that went down with the last."""
    name, cell = witness.cell()
    with contextlib.suppress(OSError, websocket.WebSocketException, AssertionError), channels(lab, kernel_id) as page:
        send(page, cell, cellId=name)
        wait_until(lambda: name in witness.ran, "the cell ran", 10)
    return name in witness.ran
