"""What a tick runs: a pipeline by `nbproof run`, a package as a job; both as somebody would who types it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineUnreachable
from ..jobs import place, standing, submitting
from ..jobs.job import Resources
from ..jobs.place import Place
from . import approval
from .definition import Schedule, filled
from .ledger import Entry

LOOK_S, GRACE_S = 0.5, 30.0
ASKED_WRONGLY, REFUSED = 2, 3

WhyEnd = Callable[[], str | None]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: its state, why, the id of the run or job; `is_final` where another try changes nothing."""

    state: str
    reason: str = ""
    run: str | None = None
    is_final: bool = False


def carry_out(
    project: Path, schedule: Schedule, entry: Entry, held: Mapping[str, str], *, note: Note, why_end: WhyEnd
) -> Ended:
    """Run what a schedule runs to its end. `note` is told the id of the run, `why_end` asked why it shall end early.

    Raises what the project's own rules raise: `NotApproved`, `PackageBroken`, `ApprovalInvalid`.
    """
    approval.require(project, schedule.work)
    parameters = [filled(text, held) for text in schedule.work.parameters]
    if schedule.work.kind == "package":
        return _package(project, schedule, entry, parameters, note, why_end)
    return run_pipeline(project, schedule.work.path, parameters, note=note, why_end=why_end)


def run_pipeline(
    project: Path,
    path: str,
    parameters: Sequence[str],
    *,
    note: Note = lambda _run: None,
    why_end: WhyEnd = lambda: None,
) -> Ended:
    """Run a pipeline or a notebook by `nbproof run`; its run ends when this process does."""
    command = [sys.executable, "-m", "nbproof", "run", path, "--wait", "--events"]
    for parameter in parameters:
        command += ["-p", parameter]
    # When this process ends nobody reads the events any more, and the run ends, too.
    process = subprocess.Popen(
        command, cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    run, outcome, reasons = None, None, list[str]()
    said: list[str] = []
    why: str | None = None
    ended_by = 0.0
    assert process.stdout is not None
    assert process.stderr is not None
    lines = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
    while lines:
        if why is None and (why := why_end()) is not None:
            process.send_signal(signal.SIGTERM)
            ended_by = time.monotonic() + GRACE_S
        if why is not None and time.monotonic() > ended_by:
            process.kill()
            ended_by = time.monotonic() + GRACE_S
        for descriptor in select.select(list(lines), [], [], LOOK_S)[0]:
            read = os.read(descriptor, 65536)
            if not read:
                del lines[descriptor]
                continue
            *whole, lines[descriptor] = (lines[descriptor] + read).split(b"\n")
            for line in whole:
                if descriptor == process.stderr.fileno():
                    said.append(line.decode("utf-8", "replace"))
                    _say(said[-1])
                    continue
                event = _event(line)
                if event.get("kind") == "RunStarted":
                    run = str(event["run_id"])
                    note(run)
                elif event.get("kind") == "RunFinished":
                    outcome = event["outcome"]
                elif event.get("kind") == "TaskFinished":
                    reasons += _told(event)
    code = process.wait()
    process.stdout.close()
    process.stderr.close()
    if why is not None:
        return Ended("failed", why, run)
    if code == 0 and outcome == "done":
        return Ended("done", "", run)
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    reason = "; ".join(reasons) or (errors or said or [f"it ended with exit code {code}"])[-1]
    return Ended("refused" if code == REFUSED else "failed", reason, run, is_final=code in (ASKED_WRONGLY, REFUSED))


def _event(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _told(event: Mapping[str, Any]) -> list[str]:
    first = str(event["reason"]).strip().split("\n", 1)[0]
    _say(f"{event['task']}: {event['outcome']} {first}".rstrip())
    return [f"{event['task']}: {first}"] if event["outcome"] == "failed" else []


def _package(
    project: Path, schedule: Schedule, entry: Entry, parameters: list[str], note: Note, why_end: WhyEnd
) -> Ended:
    made = _adopted(project, entry) or _submitted(project, schedule, entry, parameters)
    note(made.id)
    why: str | None = None
    while True:
        found = standing.of(made)
        if found.has_ended:
            break
        if found.note:
            _say(found.note)
        if why is None and (why := why_end()) is not None:
            with contextlib.suppress(EngineUnreachable):
                standing.cancel(made)
        time.sleep(LOOK_S)
    if found.state == "done":
        return Ended("done", "", made.id)
    reasons = [each.reason for each in found.elements if each.reason]
    reason = why or "; ".join(dict.fromkeys(reasons)) or f"the job {made.id} is {found.state}"
    return Ended("failed", reason, made.id)


def _adopted(project: Path, entry: Entry) -> Place | None:
    """The job of an attempt whose process is gone, where it goes on or has ended well: it is not submitted twice."""
    for made in place.all_of(project):
        if made.job().name == _job_name(entry) and standing.of(made).state in ("waiting", "running", "unknown", "done"):
            _say(f"the job {made.id} was submitted before; it is waited for")
            return made
    return None


def _submitted(project: Path, schedule: Schedule, entry: Entry, parameters: list[str]) -> Place:
    asked = submitting.Asked(
        parameters=dict(text.split("=", 1) for text in parameters),
        resources=Resources(**schedule.work.resources),
        name=_job_name(entry),
    )
    job, admitted = submitting.prepared(project / schedule.work.path, asked, project=project)
    work = schedule.work
    made = submitting.submit(job, admitted, work.target, project=project, options=work.options)
    _say(f"the job {made.id} is with {schedule.work.target}")
    return made


def _job_name(entry: Entry) -> str:
    """A name that no other tick's job has: the begin of the schedule's, and a number of the tick's own."""
    from hashlib import sha256

    return f"{entry.schedule[:18].rstrip('-')}-{sha256(f'{entry.schedule} {entry.tick}'.encode()).hexdigest()[:12]}"


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
