"""The parts joined: a project, its pipelines, and a run that the tracker hears about."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import settings as settings_file
from .errors import NbproofError, StorageFailed
from .notebook.digest import digest as digest_of
from .notebook.document import parse
from .notebook.document import read as read_document
from .records import Event, Limits, Listener, OutputCaps, TaskFinished
from .run.build import build, make_state, new_run_id
from .run.build import plan as plan_build
from .run.freshness import Verdict
from .run.pipeline.loading import Loaded, find, homes_of, part
from .run.pipeline.loading import load as load_loaded
from .run.provenance import git_state
from .run.sources.environment import of_kernel as environment_of
from .run.warm.pool import IDLE_VARIABLE
from .settings import Settings
from .track import kept
from .track.capture.session import Around
from .track.courier import Courier
from .track.delivery import DeliveryReport
from .track.journal import Journal
from .track.store import kernel_environment

if TYPE_CHECKING:
    from .run.remote.engine import Engine

STORE_WAIT_S = 120.0
# What a disk says that is full, that turned read-only, or that is broken.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@dataclass(frozen=True, slots=True)
class Project:
    """A folder of notebooks and pipelines, with its settings."""

    root: Path
    settings: Settings


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended: `finished` has the last word on each task, `delivery` what became of its record."""

    run_id: str
    outcome: str
    elapsed_s: float
    finished: tuple[TaskFinished, ...]
    delivery: DeliveryReport


def open_project(start: Path) -> Project:
    """The project that `start` lies in."""
    root = settings_file.find_project(start)
    return Project(root, settings_file.load(root, os.environ))


def load_pipeline(
    project: Project,
    target: Path,
    parameters: Sequence[str] = (),
    *,
    task: str | None = None,
    downstream: bool = False,
) -> Loaded:
    """Read and check the pipeline or notebook `target`. A notebook that is a task of a pipeline stays itself alone.

    With `task` it is the part of the pipeline that has this task, and what depends on it with `downstream`.
    """
    settings = project.settings
    caps = OutputCaps(settings.cell_output_bytes, settings.notebook_output_bytes)
    limits = Limits(timeout_s=settings.timeout_s)
    whole = load_loaded(find(target), project.root, parameters, default_limits=limits, caps=caps)
    return whole if task is None else part(whole, task, downstream=downstream)


@dataclass(frozen=True, slots=True)
class Home:
    """What a notebook is as a task: the `folder` that it works in, and the `parameters` that are not its defaults."""

    folder: Path | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def home_of(project: Project, notebook: Path) -> Home:
    """What the project's pipelines say of a notebook: nothing where it is a task of none, or where they disagree.

    Raises what `load_pipeline` raises where it is a task of one that cannot be read.
    """
    notebook = notebook.resolve()
    files = homes_of(notebook, project.root)
    if len({file.parent for file in files}) != 1:
        return Home()
    given = []
    for loaded in (load_pipeline(project, file) for file in files):
        for task in loaded.pipeline.tasks:
            if task.notebook.resolve() == notebook:
                defaults = loaded.contracts[task.name].defaults()
                given.append({name: value for name, value in task.parameters.items()
                              if name not in defaults or value != defaults[name]})  # fmt: skip
    return Home(files[0].parent, given[0] if all(each == given[0] for each in given) else {})


def plan(project: Project, loaded: Loaded, *, force: bool = False) -> tuple[Verdict, ...]:
    """What a run would do now, and why."""
    return plan_build(loaded, force=force)


def run(
    project: Project,
    loaded: Loaded,
    *,
    workers: int | None = None,
    force: bool = False,
    wait: bool = False,
    resume: bool = False,
    only: str | None = None,
    listeners: Sequence[Listener] = (),
    engine: Engine | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> RunReport:
    """Carry out a pipeline; its journal is written as it goes, and delivered to the tracker meanwhile.

    With `only` that task runs alone, and what it reads must be fresh. With an `engine` its tasks are jobs there, and
    `note` is told what becomes of these.

    Raises what `run.build.build` raises, and `StorageFailed` when the disk does not take the record of the run.
    """
    run_id, began = new_run_id(), time.monotonic()
    # Refused here, a project that cannot be written has no courier that fails in its own words.
    make_state(loaded)
    finished: dict[str, TaskFinished] = {}

    def listen(event: Event) -> None:
        journal(event)
        if isinstance(event, TaskFinished):
            finished[event.task] = event
        for listener in listeners:
            listener(event)

    settings = project.settings
    with (
        _disk_errors_told(),
        Journal(project.root, keep_files=settings.tracking) as journal,
        Courier(project.root, settings, run_id) as courier,
    ):
        # A notebook that opens the same embedded store must find it made, not make it at the same time.
        courier.ready(STORE_WAIT_S)
        ended = build(
            loaded,
            listen,
            run_id=run_id,
            workers=workers or loaded.workers or settings.workers,
            force=force,
            wait=wait,
            resume=resume,
            environ={**kernel_environment(project.root, settings), IDLE_VARIABLE: str(settings.warm_idle_s)},
            is_warm=settings.warm,
            only=only,
            engine=engine,
            note=note,
        )
        delivery = courier.wait(settings.delivery_wait_s)
    return RunReport(run_id, ended.outcome, time.monotonic() - began, tuple(finished.values()), delivery)


def engine_of(project: Project, name: str) -> Engine | None:
    """The engine called `name` as pipelines use it, with the options that the project gives its jobs there.

    None is this machine. Raises `UnknownName` and `SettingsInvalid`.
    """
    if name == "local":
        return None
    from .jobs.pipelines.engines import load

    return load(name, project.settings.jobs_options.get(name, {}))


def around(project: Project, notebook: Path | None, kernel: str, *, keep: bool = False) -> Around:
    """What a session of `notebook` runs in, as it is now: commit, environment of `kernel`, content of the file.

    What cannot be found out is left out. With `keep` the file itself is kept until the session is delivered.
    """
    at = time.time()
    commit, is_dirty = git_state(project.root)
    environment = digest = content = None
    with contextlib.suppress(NbproofError):
        environment = str(environment_of(kernel).lock)
    with contextlib.suppress(NbproofError, OSError):
        if notebook is not None and keep:
            content = kept.keep(notebook, kept.folder(project.root)).hex
            # The digest is that of the very content that was kept: the file may be changing under us.
            digest = str(digest_of(parse(notebook, (kept.folder(project.root) / content).read_bytes())))
        elif notebook is not None:
            digest = str(digest_of(read_document(notebook)))
    return Around(at, commit, is_dirty, environment, digest, content)


@contextlib.contextmanager
def _disk_errors_told() -> Iterator[None]:
    """Tell in one line that the disk is full, wherever the run was when it found out."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise StorageFailed(error.filename, error.strerror or str(error)) from error
