"""A pipeline carried out: locked, cleared of orphans, built, told to the listener."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Unwritable, UpstreamStale
from ..records import Event, Listener, RunFinished, RunStarted, Task, TaskFinished
from ..settings import find_project
from . import fingerprint as fingerprints
from .freshness import TaskRecord, Verdict, verdict
from .lock import build_lock, task_lock
from .look import Look
from .pipeline.declared import PIPELINE_FILE, Loaded
from .processes import end_orphans
from .provenance import provenance
from .scheduler import Build, Session
from .signals import interrupted_by_signals
from .staging import Staging, clear
from .state import REMOTE, State, state_of

if TYPE_CHECKING:
    from ploomber import DAG

    from .remote.engine import Engine
    from .remote.following import RemoteBuild
    from .seam import CarriesOut

Note = Callable[[str], None]


def make_state(loaded: Loaded) -> State:
    """Make the state folders of a pipeline. Raises `Unwritable` when they cannot be made."""
    state = state_of(loaded.pipeline)
    root = state.root
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        probe = root / f".{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Unwritable(root.parent, error.strerror or str(error)) from None
    return state


def plan(loaded: Loaded, *, force: bool = False) -> tuple[Verdict, ...]:
    """What a build would do now, task by task, and why. Nothing is started and nothing is written."""
    pipeline = loaded.pipeline
    state = state_of(pipeline)
    verdicts: dict[str, Verdict] = {}
    look = Look(loaded.memory)
    for task in pipeline.tasks:
        if force and loaded.is_asked(task.name):
            verdicts[task.name] = Verdict(task.name, "stale", ("it was asked for by force",))
            continue
        record = state.records.read(task.name)
        now = fingerprints.fingerprint(task, loaded.notebooks[task.name], pipeline=pipeline, look=look)
        found = verdict(task.name, record, now, fingerprints.contents(task, look), state.environments.packages)
        if found.is_fresh and isinstance(record, TaskRecord):
            look.learn(record, pipeline.project)
        waits_for = [name for name in task.upstream if not verdicts[name].is_fresh]
        if found.is_fresh and waits_for:
            found = Verdict(task.name, "waits", (f"runs if the products of {', '.join(waits_for)} change",))
        verdicts[task.name] = found
    return tuple(verdicts.values())


def new_run_id() -> str:
    """Sorts by time, unique, and fit for a file name."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"


def build(
    loaded: Loaded,
    listener: Listener,
    *,
    run_id: str,
    workers: int,
    force: bool = False,
    wait: bool = False,
    resume: bool = False,
    environ: Mapping[str, str] | None = None,
    is_warm: bool = True,
    only: str | None = None,
    engine: Engine | None = None,
    note: Note = lambda _: None,
) -> RunFinished:
    """Bring every task of `loaded` to an outcome and return how the run ended.

    With `resume` a notebook goes on from its newest checkpoint that still holds. With `only`, the name of a task, that
    one runs alone, beside others that are run so. With an `engine` every task is a job
    there, which an end of this process does not end: whoever runs the pipeline next goes on with it. `note` is told
    what becomes of the jobs.
    Raises `DataAbsent` when data that DVC tracks has not been fetched, `CheckpointRefused` when a notebook cannot be
    resumed from the checkpoints that it asks for, `Busy` when another build of the pipeline is running and `wait` is
    false, `UpstreamStale` when what `only` reads is not fresh, `Unwritable` when a product or the state cannot be
    written, `EngineUnreachable` and `JobRefused`, and KeyboardInterrupt after an interrupt, once every worker and
    kernel has ended.
    """
    from .checkpoints.plan import plan_all

    checkpoints = plan_all(loaded)
    state = make_state(loaded)
    outcomes: dict[str, str] = {}

    def listen(event: Event) -> None:
        if isinstance(event, TaskFinished):
            # A task that was tried again counts once, as what it became at last.
            outcomes[event.task] = event.outcome
        listener(event)

    began = time.monotonic()
    # When a terminal is closed, what an engine does goes on.
    ending = () if engine is None else (signal.SIGTERM,)
    with interrupted_by_signals(*ending), _locked(state, only, wait=wait):
        session = Session(
            loaded,
            state,
            run_id,
            listen,
            force=force,
            workers=workers,
            is_warm=is_warm,
            environ=kernel_environ(environ, workers),
            checkpoints=checkpoints,
            resume=resume,
            only=only,
        )
        builder = _here(session) if engine is None else _elsewhere(session, engine, note)
        not_fresh = builder.look_ahead()
        may_run = not_fresh if only is None else _alone(session, not_fresh)
        _check_data(may_run, loaded)
        _check_writable(may_run)
        listen(_started(loaded, run_id, only))
        outcome: Any = "stopped"
        try:
            # What Ploomber does before and after all tasks is not for one of them.
            outcome = _carried_out(builder, loaded.dag if only is None else None)
        finally:
            elapsed = time.monotonic() - began
            counts = dict(sorted(Counter(outcomes.values()).items()))
            finished = RunFinished(run_id, time.time(), outcome, elapsed, counts)
            listen(finished)
        # By now every task has been looked at that could be.
        loaded.memory.save()
    return finished


