"""Real kernels that are recorded as the server records them, without the server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from nbproof.track.capture import boot, place
from nbproof.track.capture.place import Level, Place
from nbproof.track.capture.session import NotebookSession, read_session

ANSWER_S = 120


class RecordedKernel:
    """A kernel, its client, and the session that it writes."""

    def __init__(self, project: Path, kernel_name: str, environment: dict[str, str] | None) -> None:
        options = {} if environment is None else {"env": environment}
        self.manager, self.client = start_new_kernel(ANSWER_S, kernel_name, **options)
        self.place: Place = place.new_place(project, "0a1b-2c3d", 1, time.time())

    def inject(self, level: Level = "metadata", *, is_new: bool = True) -> boot.KernelAnswer:
        given = boot.Given(self.place, "a.ipynb", level, "0a1b-2c3d", 1, is_new=is_new)
        message = self.client.session.msg("execute_request", boot.request(given))
        self.client.shell_channel.send(message)
        while True:
            reply = self.client.get_shell_msg(timeout=ANSWER_S)
            if reply["parent_header"]["msg_id"] == message["header"]["msg_id"]:
                return boot.answer(reply["content"])

    def run(self, cell: str, *, store_history: bool = True, silent: bool = False, **metadata: Any) -> str:
        """Run a cell; return what it printed on either stream, or its error."""
        content = {
            "code": cell, "silent": silent, "store_history": store_history, "allow_stdin": False,
            "stop_on_error": True, "user_expressions": {},
        }  # fmt: skip
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        said = ""
        while True:
            answer = self.client.get_iopub_msg(timeout=ANSWER_S)
            if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            found = answer["content"]
            said += found.get("text", "") if answer["msg_type"] == "stream" else found.get("ename", "")
            if answer["msg_type"] == "status" and found["execution_state"] == "idle":
                return said

    @property
    def session(self) -> NotebookSession:
        found = read_session(self.place.lines)
        assert found is not None
        return found

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.place.lines.read_text().splitlines()]

    def stop(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RecordedKernel]]:
    """Start kernels; they end with the test."""
    started: list[RecordedKernel] = []

    def start(
        kernel_name: str = "python3", environment: dict[str, str] | None = None, project: Path | None = None
    ) -> RecordedKernel:
        folder = project or tmp_path / "crédit risk"
        folder.mkdir(exist_ok=True)
        started.append(RecordedKernel(folder, kernel_name, environment))
        return started[-1]

    yield start
    for kernel in started:
        kernel.stop()


@pytest.fixture
def kernel(start: Callable[..., RecordedKernel]) -> RecordedKernel:
    """A kernel that is recorded."""
    made = start()
    made.inject()
    return made
