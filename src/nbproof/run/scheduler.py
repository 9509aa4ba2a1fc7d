"""One build: which task may start now, and what became of it.

It waits without spinning, bounds the workers, retries with backoff, ends what runs too long, and lets a failed task
stop only what depends on it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ..files import write_atomically
from ..records import (
    LOG_VARIABLE,
    CellOutput,
    CellStarted,
    Listener,
    LoggedEntry,
    Outcome,
    Task,
    TaskFinished,
    TaskStarted,
)
from . import fingerprint as fingerprints
from .checkpoints import kept as checkpoints_kept
from .checkpoints.plan import Checkpoint
from .freshness import Fingerprint, Product, TaskRecord, Verdict, new_record, verdict
from .logs import Logs
from .look import Look
from .pipeline.declared import Loaded
from .sources.environment import of_kernel
from .sources.hashes import content_hash, meaning_hash
from .staging import Staging
from .state import State

if TYPE_CHECKING:
    from .attempt import Attempt
    from .ordering import Resumable


@dataclass(frozen=True, slots=True)
class Session:
    """What a build needs beside the pipeline.

    Where `only` names a task, that one alone is carried out, and whoever asks vouches for what it reads. `tried` is how
    often it was begun before by an engine that then took it away: none of the tries that the task itself is given.
    `mark` tells this start of it from others, and `is_current` says whether no later one has begun.
    """

    loaded: Loaded
    state: State
    run_id: str
    listener: Listener
    force: bool = False
    workers: int = 1
    is_warm: bool = True
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    checkpoints: Mapping[str, tuple[Checkpoint, ...]] = field(default_factory=dict)
    resume: bool = False
    only: str | None = None
    tried: int = 0
    mark: str = ""
    is_current: Callable[[], bool] = lambda: True


class Build:
    """One build of one pipeline: every task is waiting, delayed (to be tried again), running or finished."""

    def __init__(self, session: Session) -> None:
        self.session, self.dag = session, session.loaded.dag
        self.pipeline = session.loaded.pipeline
        self.waiting: dict[str, Task] = {
            task.name: task for task in self.pipeline.tasks if session.only in (None, task.name)
        }
        self.delayed: dict[str, tuple[float, int]] = {}
        self.running: dict[str, tuple[Attempt, Fingerprint]] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.failures: dict[str, str] = {}
        self.made: dict[str, Mapping[str, Product]] = {}
        self.logs = Logs(session.state.logs(session.run_id))
        self.selector = selectors.DefaultSelector()
        self.ahead: set[str] = set()
        # Whoever carries out one task alone removes nothing that another one uses.
        self.runtime = session.state.runtime(f"{session.run_id}{session.mark}")
        only = session.only
        self.scope = session.state.scope if only is None else session.state.scope_of(only)
        self._place = {task.name: place for place, task in enumerate(self.pipeline.tasks)}
        self._downstream: dict[str, list[str]] = {task.name: [] for task in self.pipeline.tasks}
        for task in self.pipeline.tasks:
            for name in task.upstream:
                self._downstream[name].append(task.name)
        # How many upstream tasks are not done yet.
        self._missing = {task.name: sum(name in self.waiting for name in task.upstream) for task in self.pipeline.tasks}
        # The places of those that wait for nothing but a worker, and of those that need none: fresh or blocked.
        self._movable: list[int] = []
        self._settled: list[int] = []

    def look_ahead(self) -> tuple[Task, ...]:
        """Find what is fresh before anything starts, with a single look; return the tasks that may have to run."""
        look = self._look()
        for task in self.pipeline.tasks:
            if self._is_forced(task) or not self.ahead.issuperset(task.upstream):
                continue
            if self._judge(task, look)[0].is_fresh:
                self.ahead.add(task.name)
        return tuple(task for task in self.pipeline.tasks if task.name not in self.ahead)

    def carry_out(self) -> Mapping[str, str]:
        """Bring every task to an outcome and return why those failed that did; an interrupt ends all workers."""
        for name in self.waiting:
            if not self._missing[name]:
                self._push(name)
        try:
            while self.waiting or self.delayed or self.running:
                self._start_what_can()
                if self.running or self.delayed:
                    self._wait()
        finally:
            for name in list(self.running):
                self._stop(name)
            self.selector.close()
            self.logs.close()
            shutil.rmtree(self.runtime, ignore_errors=True)
        return self.failures

    # Starting

    def _start_what_can(self) -> None:
        now = time.monotonic()
        for name in [name for name, (due, _) in self.delayed.items() if due <= now]:
            if len(self.running) < self.session.workers:
                _, number = self.delayed.pop(name)
                task = self.pipeline.task(name)
                self._start(task, number, f"attempt {number}", self._fingerprint(task, self._look()))
        while self._settled or (self._movable and len(self.running) < self.session.workers):
            # In the order of the pipeline. A task may have come here twice: by each upstream that failed.
            task = self.pipeline.tasks[heappop(self._settled or self._movable)]
            if self.waiting.pop(task.name, None):
                self._advance(task)

    def _advance(self, task: Task) -> None:
        """Finish `task` when it is blocked or fresh, else start it; there is a worker for it."""
        if broken := [name for name in task.upstream if self.outcomes.get(name) in {"failed", "blocked"}]:
            self._finish(task, "blocked", reason=f"upstream {', '.join(broken)} failed")
            return
        if task.name in self.ahead:
            self._finish(task, "fresh")
            return
        found, now = self._judge(task, self._look())
        if found.is_fresh:
            self._finish(task, "fresh")
        else:
            self._start(task, 1 + self.session.tried, "; ".join(found.reasons), now)

    def finish_fresh(self, name: str) -> None:
        """Say of a task that was found fresh ahead that it is."""
        self._finish(self.pipeline.task(name), "fresh")

    def _free(self, name: str, outcome: Outcome) -> None:
        """Let those below `name` move that its outcome allows to, or forbids for good."""
        for below in self._downstream[name]:
            self._missing[below] -= outcome in {"done", "fresh"}
            if outcome in {"failed", "blocked"}:
                heappush(self._settled, self._place[below])
            elif not self._missing[below]:
                self._push(below)

    def _push(self, name: str) -> None:
        heappush(self._settled if name in self.ahead else self._movable, self._place[name])

    def _look(self) -> Look:
        return Look(self.session.loaded.memory)

    def _judge(self, task: Task, look: Look) -> tuple[Verdict, Fingerprint]:
        state = self.session.state
        record = state.records.read(task.name)
        now = self._fingerprint(task, look)
        if self._is_forced(task):
            return Verdict(task.name, "stale", ("it was asked for by force",)), now
        found = verdict(task.name, record, now, fingerprints.contents(task, look), state.environments.packages)
        if found.is_fresh and isinstance(record, TaskRecord):
            self.made[task.name] = record.products
            look.learn(record, self.pipeline.project)
        return found, now

    def _is_forced(self, task: Task) -> bool:
        return self.session.force and self.session.loaded.is_asked(task.name)

    def _fingerprint(self, task: Task, look: Look) -> Fingerprint:
        return fingerprints.fingerprint(
            task, self.session.loaded.notebooks[task.name], pipeline=self.pipeline, look=look
        )

    def _start(self, task: Task, number: int, reason: str, began_with: Fingerprint) -> None:
        staging = self._staging(task)
        staging.prepare()
        # What only a task that runs needs is imported when the first one does.
        from .attempt import Attempt
        from .ordering import make_order

        run_id = self.session.run_id
        resumable, reason = self._resumable(task, staging, number, reason)
        attempt = Attempt(task, number, reason)
        order = make_order(task, staging, self.session.loaded, is_warm=self.session.is_warm, resumable=resumable)
        self._raise(
            TaskStarted(run_id, time.time(), task.name, number, reason, dict(task.parameters)),
        )
        attempt.start(
            order,
            folder=self.pipeline.folder,
            scope=f"{self.scope}/{run_id}",
            runtime=self.runtime,
            environ={**self.session.environ, LOG_VARIABLE: str(self.pipeline.folder / order.log)},
        )
        self.running[task.name] = attempt, began_with
        self.selector.register(attempt, selectors.EVENT_READ)

    def _staging(self, task: Task) -> Staging:
        return Staging(task, self.session.mark)

    def _resumable(self, task: Task, staging: Staging, number: int, reason: str) -> tuple[Resumable | None, str]:
        """The checkpoints of `task`, and the reason why it runs with what becomes of them."""
        planned = self.session.checkpoints.get(task.name, ())
        if not planned:
            return None, reason
        from .ordering import Resumable, wanted_checkpoints

        state, run_id = self.session.state, self.session.run_id
        wanted = wanted_checkpoints(task, staging, self.session.loaded, planned, self._look())
        resumable = Resumable(state.checkpoints(task.name), run_id, wanted)
        is_retry = number > 1 + self.session.tried
        if not (self.session.resume or is_retry):
            is_there = any(resumable.folder.glob("[!.]*"))
            return (
                resumable,
                f"{reason}; from its start (to use its checkpoint: nbproof runs resume)" if is_there else reason,
            )
        found = checkpoints_kept.choose(
            resumable.folder, wanted, state.environments.packages, run_id=None if self.session.resume else run_id
        )
        return replace(resumable, kept=found.kept), f"{reason}; {found.reason}"

    # Waiting

    def _wait(self) -> None:
        for key, _ in self.selector.select(self._patience_s()):
            attempt = cast("Attempt", key.fileobj)
            for message in attempt.messages():
                self._hear(attempt, message)
            if attempt.is_over:
                self._conclude(attempt)
        now = time.monotonic()
        for attempt, _ in list(self.running.values()):
            if attempt.deadline is not None and attempt.deadline <= now:
                self._conclude(attempt, too_long=True)

    def _patience_s(self) -> float | None:
        """How long nothing can happen but a message: until the next deadline or the next attempt that is due."""
        moments = [attempt.deadline for attempt, _ in self.running.values() if attempt.deadline is not None]
        if len(self.running) < self.session.workers:
            moments += [due for due, _ in self.delayed.values()]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _hear(self, attempt: Attempt, message: Mapping[str, Any]) -> None:
        if message["kind"] == "cell":
            self._raise(
                CellStarted(self.session.run_id, time.time(), attempt.task.name, message["cell"], message["cells"])
            )
        elif message["kind"] == "output":
            self._hear_output(attempt, message)
        else:
            attempt.heard[message["kind"]] = message

    def _hear_output(self, attempt: Attempt, message: Mapping[str, Any]) -> None:
        task, text = attempt.task.name, message["text"]
        if text:
            self.logs.write(task, attempt=attempt.number, cell=message["cell"], text=text)
        self._raise(
            CellOutput(
                self.session.run_id, time.time(), task, message["cell"], message["stream"], text, message["line"]
            )
        )

    # Concluding

    def _conclude(self, attempt: Attempt, *, too_long: bool = False) -> None:
        task = attempt.task
        began_with = self._retire(attempt)
        failure = self._failure(attempt, too_long=too_long) or self._publish(task)
        logged = tuple(LoggedEntry.from_json(entry) for entry in attempt.heard.get("finished", {}).get("logged", ()))
        if failure is None:
            failure = self._remember(task, began_with)
        if failure is None:
            checkpoints_kept.discard(self.session.state.checkpoints(task.name))
            reason = str(attempt.heard.get("restarted", {}).get("reason", ""))
            self._finish(task, "done", attempt=attempt, reason=reason, logged=logged, notebook=task.products["nb"])
        else:
            self._fail(attempt, failure, logged)

    def _retire(self, attempt: Attempt) -> Fingerprint:
        self.selector.unregister(attempt)
        attempt.status = attempt.end()
        _, began_with = self.running.pop(attempt.task.name)
        return began_with

    def _failure(self, attempt: Attempt, *, too_long: bool) -> str | None:
        if too_long:
            return f"ran longer than timeout_s={attempt.task.limits.timeout_s:g}"
        finished = attempt.heard.get("finished")
        if finished is None:
            how = f"by signal {-attempt.status}" if attempt.status < 0 else f"with status {attempt.status}"
            return f"its worker process ended {how}"
        if finished["outcome"] == "failed":
            return str(finished["reason"])
        missing = self._staging(attempt.task).missing()
        if missing:
            return f"ran to its end but did not write {', '.join(f'`{key}`' for key in missing)}"
        return None

    def _publish(self, task: Task) -> str | None:
        if not self.session.is_current():
            return "it was taken for dead and started again elsewhere; that one publishes"
        # From here on the old products are gone, so the old record must not vouch for what is there.
        self.session.state.records.forget(task.name)
        try:
            self._staging(task).publish()
        except OSError as error:
            return f"its products could not be put in place: {error}"
        try:
            self._run_hook(task, "on_finish")
        except Exception as error:
            return f"its on_finish hook refused: {_first_line(error)}"
        return None

    def _run_hook(self, task: Task, name: Literal["on_finish", "on_failure"]) -> None:
        if self.dag is not None:
            from .hooks import run_hook

            run_hook(self.dag[task.name], name, self.pipeline.folder)

    def _remember(self, task: Task, began_with: Fingerprint) -> str | None:
        """Record what was made, unless what it was made from changed meanwhile."""
        if self._fingerprint(task, self._look()) != began_with:
            return "what it reads changed while it ran; run again"
        products = {}
        for key, path in task.products.items():
            content, meaning = content_hash(path), meaning_hash(path)
            if content is None or meaning is None:
                return f"its product `{key}` vanished as soon as it was put in place"
            products[key] = Product(os.path.relpath(path, self.pipeline.project), content.hex, meaning.hex)
        self.made[task.name] = products
        environment = of_kernel(task.kernel)
        self.session.state.environments.remember(environment.lock.hex, environment.packages)
        self.session.state.records.write(task.name, new_record(began_with, products, self.session.run_id))
        return None

    def _fail(self, attempt: Attempt, failure: str, logged: tuple[LoggedEntry, ...]) -> None:
        task = attempt.task
        notebook = self._keep_log(attempt)
        failed = attempt.number - self.session.tried
        if failed <= task.limits.retries and self.session.is_current():
            pause = task.limits.backoff_s * 2 ** (failed - 1)
            self.delayed[task.name] = time.monotonic() + pause, attempt.number + 1
            again = f"; tried again in {pause:g} s"
            self._tell_finished(task, "failed", attempt, failure + again, notebook, logged)
            return
        self.failures[task.name] = failure
        with contextlib.suppress(Exception):
            self._run_hook(task, "on_failure")
        self._finish(task, "failed", attempt=attempt, reason=failure, logged=logged, notebook=notebook)

    def _keep_log(self, attempt: Attempt) -> Path | None:
        """Keep the executed notebook of a failed attempt, as far as it came, outside the products."""
        staging = self._staging(attempt.task)
        executed = staging.products()["nb"].with_suffix(".ipynb")
        folder = self.session.state.failed(self.session.run_id)
        kept = None
        if executed.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            kept = folder / f"{attempt.task.name}-{attempt.number}.ipynb"
            shutil.move(executed, kept)
        if "detail" in attempt.heard:
            write_atomically(
                folder / f"{attempt.task.name}-{attempt.number}.log", attempt.heard["detail"]["text"].encode()
            )
        staging.discard()
        return kept

    def _stop(self, name: str) -> None:
        attempt, _ = self.running[name]
        self._retire(attempt)
        notebook = self._keep_log(attempt)
        self._tell_finished(attempt.task, "stopped", attempt, "interrupted", notebook, ())

    def _finish(
        self,
        task: Task,
        outcome: Outcome,
        *,
        attempt: Attempt | None = None,
        reason: str = "",
        logged: tuple[LoggedEntry, ...] = (),
        notebook: Path | None = None,
    ) -> None:
        self.outcomes[task.name] = outcome
        self._tell_finished(task, outcome, attempt, reason, notebook, logged)
        if self.dag is not None:
            from .hooks import set_status

            set_status(self.dag[task.name], outcome)
        self._free(task.name, outcome)

    def _tell_finished(
        self,
        task: Task,
        outcome: Outcome,
        attempt: Attempt | None,
        reason: str,
        notebook: Path | None,
        logged: tuple[LoggedEntry, ...],
    ) -> None:
        made = self.made.get(task.name, {}) if outcome in {"done", "fresh"} else {}
        self._raise(
            TaskFinished(
                run_id=self.session.run_id,
                at=time.time(),
                task=task.name,
                outcome=outcome,
                attempt=attempt.number if attempt else 0,
                elapsed_s=attempt.elapsed_s if attempt else 0.0,
                reason=reason,
                notebook=os.path.relpath(notebook, self.pipeline.project) if notebook else None,
                products={key: (product.path, product.content) for key, product in made.items()},
                logged=logged,
            )
        )

    def _raise(self, event: TaskStarted | CellStarted | CellOutput | TaskFinished) -> None:
        self.session.listener(event)


def _first_line(error: Exception) -> str:
    """What a hook refused, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
