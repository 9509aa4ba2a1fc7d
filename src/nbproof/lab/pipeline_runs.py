"""Runs that a page started: child processes of the server, what they tell while they go on, and how they ended.

A run is a child on a leash: it tells its events through a pipe, and ends by itself, cleanly, when nobody reads there
any more. So it ends with the server, however the server ends, and no run goes on that no page shows.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from ..errors import AskedWrongly, Busy, NbproofError, Refused, UnknownName, WorkFailed
from .doors import Server, Tell

PART = "pipeline"
# `-P`: a file of the project must not be taken for a module of ours.
PROGRAM = (sys.executable, "-P", "-m", "nbproof")
# What is kept of a run's output for the pages; the logs of the run keep all of it.
KEPT_CHARACTERS, CHUNK_CHARACTERS, SENT_CHARACTERS = 1_000_000, 16_000, 200_000
KEPT_RUNS = 20
REASON_CHARACTERS = 500
# A request waits so long for a run to begin or to be refused, so that a refusal is its answer.
BEGIN_S = 10.0
STOP_S = 30.0
CELL_EVERY_S = 0.1
ERRORS: Mapping[int, type[NbproofError]] = {2: AskedWrongly, 3: Refused}
STATE_OF = {"done": "fresh", "fresh": "fresh", "failed": "failed", "blocked": "blocked", "stopped": "stopped"}
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")


class PipelineRun:
    """One run. Its methods may be called from any thread; what it knows is told to every page as it learns it."""

    def __init__(self, command: Sequence[str], *, file: Path, folder: Path, contents: str, tell: Tell) -> None:
        self.id, self.file, self.at = uuid.uuid4().hex, file, time.time()
        self._contents, self._tell = contents, tell
        self._lock = threading.Lock()
        self._tasks: dict[str, dict[str, Any]] = {}
        self._chunks: deque[tuple[int, dict[str, Any]]] = deque()
        self._size = self._next = 0
        self._standing: dict[str, str] = {}
        self._run_id, self._outcome = "", ""
        self._error: NbproofError | None = None
        self._is_stopping = False
        self._cell_told: dict[str, float] = {}
        self._has_begun, self._has_ended = threading.Event(), threading.Event()
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the run has ended)
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._said,
            # What is typed at the server's terminal is not meant for it.
            start_new_session=True,
        )
        threading.Thread(target=self._listen, name=f"nbproof run {self.id}", daemon=True).start()

    @property
    def is_running(self) -> bool:
        return not self._has_ended.is_set()

    def wait_for_begin(self, timeout_s: float) -> None:
        """Wait until its first event; raises what it was refused with when it ended before."""
        self._has_begun.wait(timeout_s)
        with self._lock:
            if not self._run_id and self._error is not None:
                raise self._error

    def stop(self) -> None:
        """Ask it to end; kernels are stopped by the run itself. One that does not is killed after a while."""
        with self._lock:
            if not self.is_running or self._is_stopping:
                return
            self._is_stopping = True
        self._process.send_signal(signal.SIGTERM)
        killing = threading.Timer(STOP_S, self._kill)
        killing.daemon = True
        killing.start()
        self._told("stopping")

    def seen(self) -> dict[str, Any]:
        """What there is to know of it now."""
        with self._lock:
            return {
                "id": self.id,
                "run_id": self._run_id,
                "at": self.at,
                "is_running": self.is_running,
                "is_stopping": self._is_stopping and self.is_running,
                "outcome": self._outcome,
                "error": self._error and {"message": str(self._error), "hint": self._error.hint},
                "tasks": {name: dict(task) for name, task in self._tasks.items()},
            }

    def output(self, after: int) -> dict[str, Any]:
        """What its cells have said since the chunk `after`, at most so much that it is soon shown.

        `lost` says that something in between is no longer kept here.
        """
        with self._lock:
            first = self._chunks[0][0] if self._chunks else self._next
            found: list[dict[str, Any]] = []
            size, upto = 0, max(after, first)
            for number, chunk in self._chunks:
                if number >= after and size < SENT_CHARACTERS:
                    found.append(chunk)
                    size += len(chunk["text"])
                    upto = number + 1
            return {
                "chunks": found,
                "next": upto,
                "lost": after < first,
                "has_more": upto < self._next,
                "standing": dict(self._standing),
                "is_running": self.is_running,
            }

    # Listening

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._hear(json.loads(line))
        self._end(self._process.wait())

    def _hear(self, event: Mapping[str, Any]) -> None:
        # One that is lost costs nothing that the end of the run and the next look at the pipeline do not mend.
        hear: Callable[[Mapping[str, Any]], None] = {
            "RunStarted": self._begin,
            "TaskStarted": self._start,
            "CellStarted": self._step,
            "CellOutput": self._keep,
            "TaskFinished": self._finish,
            "RunFinished": self._close,
        }[event["kind"]]
        hear(event)

    def _begin(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            self._run_id = str(event["run_id"])
            self._tasks = {str(name): {"state": "queued"} for name in event["tasks"]}
        self._has_begun.set()
        self._told("begun")

    def _start(self, event: Mapping[str, Any]) -> None:
        self._note(
            event["task"], state="running", reason=shortened(event["reason"]), attempt=event["attempt"], at=event["at"]
        )

    def _step(self, event: Mapping[str, Any]) -> None:
        task, now = str(event["task"]), time.monotonic()
        steps = {"cell": int(event["cell"]), "cells": int(event["cells"])}
        with self._lock:
            self._tasks.setdefault(task, {}).update(steps)
            # Of cells that take no time one is told a moment later, whichever it is by then.
            wait = self._cell_told.get(task, -CELL_EVERY_S) + CELL_EVERY_S - now
            if wait > CELL_EVERY_S:
                return
            self._cell_told[task] = now + max(0.0, wait)
        if wait <= 0:
            self._told("task", task=task)
        else:
            later = threading.Timer(wait, self._told, ("task",), {"task": task})
            later.daemon = True
            later.start()

    def _finish(self, event: Mapping[str, Any]) -> None:
        self._note(
            event["task"],
            state=STATE_OF[event["outcome"]],
            outcome=event["outcome"],
            reason=shortened(event["reason"]),
            elapsed_s=event["elapsed_s"],
            at=event["at"],
        )

    def _close(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            self._outcome = str(event["outcome"])

    def _note(self, task: Any, **facts: Any) -> None:
        with self._lock:
            self._tasks.setdefault(str(task), {}).update(facts)
        self._told("task", task=str(task))

    def _keep(self, event: Mapping[str, Any]) -> None:
        task, text = str(event["task"]), plain_text(str(event["text"]))
        with self._lock:
            self._standing[task] = plain_text(str(event["line"]))[:REASON_CHARACTERS]
            for start in range(0, len(text), CHUNK_CHARACTERS):
                part = text[start : start + CHUNK_CHARACTERS]
                chunk = {"task": task, "cell": int(event["cell"]), "stream": str(event["stream"]), "text": part}
                self._chunks.append((self._next, chunk))
                self._next += 1
                self._size += len(part)
            while self._size > KEPT_CHARACTERS:
                _, dropped = self._chunks.popleft()
                self._size -= len(dropped["text"])

    def _end(self, status: int) -> None:
        with self._lock:
            error = None if status == 0 else self._why(status)
            for task in self._tasks.values():
                if task["state"] in ("queued", "running"):
                    task["state"] = "stopped"
            # Whoever did not say that all went well, and left with zero, is not taken at a word.
            self._outcome = ended(self._outcome, status, has_been_stopped=self._is_stopping)
            self._error = error if self._outcome == "failed" else None
            self._standing = {}
            self._has_ended.set()
        self._said.close()
        self._has_begun.set()
        self._told("ended")

    def _why(self, status: int) -> NbproofError:
        self._said.seek(0, 2)
        self._said.seek(max(0, self._said.tell() - CHUNK_CHARACTERS))
        return error_of(status, self._said.read().decode(errors="replace"))

    def _kill(self) -> None:
        if self.is_running:
            # Its kernels are ended by the next run of the pipeline, if they do not end on their own.
            self._process.kill()

    def _told(self, kind: str, *, task: str | None = None) -> None:
        facts: dict[str, Any] = {"kind": kind, "path": self._contents, "run": self.id}
        with self._lock:
            if task is not None:
                facts |= {"task": task, "now": dict(self._tasks[task])}
        # A server that is closing has no pages to tell.
        with contextlib.suppress(RuntimeError):
            self._tell(PART, facts)


class PipelineRuns:
    """The runs of one server, one at a time for each pipeline; of those that ended the last ones are kept."""

    def __init__(self, server: Server) -> None:
        self._server, self._lock = server, threading.Lock()
        self._runs: dict[str, PipelineRun] = {}

    def start(self, file: Path, options: Iterable[str], *, folder: Path, contents: str) -> PipelineRun:
        """Start `nbproof run` for a pipeline; raises `Busy` when a run of it goes on, or what it was refused with."""
        with self._lock:
            if (last := self.of(file)) is not None and last.is_running:
                raise Busy(file.parent.name, "a run that was started here")
            command = (*PROGRAM, "run", "--events", *options, "--", str(file))
            run = PipelineRun(command, file=file, folder=folder, contents=contents, tell=self._server.tell)
            self._runs[run.id] = run
            for old in [run for run in self._runs.values() if not run.is_running][:-KEPT_RUNS]:
                del self._runs[old.id]
        run.wait_for_begin(BEGIN_S)
        return run

    def of(self, file: Path) -> PipelineRun | None:
        """The last run of the pipeline in `file`."""
        return next((run for run in reversed(self._runs.values()) if run.file == file), None)

    def named(self, run_id: str) -> PipelineRun:
        """The run of that name; raises `UnknownName`."""
        if run_id not in self._runs:
            raise UnknownName("run", run_id[:80], (), hint="reload the page: the server was started again")
        return self._runs[run_id]


@cache
def runs_of(server: Server) -> PipelineRuns:
    """The runs of a server."""
    return PipelineRuns(server)


def ask(arguments: Sequence[str], *, folder: Path, timeout_s: float) -> Any:
    """What a command says with --json, asked in a process of its own; raises what it was refused with."""
    try:
        ran = subprocess.run(
            (*PROGRAM, *arguments),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WorkFailed(
            f"`nbproof {arguments[0]}` found no end within {timeout_s:g} s; expected an answer",
            hint=f"nbproof {arguments[0]}",
        ) from None
    if ran.returncode:
        raise error_of(ran.returncode, ran.stderr.decode(errors="replace"))
    return json.loads(ran.stdout)


def error_of(status: int, said: str) -> NbproofError:
    """The error that a command left with: its line `error:`, and what its line `hint:` says to do.

    >>> error_of(3, "start a\\nerror: `a` is being built; expected no other build\\nhint: wait for it")
    Refused('`a` is being built; expected no other build')
    """
    kind = ERRORS.get(status, WorkFailed)
    lines = said.strip().splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    if not errors:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        last = f"; its last words: {lines[-1][:REASON_CHARACTERS]}" if lines else ""
        return kind(f"nbproof ended with {how}{last}", hint="nbproof doctor")
    # A message of several lines is one message; what follows it is the hint.
    told, _, hint = "\n".join(lines[errors[-1] :]).removeprefix("error: ").partition("\nhint: ")
    return kind(told, hint=hint or None)


def ended(outcome: str, status: int, *, has_been_stopped: bool) -> str:
    """How a run ended, by what it said itself and by how its process left.

    One that was stopped when all was done, and only its record was still on its way, is done.

    >>> ended("done", 0, has_been_stopped=False), ended("done", 1, has_been_stopped=False)
    ('done', 'failed')
    >>> ended("done", -15, has_been_stopped=True)
    'done'
    >>> ended("", -15, has_been_stopped=True), ended("", 0, has_been_stopped=False)
    ('stopped', 'failed')
    """
    if outcome in ("failed", "stopped"):
        return outcome
    if outcome == "done":
        return "done" if status == 0 or has_been_stopped else "failed"
    return "stopped" if has_been_stopped else "failed"


def plain_text(text: str) -> str:
    """Text without what would colour it or move a cursor.

    >>> plain_text("\\x1b[31mred\\x1b[0m\\n")
    'red\\n'
    """
    return _ESCAPES.sub("", text)


def shortened(text: object) -> str:
    """A reason, no longer than a page shows."""
    return plain_text(str(text))[:REASON_CHARACTERS]
