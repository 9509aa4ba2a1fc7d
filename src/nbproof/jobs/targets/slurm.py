"""Slurm: a job is a batch script, an array is an array; a node that is lost costs its elements once."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import EngineUnreachable, JobRefused
from ..job import Job
from ..target import Seen, State

SCRIPT = "job.sbatch"
ANSWER_S = 60
_INSTALL = "apt-get install slurm-client, and SLURM_CONF must name the cluster's slurm.conf"
_STATES: Mapping[str, State] = {
    "BOOT_FAIL": "lost", "CANCELLED": "cancelled", "COMPLETED": "done", "COMPLETING": "running",
    "CONFIGURING": "waiting", "DEADLINE": "lost", "FAILED": "failed", "NODE_FAIL": "lost", "OUT_OF_MEMORY": "failed",
    "PENDING": "waiting", "PREEMPTED": "waiting", "REQUEUED": "waiting", "REQUEUE_FED": "waiting",
    "REQUEUE_HOLD": "waiting", "RESIZING": "running", "RUNNING": "running", "SPECIAL_EXIT": "waiting",
    "STAGE_OUT": "running", "STOPPED": "running", "SUSPENDED": "running", "TIMEOUT": "failed",
}  # fmt: skip
_UNREACHABLE = ("Unable to contact slurm controller", "Connection refused", "Socket timed out", "Slurm backup controller",
                "Unable to establish", "controller not responding", "Zero Bytes were transmitted")  # fmt: skip
_GONE = ("Invalid job id", "invalid job id")


class Slurm:
    """The cluster that `sbatch` knows."""

    def render(self, job: Job, place: str) -> Mapping[str, str]:
        """The batch script. Every element is `python -m nbproof.jobs`, in the environment that submits."""
        needs = job.resources
        options = {
            "job-name": job.name,
            "comment": f"nbproof {Path(place).name}",
            "chdir": place,
            "output": f"{place}/logs/%a.log" if job.is_array else f"{place}/logs/0.log",
            "open-mode": "append",
            "nodes": "1",
            "ntasks": "1",
            "cpus-per-task": str(needs.cpus),
            "mem": f"{needs.memory_mb}M" if needs.memory_mb else None,
            "gres": _gres(job),
            "time": _time(needs.time_s) if needs.time_s else None,
            "signal": f"B:USR1@{job.signal_s}" if job.signal_s else None,
            "array": _array(job),
            "dependency": f"afterok:{':'.join(job.after)}" if job.after else None,
            "kill-on-invalid-dep": "yes" if job.after else None,
        }
        lines = ["#!/bin/bash", *(f"#SBATCH --{name}={value}" for name, value in options.items() if value is not None)]
        index = "${SLURM_ARRAY_TASK_ID}" if job.is_array else "0"
        command = shlex.join([sys.executable, "-m", "nbproof.jobs", place])
        # Requeued when its node is lost; `exec`, so that signals reach it without a shell between.
        return {SCRIPT: "\n".join([*lines, "#SBATCH --requeue", "", f"exec {command} {index}", ""])}

    def submit(self, job: Job, place: Path) -> str:
        """Hand the script over with `sbatch`."""
        said = _asked("sbatch", "--parsable", str(place / SCRIPT))
        return said.strip().partition(";")[0]

    def look(self, number: str, size: int) -> Sequence[Seen]:
        """Ask the controller, which remembers a job for as long as MinJobAge says, and then the accounting."""
        try:
            told = _asked("scontrol", "show", "job", number, "--json")
        except JobRefused as error:
            if not any(words in str(error) for words in _GONE):
                raise
            return _from_accounting(number, size)
        jobs = json.loads(told)["jobs"]
        if not jobs:
            return _from_accounting(number, size)
        found = [Seen("unknown")] * size
        for each in jobs:
            seen = _seen(each)
            for index in _indices(each, size):
                found[index] = seen
        return found

    def recall(self, name: str) -> str | None:
        """Look through the queue for the comment that every job of ours carries."""
        for each in json.loads(_asked("squeue", "--json"))["jobs"]:
            if each.get("comment") == f"nbproof {name}":
                return str(_number(each.get("array_job_id")) or each["job_id"])
        return None

    def cancel(self, number: str) -> None:
        """Let Slurm end it: SIGTERM first, SIGKILL after KillWait."""
        _asked("scancel", number)


def _gres(job: Job) -> str | None:
    needs = job.resources
    if not needs.gpus:
        return None
    return ":".join(["gpu", *([needs.gpu_kind] if needs.gpu_kind else []), str(needs.gpus)])


def _array(job: Job) -> str | None:
    if not job.is_array:
        return None
    return f"0-{len(job.elements) - 1}" + (f"%{job.at_once}" if job.at_once else "")


def _time(seconds: int) -> str:
    """Slurm's D-HH:MM:SS; a limit is never less than what was asked for."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, last = divmod(rest, 60)
    return f"{days}-{hours:02d}:{minutes:02d}:{last:02d}"


def _asked(*command: str) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except FileNotFoundError:
        raise EngineUnreachable("slurm", f"there is no `{command[0]}` on this machine", hint=_INSTALL) from None
    except subprocess.TimeoutExpired:
        raise EngineUnreachable("slurm", f"`{command[0]}` was not done after {ANSWER_S} s", hint="sinfo") from None
    if ended.returncode == 0:
        return ended.stdout
    words = " ".join((ended.stderr or ended.stdout).split())
    if any(each in words for each in _UNREACHABLE):
        raise EngineUnreachable("slurm", words, hint="sinfo; the job is kept: nbproof jobs list")
    raise JobRefused("slurm", words.removeprefix("sbatch: error: "))


def _seen(told: Mapping[str, object]) -> Seen:
    state = told.get("job_state")
    name = str(state[0] if isinstance(state, list) and state else state)
    reason = str(told.get("state_reason") or "")
    if name == "PENDING" and reason == "DependencyNeverSatisfied":
        return Seen("cancelled", reason)
    return Seen(_STATES.get(name, "unknown"), "" if reason in ("None", "") else f"{name}: {reason}")


def _indices(told: Mapping[str, object], size: int) -> Sequence[int]:
    """The elements that an entry of Slurm's speaks of; those that wait are told together."""
    task = _number(told.get("array_task_id"))
    waiting = str(told.get("array_task_string") or "").partition("%")[0].strip("[]")
    if waiting:
        found: list[int] = []
        for part in waiting.split(","):
            match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
            if match is not None:
                first = int(match[1])
                found += range(first, int(match[2] or first) + 1, int(match[3] or 1))
        return [index for index in found if index < size]
    if task is not None and _number(told.get("array_job_id")):
        return [task] if task < size else []
    return [0]


def _number(told: object) -> int | None:
    """A number, however this version of Slurm spells one."""
    if isinstance(told, Mapping):
        return int(told["number"]) if told.get("set") else None
    return int(told) if isinstance(told, int) else None


def _from_accounting(number: str, size: int) -> Sequence[Seen]:
    """What the accounting knows, where the cluster keeps one."""
    found = [Seen("unknown", "the controller has forgotten the job")] * size
    try:
        told = _asked("sacct", "--jobs", number, "--noheader", "--parsable2", "--format=JobID,State")
    except (EngineUnreachable, JobRefused):
        return found
    for line in told.splitlines():
        name, _, state = line.partition("|")
        match = re.fullmatch(rf"{re.escape(number)}(?:_(\d+))?", name)
        if match is not None and int(match[1] or 0) < size:
            words = state.split()
            found[int(match[1] or 0)] = Seen(_STATES.get(words[0], "unknown") if words else "unknown")
    return found