def _locked(state: State, only: str | None, *, wait: bool) -> contextlib.AbstractContextManager[None]:
    if only is None:
        return build_lock(state.root, state.pipeline, wait=wait)
    return task_lock(state.root, state.pipeline, only, wait=wait)


def _here(session: Session) -> Build:
    """A build on this machine. Raises `Busy` while an engine has jobs of the pipeline."""
    _check_no_jobs(session.state)
    if session.only is None:
        _clear_up(session.loaded, session.state)
    else:
        # What belongs to other tasks may be at work.
        end_orphans(session.state.scope_of(session.only))
        clear([session.loaded.pipeline.task(session.only)])
    return Build(session)


def _alone(session: Session, may_run: Iterable[Task]) -> list[Task]:
    """Of the tasks that are not fresh the one that is to run alone. Raises `UpstreamStale` when there is another."""
    stale = {task.name for task in may_run} - {session.only}
    if stale:
        verdicts = plan(session.loaded)
        raise UpstreamStale(
            str(session.only), {found.task: found.reasons[0] for found in verdicts if found.task in stale}
        )
    return [task for task in may_run if task.name == session.only]


def _elsewhere(session: Session, engine: Engine, note: Note) -> RemoteBuild:
    """A build on an engine; what an earlier one left there goes on in it."""
    from .remote.following import RemoteBuild

    made = RemoteBuild(session, engine, note)
    made.take_over()
    if not made.is_followed:
        _clear_up(session.loaded, session.state)
    return made


def _check_no_jobs(state: State) -> None:
    if (state.root / REMOTE / state.pipeline).is_dir():
        from .remote.following import busy_with
        from .remote.place import unfinished

        for place in unfinished(state):
            raise busy_with(place)


def _carried_out(build: CarriesOut, dag: DAG | None) -> str:
    if dag is None:
        return "failed" if build.carry_out() else "done"
    from ploomber.exceptions import DAGBuildError

    from .seam import Scheduler

    dag.executor = Scheduler(build)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dag.build(force=True, show_progress=False)
        except DAGBuildError:
            return "failed"
    return "done"


def _started(loaded: Loaded, run_id: str, only: str | None) -> RunStarted:
    pipeline = loaded.pipeline
    kernel = pipeline.tasks[0].kernel if pipeline.tasks else "python3"
    tasks = [task for task in pipeline.tasks if only in (None, task.name)]
    return RunStarted(
        run_id=run_id,
        at=time.time(),
        pipeline=pipeline.name,
        file=os.path.relpath(pipeline.file, pipeline.project),
        tasks=tuple(task.name for task in tasks),
        parameters={task.name: dict(task.parameters) for task in tasks},
        provenance=provenance(pipeline.project, kernel),
    )


def _clear_up(loaded: Loaded, state: State) -> None:
    """End and remove what earlier builds left behind, of tasks that are fresh, too; call it while holding the lock."""
    end_orphans(state.scope)
    clear(loaded.pipeline.tasks)


def _check_data(tasks: Iterable[Task], loaded: Loaded) -> None:
    for task in tasks:
        fingerprints.refuse_unfetched(task, loaded.notebooks[task.name].said.contract, loaded.pipeline.folder)


def _check_writable(tasks: Iterable[Task]) -> None:
    """Refuse before the first kernel, not after the first hour."""
    for task in tasks:
        staging = Staging(task)
        staging.prepare()
        staging.discard()


def kernel_environ(environ: Mapping[str, str] | None, workers: int) -> dict[str, str]:
    """The environment of workers and kernels: `environ` over the process's own, repeatable, silent."""
    cores = max(1, (os.cpu_count() or 1) // workers)
    return {
        # Sets of strings iterate alike in every run, and libraries do not fight over the cores.
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": str(cores),
        **os.environ,
        # Nothing that a notebook imports may report to anyone.
        "PLOOMBER_STATS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        **(environ or {}),
    }


def build_for_ploomber(dag: DAG, *, workers: int | None) -> Mapping[str, str]:
    """Serve `ploomber build`: the same freshness, workers and limits, in the project that the caller stands in.

    Returns why those tasks failed that did.
    """
    from .checkpoints.plan import plan_all
    from .pipeline.dag import describe

    file = Path.cwd() / PIPELINE_FILE
    loaded = describe(dag, file=file, project=find_project(file))
    checkpoints = plan_all(loaded)
    state = make_state(loaded)
    workers = workers or os.cpu_count() or 1
    with interrupted_by_signals(), build_lock(state.root, state.pipeline, wait=False):
        _check_no_jobs(state)
        _clear_up(loaded, state)
        environ = kernel_environ(None, workers)
        session = Session(loaded, state, new_run_id(), lambda _: None, workers=workers, environ=environ,
                          checkpoints=checkpoints)  # fmt: skip
        builder = Build(session)
        _check_writable(builder.look_ahead())
        return builder.carry_out()
