"""The courier: a process beside the run that carries its journal to the tracker, so that the run need not wait."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from ..errors import TrackerUnavailable
from ..settings import Settings, load
from .capture.place import sessions
from .delivery import (
    DeliveryReport,
    count_waiting,
    count_waiting_of_sessions,
    deliver,
    deliver_sessions_to,
    deliver_to,
    has_news_of_sessions,
    has_work,
    is_over,
    why_not,
)
from .journal import is_live, path_of
from .store import file_of, store_uri
from .tracker import Tracker

if TYPE_CHECKING:
    import psutil

POLL_S = 0.5
LONGEST_PAUSE_S = 30.0
STOP_WAIT_S = 5.0
# Sessions that go on are told this often, and at most a tenth of the time is spent on it.
SESSIONS_POLL_S = 5.0
SESSIONS_SHARE = 10
# Without news for so long, the process ends; whoever has news starts another.
SESSIONS_IDLE_S = 120.0
# Kernels that lose their server end within seconds.
ORPHANS_END_S = 15.0
READY = "ready"


class Courier:
    """A courier process for one run, started and ended by its runner.

    `with Courier(project, settings, run_id) as courier:` run the tasks, then `courier.wait(settings.delivery_wait_s)`.
    Leaving the block ends the process. When nothing can be delivered (tracking is off, mlflow is not installed) no
    process is started; the report says why, and the journal stays the spool.
    """

    def __init__(self, project: Path, settings: Settings, run_id: str) -> None:
        self._project, self._settings, self._journal = project, settings, path_of(project, run_id)
        self._run_id = run_id
        self._reason = why_not(settings)
        self._process: subprocess.Popen[str] | None = None
        self._is_ready = threading.Event()
        self._report: DeliveryReport | None = None

    def __enter__(self) -> Courier:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process; it follows this one and ends with it."""
        if self._reason is not None:
            return
        self._process = _spawn(self._project, self._settings, "--follow", str(os.getpid()), "--run", self._run_id)
        self._listener = threading.Thread(target=self._listen, name="courier", daemon=True)
        self._listener.start()

    def ready(self, timeout_s: float) -> bool:
        """Wait until a store in a file exists, so that a notebook does not make it at the same time.

        MLflow makes the tables of such a store without a lock. True at once when there is nothing to wait for; False
        when the time was not enough.
        """
        file = file_of(store_uri(self._project, self._settings))
        if self._process is None or file is None or file.exists():
            return True
        return self._is_ready.wait(timeout_s)

    def wait(self, timeout_s: float) -> DeliveryReport:
        """Wait, once the run is over, until everything is delivered or `timeout_s` has passed."""
        if self._process is None:
            return DeliveryReport(0, count_waiting(self._project), self._reason)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=timeout_s)
            self._listener.join(timeout=STOP_WAIT_S)
        if self._report is not None:
            return self._report
        if self._process.poll() is None:
            reason = f"the tracker did not take everything within {timeout_s:g} s"
        else:
            reason = _how_it_ended(self._process, self._project)
        return DeliveryReport(0, count_waiting(self._project), reason)

    def stop(self) -> None:
        """End the process; what it has not delivered waits in the journal."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._listener.join(timeout=STOP_WAIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):
            for line in self._process.stdout:
                if line.strip() == READY:
                    self._is_ready.set()
                elif line.startswith("{"):
                    self._report = DeliveryReport.from_json(line)
        # Nobody waits for a courier that has ended.
        self._is_ready.set()


class SessionCourier:
    """A courier process for the sessions of one project; it ends with the process `pid`, or when nothing is new."""

    def __init__(self, project: Path, settings: Settings, *, pid: int, stays: bool = False) -> None:
        """With `stays` the process does not end for lack of news while `pid` lives: nobody would wake it again."""
        self._project, self._settings, self._pid = project, settings, pid
        self._more = ("--stay",) if stays else ()
        self._process: subprocess.Popen[str] | None = None
        self._report: DeliveryReport | None = None

    @property
    def reason(self) -> str | None:
        """Why the last round did not deliver everything, or why nothing can be delivered at all."""
        said = self._report.reason if self._report is not None else None
        return why_not(self._settings) or said

    def wake(self) -> None:
        """See to it that a process looks after the sessions; called whenever there is news."""
        if why_not(self._settings) is not None:
            return
        if self._process is not None and self._process.poll() is None:
            return
        self._let_go()
        self._process = _spawn(self._project, self._settings, "--sessions", "--follow", str(self._pid), *self._more)
        threading.Thread(target=self._listen, args=(self._process,), name="session courier", daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError, OSError):
            for line in process.stdout:
                if line.startswith("{"):
                    self._report = DeliveryReport.from_json(line)

    def _let_go(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()


def sync(project: Path, settings: Settings) -> DeliveryReport:
    """Deliver now what waits. A process of its own does it, so that MLflow leaves no trace in this one."""
    reason = why_not(settings)
    if reason is not None:
        return DeliveryReport(0, count_waiting(project) + count_waiting_of_sessions(project), reason)
    if not has_work(project):
        return DeliveryReport(0, 0)
    process = _spawn(project, settings)
    output, _ = process.communicate()
    for line in output.splitlines():
        if line.startswith("{"):
            return DeliveryReport.from_json(line)
    return DeliveryReport(0, count_waiting(project), _how_it_ended(process, project))


def _how_it_ended(process: subprocess.Popen[str], project: Path) -> str:
    return f"the courier ended with status {process.returncode}; see {_log_file(project)}"


def _spawn(project: Path, settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "NBPROOF_TRACKING_URI": store_uri(project, settings),
        "NBPROOF_EXPERIMENT": settings.experiment,
        "NBPROOF_TRACKING": str(settings.tracking).lower(),
    }
    return subprocess.Popen(
        # -P: a file of the project called mlflow.py is not mlflow.
        [sys.executable, "-P", "-m", "nbproof.track.courier", str(project), *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C is for the runner, which then tells its courier.
        start_new_session=True,
    )


class _Round:
    """What a courier does again and again: reach the tracker, then deliver what is new."""

    def __init__(self, project: Path, settings: Settings, journal: Path) -> None:
        self._project, self._settings, self._journal = project, settings, journal
        self._tracker: Tracker | None = None
        self._has_caught_up = False
        self.delivered = 0

    def go(self) -> str | None:
        """Deliver what waits; return why not all of it was taken, if so."""
        # MLflow's side is for this process, and not for the run that starts it.
        from .mlflow_tracker import open_tracker

        try:
            if self._tracker is None:
                self._tracker = open_tracker(self._project, self._settings)
        except TrackerUnavailable as error:
            return error.reason
        # Older runs first, once; from then on only our own run has anything new.
        only = self._journal if self._has_caught_up else None
        if only is not None and not only.exists():
            return None
        report = deliver_to(self._tracker, self._project, only=only)
        self.delivered += report.delivered
        self._has_caught_up = self._has_caught_up or report.reason is None
        return report.reason


def follow(
    project: Path, settings: Settings, runner: psutil.Process | None, run_id: str, answers: TextIO
) -> DeliveryReport:
    """Deliver the journal of `run_id` while its `runner` lives and writes it; older runs come first.

    After the first round, when the store has been made if it can be, `answers` gets the line `ready`.
    Once the run is over, or its runner is gone, one more round decides: what the tracker does not take then waits.
    """
    journal = path_of(project, run_id)
    this = _Round(project, settings, journal)
    pause_s, has_told = POLL_S, False
    while True:
        # Asked before the round: what was written until then is delivered in this very round.
        is_last = is_over(journal) or not _is_alive(runner)
        size = _size(journal)
        reason = this.go()
        if not has_told:
            # Whoever waited for it is gone when the pipe is broken; what they wrote is delivered all the same.
            with contextlib.suppress(BrokenPipeError):
                answers.write(f"{READY}\n")
            has_told = True
        if is_last:
            return DeliveryReport(this.delivered, count_waiting(project), reason)
        pause_s = POLL_S if reason is None else min(2 * pause_s, LONGEST_PAUSE_S)
        _rest(journal, size, pause_s if reason else None, runner)


def follow_sessions(
    project: Path, settings: Settings, server: psutil.Process | None, answers: TextIO, *, stays: bool = False
) -> DeliveryReport:
    """Deliver the sessions of `project` while `server`, or the kernel that asked for it, lives and there is news.

    After each round with news `answers` gets its report. When the server is gone, its kernels are given a moment to
    end, so that their last word is delivered, too.
    """
    from .mlflow_tracker import open_tracker

    tracker: Tracker | None = None
    delivered, reason, failures, quiet_since = 0, None, 0, time.monotonic()
    orphaned_at: float | None = None
    while True:
        if orphaned_at is None and not _is_alive(server):
            orphaned_at = time.monotonic()
        is_last = orphaned_at is not None and (
            not _any_lives(project) or time.monotonic() > orphaned_at + ORPHANS_END_S
        )
        began = time.monotonic()
        if has_news_of_sessions(project):
            try:
                tracker = tracker or open_tracker(project, settings)
                report = deliver_sessions_to(tracker, project)
                delivered, reason = delivered + report.delivered, report.reason
            except TrackerUnavailable as error:
                reason = error.reason
            failures = failures + 1 if reason else 0
            quiet_since = time.monotonic()
            with contextlib.suppress(BrokenPipeError):
                answers.write(f"{DeliveryReport(delivered, count_waiting_of_sessions(project), reason).to_json()}\n")
        if is_last or (not stays and time.monotonic() > quiet_since + SESSIONS_IDLE_S):
            return DeliveryReport(delivered, count_waiting_of_sessions(project), reason)
        pause_s = max(SESSIONS_POLL_S, SESSIONS_SHARE * (time.monotonic() - began))
        _rest_of_sessions(server, min(pause_s * 2 ** min(failures, 3), LONGEST_PAUSE_S))


def _rest_of_sessions(server: psutil.Process | None, pause_s: float) -> None:
    """Sleep for `pause_s`; what a server leaves behind is looked at sooner."""
    until = time.monotonic() + pause_s
    while time.monotonic() < until and _is_alive(server):
        time.sleep(POLL_S)
    time.sleep(POLL_S)


def _any_lives(project: Path) -> bool:
    return any(is_live(path) for path in sessions(project))


def _rest(journal: Path, size: int, at_most_s: float | None, runner: psutil.Process | None) -> None:
    """Sleep until the journal has grown beyond `size` (or for `at_most_s`), the run is over or its runner is gone."""
    until = None if at_most_s is None else time.monotonic() + at_most_s
    while _is_alive(runner):
        if until is None and _size(journal) != size:
            return
        if until is not None and (time.monotonic() >= until or is_over(journal)):
            return
        time.sleep(POLL_S)


def _size(journal: Path) -> int:
    return journal.stat().st_size if journal.exists() else 0


def _process(pid: int) -> psutil.Process | None:
    import psutil

    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _is_alive(runner: psutil.Process | None) -> bool:
    """Whether it is this very process that lives, not a later one with its number, and not one that only waits to be
    buried."""
    if runner is None:
        return False
    import psutil

    try:
        return runner.is_running() and runner.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _log_file(project: Path) -> Path:
    return project / ".nbproof" / "logs" / "courier.log"


@contextlib.contextmanager
def _noise_to(file: Path) -> Iterator[TextIO]:
    """Send what MLflow and its libraries say, on whichever stream, to `file`; yield what was standard output."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # A runner that is gone reads no answers; there is nobody left to tell.
    with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as answers:
        with file.open("a", encoding="utf-8") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        import logging

        logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
        yield answers


def main() -> int:
    """Deliver once, or follow a run; the last line on standard output is the report as JSON."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m nbproof.track.courier", description=__doc__)
    parser.add_argument("project", type=Path, help="the project's folder")
    parser.add_argument("--follow", type=int, metavar="PID", help="the runner; the courier ends with it")
    parser.add_argument("--run", metavar="RUN_ID", help="the run that the runner carries out")
    parser.add_argument("--sessions", action="store_true", help="look after the sessions of notebooks instead")
    parser.add_argument("--stay", action="store_true", help="do not end for lack of news")
    asked = parser.parse_args()
    if (asked.follow is None) != (asked.run is None and not asked.sessions):
        parser.error("--follow goes together with --run or --sessions")
    project = asked.project.resolve()
    with _noise_to(_log_file(project)) as answers:
        settings = load(project, os.environ)
        if asked.follow is None:
            report = deliver(project, settings)
        elif asked.sessions:
            report = follow_sessions(project, settings, _process(asked.follow), answers, stays=asked.stay)
        else:
            report = follow(project, settings, _process(asked.follow), asked.run, answers)
        answers.write(f"{report.to_json()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
