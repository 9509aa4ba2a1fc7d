"""A build whose tasks run on an engine: submitted ahead, followed by what they say, found again by whoever comes next.

Every job is queued at once and waits for those above it on the engine itself, so nothing waits for this process; it may
be killed, and the next run of the pipeline goes on with the jobs that are there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import Busy, EngineUnreachable, JobRefused
from ...records import ContentHash, Outcome, Task, TaskFinished
from ..scheduler import Build, Session
from .engine import Asked, Engine, Seen
from .events import Ended, Reading, TaskEvent
from .order import Order, order_of
from .place import Place, forget_finished, place_of, unfinished
from .resources import whole

# How often the jobs' own words are read, and how often the engine is asked about those that say nothing.
LISTEN_S, LOOK_S = 0.1, 2.0
# How many programs that submit a job run at the same time.
SUBMIT_AT_ONCE = 4
# After its job has ended, what a task has said may take so long to be seen here through a shared file system.
SEEN_LATE_S = 10.0
# An engine that does not answer for so long is given up on; its jobs go on.
PATIENCE_S = 300.0
END_S = 60.0
Note = Callable[[str], None]


@dataclass(slots=True)
class _Job:
    """One task with the engine: in which run it was submitted, under which number, and what of its words was read."""

    task: Task
    place: Place
    number: str
    start: Path | None = None
    reading: Reading | None = None
    last: TaskFinished | None = None
    ended_at: float | None = None
    has_begun: bool = False


class RemoteBuild:
    """One build of one pipeline on an engine."""

    def __init__(self, session: Session, engine: Engine, note: Note = lambda _: None) -> None:
        self.session, self.engine, self.note = session, engine, note
        self.pipeline, self.state = session.loaded.pipeline, session.state
        self.build = Build(session)
        self.place = place_of(self.state, session.run_id)
        self.jobs: dict[str, _Job] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.failures: dict[str, str] = {}
        self.earlier: tuple[Place, ...] = ()
        self._unreachable_since: float | None = None

    @property
    def is_followed(self) -> bool:
        """Whether jobs of an earlier run go on in this one."""
        return bool(self.jobs)

    def take_over(self) -> None:
        """Find what an earlier run has left with the engine: what is asked for now goes on, all else is ended.

        Raises `EngineUnreachable`, and `Busy` where another engine has jobs of this pipeline.
        """
        self.earlier = unfinished(self.state)
        for place in self.earlier:
            if place.target != self.engine.name:
                raise busy_with(place)
        if not self.earlier:
            return
        living = self._living(self.earlier)
        wanted = {task.name: self._order(task).digest for task in self.pipeline.tasks}
        if all(wanted.get(name) == job.place.order(name).digest for name, job in living.items()):
            self.jobs = living
            if living:
                self.note(f"{_counted(living)} of an earlier run go on: {_numbers(living)}")
            return
        self.note(f"{_counted(living)} of an earlier run ask for something else, and are ended: {_numbers(living)}")
        self._end(living)

    def look_ahead(self) -> tuple[Task, ...]:
        """Find what is fresh, and see that the engine could run the rest; return the tasks that are to be submitted.

        Raises `JobRefused` when it could not.
        """
        self._stale = tuple(task for task in self.build.look_ahead() if task.name not in self.jobs)
        self.engine.check(dict.fromkeys(whole(task) for task in self._stale))
        return self._stale

    def carry_out(self) -> Mapping[str, str]:
        """Bring every task to an outcome and return why those failed that did; an interrupt ends all jobs."""
        try:
            for task in self.pipeline.tasks:
                if task.name in self.build.ahead and task.name not in self.jobs:
                    self._conclude(task.name, "fresh")
            self._submit()
            self._follow()
        except KeyboardInterrupt:
            self._stop()
            raise
        self._close()
        return self.failures

    # Submitting

    def _order(self, task: Task) -> Order:
        session = self.session
        is_forced = session.force and session.loaded.is_asked(task.name)
        return order_of(session.loaded, task, run_id=session.run_id, is_forced=is_forced)

    def _submit(self) -> None:
        if not self._stale:
            return
        self.place.begin(self.engine.name, {task.name: self._order(task) for task in self._stale})
        pool = ThreadPoolExecutor(SUBMIT_AT_ONCE)
        try:
            self._submit_with(pool)
        except JobRefused:
            pool.shutdown(cancel_futures=True)
            self._end({**self._living([self.place]), **self.jobs})
            self._close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        submitted = {task.name: self.jobs[task.name] for task in self._stale}
        self.note(f"{_counted(submitted)} submitted to {self.engine.name}: {_numbers(submitted)}")

    def _submit_with(self, pool: ThreadPoolExecutor) -> None:
        """Those first whose upstream has numbers already, several at once: each is a program that is started."""
        waiting = list(self._stale)
        while waiting:
            left = {task.name for task in waiting}
            ready = [task for task in waiting if left.isdisjoint(task.upstream)]
            numbers = pool.map(lambda task: self.engine.submit(self._asked(task), self._environ(task)), ready)
            for task, number in zip(ready, numbers, strict=True):
                self.place.note_number(task.name, number)
                self.jobs[task.name] = _Job(task, self.place, number)
            waiting = [task for task in waiting if task.name not in self.jobs]

    def _asked(self, task: Task) -> Asked:
        return Asked(
            name=f"{task.name}-{ContentHash.of(self.state.scope_of(task.name).encode()).short}",
            mark=_mark(self.place, task.name),
            command=(sys.executable, "-m", "nbproof.run.remote.node", str(self.place.folder), task.name),
            folder=self.pipeline.folder,
            log=self.place.said(task.name),
            resources=whole(task),
            after=tuple(self.jobs[name].number for name in task.upstream if name in self.jobs),
        )

    def _environ(self, task: Task) -> Mapping[str, str]:
        """Libraries take the processors that the job was given, unless somebody said otherwise."""
        return {**self.session.environ, **({} if "OMP_NUM_THREADS" in os.environ else {
            "OMP_NUM_THREADS": str(task.resources.cpus)
        })}  # fmt: skip

    # Following

    def _follow(self) -> None:
        due = time.monotonic() + LOOK_S
        while open_jobs := [job for name, job in self.jobs.items() if name not in self.outcomes]:
            has_heard = self._hear(open_jobs)
            if time.monotonic() >= due:
                self._look(open_jobs)
                due = time.monotonic() + LOOK_S
            if not has_heard:
                time.sleep(LISTEN_S)

    def _hear(self, jobs: Iterable[_Job]) -> bool:
        """Pass on what jobs have said since; whether it was anything."""
        starts = {place: place.all_starts() for place in {job.place for job in jobs}}
        has_heard = False
        for job in jobs:
            for path in self._unread(job, starts[job.place].get(job.task.name, ())):
                if job.start != path:
                    job.start, job.reading = path, Reading(path)
                assert job.reading is not None
                for said in job.reading.more():
                    has_heard = True
                    self._heard(job, said)
        return has_heard

    @staticmethod
    def _unread(job: _Job, starts: Iterable[Path]) -> list[Path]:
        """The start that is being read and those after it; an earlier one has nothing more to say that counts."""
        starts = list(starts)
        return starts[starts.index(job.start) :] if job.start in starts else starts

    def _heard(self, job: _Job, said: TaskEvent | Ended) -> None:
        if job.task.name in self.outcomes:
            return
        if isinstance(said, Ended):
            self._conclude(job.task.name, said.outcome)
            return
        job.has_begun = True
        if isinstance(said, TaskFinished):
            job.last = said
            self._keep_log(job)
        self.session.listener(replace(said, run_id=self.session.run_id))

    def _look(self, jobs: Iterable[_Job]) -> None:
        """Ask the engine about all jobs at once: one that has ended without a last word will never say it."""
        try:
            seen = self.engine.look()
        except EngineUnreachable as error:
            self._wait_for_engine(error)
            return
        self._unreachable_since = None
        now = time.monotonic()
        for job in jobs:
            found = seen.get(job.number)
            if found is not None and found.state != "ended":
                job.ended_at = None
                continue
            job.ended_at = now if job.ended_at is None else job.ended_at
            if job.task.name not in self.outcomes and now - job.ended_at >= SEEN_LATE_S:
                self._end_without_a_word(job, found)

    def _wait_for_engine(self, error: EngineUnreachable) -> None:
        now = time.monotonic()
        if self._unreachable_since is None:
            self._unreachable_since = now
            self.note(f"{error}; its jobs go on, and it is asked again")
        if now - self._unreachable_since >= PATIENCE_S:
            raise error

    def _end_without_a_word(self, job: _Job, found: Seen | None) -> None:
        if found is None:
            words = f"{self.engine.name} no longer knows its job {job.number}, which has not told its end"
        else:
            words = f"{self.engine.name} ended its job {job.number}: {found.reason}"
        last = _last_line(job.place.said(job.task.name))
        reason = f"{words}; its last words: {last}" if last else words
        attempt = job.last.attempt if job.last is not None else int(job.has_begun)
        finished = TaskFinished(self.session.run_id, time.time(), job.task.name, "failed", attempt, reason=reason)
        job.last = finished
        self.session.listener(finished)
        self._conclude(job.task.name, "failed")

    # Concluding

    def _conclude(self, name: str, outcome: Outcome) -> None:
        self.outcomes[name] = outcome
        if name in self.build.ahead and name not in self.jobs:
            self.build.finish_fresh(name)
            return
        if outcome == "failed":
            last = self.jobs[name].last
            self.failures[name] = last.reason if last is not None else ""
        self._set_status(name, outcome)
        if outcome in ("failed", "blocked"):
            for task in self.pipeline.tasks:
                if name in task.upstream and task.name not in self.outcomes:
                    self._block(task, name)

    def _block(self, task: Task, upstream: str) -> None:
        """Its job waits for one that has not ended well, so the engine takes it away."""
        reason = f"upstream {upstream} failed"
        self.session.listener(TaskFinished(self.session.run_id, time.time(), task.name, "blocked", reason=reason))
        self._conclude(task.name, "blocked")

    def _set_status(self, name: str, outcome: Outcome) -> None:
        dag = self.session.loaded.dag
        if dag is not None:
            from ..hooks import set_status

            set_status(dag[name], outcome)

    def _keep_log(self, job: _Job) -> None:
        """The log of a job that was submitted by another run is part of this one, too."""
        if job.place == self.place:
            return
        ours = self.state.logs(self.session.run_id)
        with contextlib.suppress(OSError):
            ours.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(self.state.logs(job.place.run_id) / f"{job.task.name}.log", ours / f"{job.task.name}.log")

    def _close(self) -> None:
        """Nothing is left with the engine; what it said of failures stays until the next run."""
        blocked = [self.jobs[name].number for name, outcome in self.outcomes.items()
                   if outcome == "blocked" and name in self.jobs]  # fmt: skip
        if blocked:
            # It takes them away itself, in its own time; here they are gone now.
            with contextlib.suppress(EngineUnreachable, JobRefused):
                self.engine.cancel(blocked)
        for place in {*self.earlier, *({self.place} if self.place.folder.exists() else ())}:
            place.close()
        if not self.failures:
            self.place.remove()
        forget_finished(self.state, but=self.place)

    # Ending

    def _stop(self) -> None:
        """End every job that goes on, and tell so of those that had begun."""
        left = {name: job for name, job in self.jobs.items() if name not in self.outcomes}
        # The answer to a submission may not have been heard before the interrupt.
        self._end({**self._living([self.place]), **left})
        self._hear(left.values())
        for name, job in left.items():
            if name not in self.outcomes and job.has_begun and (job.last is None or job.last.outcome != "stopped"):
                finished = TaskFinished(self.session.run_id, time.time(), name, "stopped", 1, reason="interrupted")
                self.session.listener(finished)
        self._close()

    def _end(self, jobs: Mapping[str, _Job]) -> None:
        """Cancel jobs and wait until none of them lives. Raises `EngineUnreachable`; then they are found again."""
        numbers = {job.number for job in jobs.values()}
        deadline = time.monotonic() + END_S
        if numbers:
            self.engine.cancel(numbers)
        while any(number in numbers and seen.state != "ended" for number, seen in self.engine.look().items()):
            if time.monotonic() > deadline:
                raise EngineUnreachable(
                    self.engine.name, f"its jobs {', '.join(sorted(numbers))} do not end", hint="the same command again"
                )
            time.sleep(LISTEN_S)

    def _living(self, places: Iterable[Place]) -> dict[str, _Job]:
        """The jobs of these runs that wait or run, by their tasks."""
        seen = self.engine.look()
        of_mark = {each.mark: number for number, each in seen.items() if each.state != "ended"}
        living = {}
        for place in places:
            for name in place.tasks():
                number = of_mark.get(_mark(place, name))
                if number is not None:
                    living[name] = _Job(place.order(name).pipeline.task(name), place, number)
        return living


def busy_with(place: Place) -> Busy:
    """Why a pipeline cannot be built here: an engine still has jobs of it, or may have."""
    order = next((place.order(task).pipeline for task in place.tasks()), None)
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(place.at))
    return Busy(
        order.name if order is not None else place.folder.parent.name,
        f"jobs on {place.target} since {since}",
        hint=f"follow them, or end them with Ctrl-C there: nbproof run --on {place.target}",
    )


def _mark(place: Place, task: str) -> str:
    project = ContentHash.of(str(place.folder.resolve()).encode()).short
    return f"nbproof:{project}/{place.run_id}/{task}"


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""


def _counted(jobs: Mapping[str, _Job]) -> str:
    return f"{len(jobs)} job{'' if len(jobs) == 1 else 's'}"


def _numbers(jobs: Mapping[str, _Job]) -> str:
    """The numbers of jobs; of many the first and the last."""
    numbers = sorted((job.number for job in jobs.values()), key=lambda number: (len(number), number))
    return ", ".join(numbers) if len(numbers) <= 4 else f"{numbers[0]} to {numbers[-1]}"
