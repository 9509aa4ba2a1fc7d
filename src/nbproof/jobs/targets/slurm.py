"""Slurm: a job is a batch script, an array is an array; a node that is lost costs its elements once."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ...errors import EngineAbsent, EngineUnreachable, JobRefused, SettingsInvalid
from ..job import Job, Resources
from ..target import Seen, State, element_command

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
_UNREACHABLE = (
    "Unable to contact slurm controller", "Connection refused", "Socket timed out", "Unable to establish",
    "controller not responding", "Zero Bytes were transmitted",
)  # fmt: skip
_OF_COURSE = {"PENDING", "RUNNING", "COMPLETED", "CANCELLED"}
_WORD = re.compile(r"""[^\s'"\\#]+""")
_GONE = ("Invalid job id", "invalid job id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slurm:
    """The cluster that `sbatch` knows. Its options are those of `sbatch`, by the same names."""

    account: str | None = None
    constraint: str | None = None
    partition: str | None = None
    qos: str | None = None
    reservation: str | None = None

    def chosen(self) -> dict[str, str | None]:
        """Its options by their names. Raises `SettingsInvalid` for one that is no word."""
        return {field.name: _plain(field.name, getattr(self, field.name)) for field in fields(self)}

    def render(self, job: Job, place: str) -> Mapping[str, str]:
        """The batch script. Every element is `python -m nbproof.jobs`, in the environment that submits."""
        needs = job.resources
        options = {
            "job-name": job.name,
            "comment": _comment(Path(place).name),
            **self.chosen(),
            "chdir": place,
            "output": f"{place.replace('%', '%%')}/logs/{'%a' if job.is_array else '0'}.log",
            "open-mode": "append",
            "nodes": "1",
            "ntasks": "1",
            "cpus-per-task": str(needs.cpus),
            "mem": f"{needs.memory_mb}M" if needs.memory_mb else None,
            "gres": gres(needs),
            "time": time_limit(needs.time_s) if needs.time_s else None,
            "signal": f"B:USR1@{job.signal_s}" if job.signal_s else None,
            "array": _array(job),
            "dependency": f"afterok:{':'.join(job.after)}" if job.after else None,
            "kill-on-invalid-dep": "yes" if job.after else None,
        }
        lines = ["#!/bin/bash", *(f"#SBATCH --{name}={_quoted(value)}" for name, value in options.items() if value)]
        index = "${SLURM_ARRAY_TASK_ID}" if job.is_array else "0"
        command = shlex.join(element_command(sys.executable, place, "")[:-1])
        # Requeued when its node is lost; `exec`, so that signals reach it without a shell between.
        return {SCRIPT: "\n".join([*lines, "#SBATCH --requeue", "", f"exec {command} {index}", ""])}

    def submit(self, job: Job, place: Path) -> str:
        """Hand the script over with `sbatch`."""
        said = asked("sbatch", "--parsable", str(place / SCRIPT))
        return said.strip().partition(";")[0]

    def look(self, number: str, size: int) -> Sequence[Seen]:
        """Ask the controller, which remembers a job for as long as MinJobAge says, and then the accounting."""
        try:
            told = queue("--array", f"--jobs={number}", "--format=%i|%T|%r")
        except JobRefused as error:
            if not any(words in str(error) for words in _GONE):
                raise
            told = []
        return _elements(told, number, size) if told else _from_accounting(number, size)

    def recall(self, name: str) -> str | None:
        """Look through the queue for the comment that every job of ours carries."""
        for number, _, comment in (line.partition("|") for line in queue("--format=%F|%k")):
            if comment == _comment(name):
                return number
        return None

    def cancel(self, number: str) -> None:
        """Let Slurm end it: SIGTERM first, SIGKILL after KillWait."""
        asked("scancel", number)


def _comment(name: str) -> str:
    """By this a job of ours is found again in the queue."""
    return f"nbproof:{name}"


def _plain(name: str, value: str | None) -> str | None:
    """An option that is one word: a line break in it would be another directive."""
    if value is not None and _WORD.fullmatch(value) is None:
        raise SettingsInvalid(f"`{name}` of the target slurm", repr(value), "a name without spaces or quotes")
    return value


def _quoted(value: str) -> str:
    """A value as a directive takes it: in quotes where it holds a space."""
    return f'"{value}"' if any(each.isspace() for each in value) else value


def gres(needs: Resources) -> str | None:
    """The GPUs that are asked for, as Slurm spells them."""
    if not needs.gpus:
        return None
    return ":".join(["gpu", *([needs.gpu_kind] if needs.gpu_kind else []), str(needs.gpus)])


def _array(job: Job) -> str | None:
    if not job.is_array:
        return None
    return f"0-{len(job.elements) - 1}" + (f"%{job.at_once}" if job.at_once else "")


def time_limit(seconds: int) -> str:
    """Slurm's D-HH:MM:SS; a limit is never less than what was asked for."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, last = divmod(rest, 60)
    return f"{days}-{hours:02d}:{minutes:02d}:{last:02d}"


def asked(*command: str, written: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """What a program of Slurm answers, told `written` on its standard input.

    Raises `EngineUnreachable`, and `JobRefused` with the words of any other error.
    """
    told = {"stdin": subprocess.DEVNULL} if written is None else {"input": written}
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_S, check=False, env=environ, **told
        )
    except FileNotFoundError:
        raise EngineAbsent("slurm", f"found no `{command[0]}` on this machine", hint=_INSTALL) from None
    except subprocess.TimeoutExpired:
        raise EngineUnreachable("slurm", f"`{command[0]}` was not done after {ANSWER_S} s", hint="sinfo") from None
    if ended.returncode == 0:
        return ended.stdout
    words = " ".join((ended.stderr or ended.stdout).split())
    if any(each in words for each in _UNREACHABLE):
        raise EngineUnreachable("slurm", words, hint="sinfo; the job is kept: nbproof jobs list")
    raise JobRefused("slurm", words.removeprefix("sbatch: error: "))


def queue(*options: str) -> list[str]:
    """The lines of `squeue`, of jobs in any state."""
    return asked("squeue", "--noheader", "--states=all", *options).splitlines()


def _elements(lines: Sequence[str], number: str, size: int) -> Sequence[Seen]:
    """What lines such as `12_3|RUNNING|None` say of each element of the job 12."""
    found = [Seen("unknown")] * size
    for line in lines:
        name, state, reason = [*line.split("|", 2), "", ""][:3]
        match = re.fullmatch(rf"{re.escape(number)}(?:_(\d+))?", name.strip())
        index = int(match[1] or 0) if match is not None else size
        if index < size:
            found[index] = seen(state.split(), reason.strip())
    return found


def seen(words: Sequence[str], reason: str) -> Seen:
    """What a state such as `RUNNING by 0`, in words, and the reason beside it mean."""
    name = words[0] if words else ""
    if reason == "DependencyNeverSatisfied":
        return Seen("cancelled", "a job that it waits for has not ended well")
    told = "" if reason in ("None", "") else f"{name}: {reason}"
    return Seen(_STATES.get(name, "unknown"), told or ("" if name in _OF_COURSE else name))


def _from_accounting(number: str, size: int) -> Sequence[Seen]:
    """What the accounting knows, where the cluster keeps one."""
    try:
        told = asked("sacct", "--jobs", number, "--noheader", "--parsable2", "--format=JobID,State")
    except (EngineUnreachable, JobRefused):
        return [Seen("unknown", "the controller has forgotten the job")] * size
    return _elements([line for line in told.splitlines() if line], number, size)
