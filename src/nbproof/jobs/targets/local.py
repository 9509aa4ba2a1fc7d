"""This machine: a process in the background runs the elements, as many at once as there are processors and GPUs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...errors import JobRefused
from ..job import Job
from ..place import Place
from ..standing import of as standing_of
from ..target import ENDED, Seen, element_command

SCRIPT = "runner.sh"
LOOK_AGAIN_S, GRACE_S = 0.5, 10.0


class Local:
    """The machine that submits."""

    def render(self, job: Job, place: str) -> Mapping[str, str]:
        """The line that starts the runner."""
        return {SCRIPT: f"#!/bin/sh\nexec '{sys.executable}' -m nbproof.jobs.targets.local '{place}'\n"}

    def submit(self, job: Job, place: Path) -> str:
        """Start the runner, which outlives this process; its process group is the number of the job."""
        from .. import slots

        needs = job.resources
        if needs.gpus > (there := slots.gpus()):
            raise JobRefused("local", f"it asks for {needs.gpus} GPUs, and this machine has {there}")
        if needs.cpus > (processors := os.cpu_count() or 1):
            raise JobRefused("local", f"it asks for {needs.cpus} processors, and this machine has {processors}")
        with (place / "runner.log").open("ab") as log:
            started = subprocess.run(
                ["/bin/sh", str(place / SCRIPT)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        if started.returncode != 0 or not started.stdout:
            raise JobRefused("local", f"its runner did not start; see {place / 'runner.log'}")
        return started.stdout.strip()

    def look(self, number: str, size: int) -> Sequence[Seen]:
        """An element runs, or waits, as long as the runner or anything that it started lives."""
        return [Seen("running" if _lives(number) else "lost")] * size

    def recall(self, name: str) -> str | None:
        """A runner is started, or it is not; nothing is ever unanswered."""
        return None

    def cancel(self, number: str) -> None:
        """End the runner and all that it has started."""
        if not _lives(number):
            return
        group = int(number.partition("@")[0])
        for each in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, each)
            end = time.monotonic() + GRACE_S
            while _lives(number) and time.monotonic() < end:
                time.sleep(0.05)


def main() -> None:
    """Leave a runner behind for the job whose folder is named, and say by which number it is known."""
    place = Place(Path(sys.argv[1]))
    ends, says = os.pipe()
    if os.fork():
        os.close(says)
        sys.stdout.write(os.read(ends, 100).decode())
        sys.stdout.flush()
        # Nothing is closed or written twice: all that this process began with belongs to the runner.
        os._exit(0)
    os.setsid()
    log = os.open(place.folder / "runner.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for standard in (1, 2):
        os.dup2(log, standard)
    os.write(says, f"{os.getpid()}@{_began(os.getpid())}".encode())
    os.close(says)
    run_all(place)


def run_all(place: Place) -> None:
    """Run the elements of a job, as many at once as there is room for."""
    job = place.job()
    if not _are_done(place, job.after):
        for index in range(len(job.elements)):
            place.refuse(index, f"one of {', '.join(job.after)} has not ended well")
        return
    processors = os.cpu_count() or 1
    at_once = min(job.at_once or processors, max(1, processors // job.resources.cpus), len(job.elements))
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda index: _run(place, job, index), range(len(job.elements))))


def _run(place: Place, job: Job, index: int) -> None:
    from .. import slots

    needs = job.resources
    with (
        slots.taken("cpu", needs.cpus, os.cpu_count() or 1),
        slots.taken("gpu", needs.gpus, slots.gpus() if needs.gpus else 0) as gpus,
        place.log(index).open("ab") as log,
    ):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if gpus else None
        command = element_command(sys.executable, str(place.folder), str(index))
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        _wait(process, needs.time_s, job.signal_s, began)
    started = place.started(index)
    if process.returncode != 0 and (started is None or started.state == "running"):
        is_late = needs.time_s is not None and time.monotonic() - began >= needs.time_s
        place.refuse(index, f"its time of {needs.time_s} s was over" if is_late else "its process was killed")


def _wait(process: subprocess.Popen[bytes], time_s: int | None, signal_s: int | None, began: float) -> None:
    """Wait until it ends; warn it before its time is over, and end it then."""
    if time_s is None:
        process.wait()
        return
    for until, number in ((time_s - (signal_s or 0), signal.SIGUSR1 if signal_s else None), (time_s, signal.SIGTERM)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, began + until - time.monotonic()))
            return
        if number is not None:
            process.send_signal(number)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _are_done(place: Place, after: Sequence[str]) -> bool:
    """Wait until the jobs that come first have ended; whether all have ended well."""
    while True:
        states = {element.state for id_ in after for element in standing_of(Place(place.folder.parent / id_)).elements}
        if states <= set(ENDED):
            return states <= {"done"}
        time.sleep(LOOK_AGAIN_S)


def _lives(number: str) -> bool:
    """Whether anything of a runner's process group runs: the runner itself, or what it has started.

    The number of a process is not given anew while its group lives; where the leader is there, it must be ours.
    """
    leader, _, began = number.partition("@")
    if _began(int(leader)) not in ("", began):
        return False
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            told = _told(int(folder.name))
            if told and told[2] == leader and told[0] != "Z":
                return True
    return False


def _began(pid: int) -> str:
    """When a process began, in ticks since the machine did: with its number, nobody else's name."""
    told = _told(pid)
    return told[19] if told else ""


def _told(pid: int) -> list[str]:
    """What the system says of a process, from its state on; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


if __name__ == "__main__":
    main()
