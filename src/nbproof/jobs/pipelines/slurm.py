"""Pipelines on Slurm: a job for each task, queued ahead with what it waits for."""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ...errors import JobRefused
from ...records import Resources
from ...run.remote.engine import Asked, Seen
from ..target import ENDED
from ..targets import slurm


@dataclass(frozen=True, slots=True)
class SlurmTasks:
    """The cluster that `sbatch` knows, as the engine of pipelines."""

    cluster: slurm.Slurm
    name: ClassVar[str] = "slurm"

    def check(self, wanted: Iterable[Resources]) -> None:
        """Ask whether the cluster could ever give so much, once for all that ask for the same."""
        for resources in wanted:
            if resources != Resources(time_s=resources.time_s):
                slurm.asked("sbatch", "--test-only", *self._chosen(), *given(resources), "--wrap=true")

    def submit(self, asked: Asked, environ: Mapping[str, str]) -> str:
        """Hand a script of one line over with `sbatch`; it and its job wait for nobody here."""
        script = f"#!/bin/bash\nexec {shlex.join(asked.command)}\n"
        said = slurm.asked("sbatch", "--parsable", *self._chosen(), *options(asked), written=script, environ=environ)
        return said.strip().partition(";")[0]

    def look(self) -> Mapping[str, Seen]:
        """The whole queue of this user in one call, with what has ended as long as MinJobAge says."""
        return queued(slurm.queue(f"--user={getpass.getuser()}", "--format=%i|%T|%r|%k"))

    def cancel(self, numbers: Iterable[str]) -> None:
        """Let Slurm end them: SIGTERM first, SIGKILL after KillWait."""
        try:
            slurm.asked("scancel", *numbers)
        except JobRefused:
            # Of a job that has just ended it says that there is no such job.
            return

    def _chosen(self) -> list[str]:
        return [f"--{name}={value}" for name, value in self.cluster.chosen().items() if value is not None]


def queued(lines: Iterable[str]) -> Mapping[str, Seen]:
    """What lines such as `12|RUNNING|None|MARK` say of jobs; one in a state that nobody knows has not ended."""
    found = {}
    for line in lines:
        number, state, reason, mark = line.split("|", 3)
        seen = slurm.seen(state.split(), reason.strip())
        kind: Literal["waiting", "running", "ended"] = "ended" if seen.state in ENDED else "waiting"
        found[number] = Seen("running" if seen.state == "running" else kind, mark, seen.reason or state)
    return found


def options(asked: Asked) -> list[str]:
    """What `sbatch` is told of one task."""
    after = [f"afterok:{':'.join(asked.after)}"] if asked.after else []
    return [
        f"--job-name={asked.name}",
        f"--comment={asked.mark}",
        f"--chdir={asked.folder}",
        f"--output={str(asked.log).replace('%', '%%')}",
        "--open-mode=append",
        # Another job of this name may still run, whoever submitted it.
        f"--dependency={','.join([*after, 'singleton'])}",
        "--kill-on-invalid-dep=yes",
        "--requeue",
        *given(asked.resources),
    ]


def given(resources: Resources) -> list[str]:
    """What a job is given; what nobody asked for is left to the cluster."""
    found = ["--nodes=1", "--ntasks=1", f"--cpus-per-task={resources.cpus}"]
    if resources.memory_mb is not None:
        found.append(f"--mem={resources.memory_mb}M")
    if resources.gpus:
        found.append(f"--gres={slurm.gres(resources)}")
    if resources.time_s is not None:
        found.append(f"--time={slurm.time_limit(resources.time_s)}")
    return found
