"""Which pipeline is meant, and what it says: read by ourselves where it is plain, by Ploomber where it is not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from ...errors import PipelineInvalid, UnknownName
from ...notebook import document
from ...records import Limits, OutputCaps
from ..lean import skip_idle_imports
from ..sources import environment, notebooks
from ..sources.memory import Memory
from ..state import STATE_FOLDER, identifier
from . import reading
from .declared import PIPELINE_FILE, Declared, check_kernels, joined
from .declared import Loaded as Loaded


def find(target: Path) -> Path:
    """The file that `target` means: a notebook, a pipeline file, or the pipeline file in a folder."""
    if target.is_dir():
        found = target / PIPELINE_FILE
        if not found.is_file():
            raise PipelineInvalid(
                target, f"a folder without `{PIPELINE_FILE}`", "a pipeline or a notebook",
                hint="nbproof init DIR makes an example",
            )  # fmt: skip
        return found.resolve()
    if not target.is_file():
        raise PipelineInvalid(target, "nothing", "a pipeline or a notebook", hint="nbproof init DIR makes an example")
    return target.resolve()


def load(
    target: Path,
    project: Path,
    texts: Sequence[str] = (),
    *,
    default_limits: Limits = Limits(),  # noqa: B008 (frozen)
    caps: OutputCaps = OutputCaps(),  # noqa: B008 (frozen)
) -> Loaded:
    """Read the pipeline (or the lone notebook) `target`, with `name=value` or `task.name=value` from the command line.

    Raises `PipelineInvalid`, `NotebookInvalid`, `ContractInvalid`, `ParameterInvalid` or `UnknownName`; starts nothing.
    """
    skip_idle_imports()
    file = find(target)
    asked: _Asked = {"project": project, "texts": texts, "default_limits": default_limits, "caps": caps}
    if file.suffix in {".yaml", ".yml"}:
        return _whole(file, asked)
    home = _home(file, project)
    if home is None:
        return _lone(file, asked)
    return _up_to(_whole(home, asked), file)


class _Asked(TypedDict):
    """What is asked of a pipeline beside its file."""

    project: Path
    texts: Sequence[str]
    default_limits: Limits
    caps: OutputCaps


def _whole(file: Path, asked: _Asked) -> Loaded:
    memory = _memory(file, asked["project"])
    plain = reading.read(file, memory)
    if plain is None:
        from .dag import describe, read_dag

        dag = read_dag(file, memory)
        return describe(dag, file=file, memory=memory, **asked)
    check_kernels({name: task.kernel for name, task in plain.tasks.items()}, plain.notebooks)
    pipeline = joined(
        plain.tasks,
        plain.notebooks,
        file=file,
        limits=plain.executor.limits,
        resources=plain.executor.resources,
        **asked,
    )
    contracts = {name: found.said.contract for name, found in plain.notebooks.items()}
    return Loaded(pipeline, plain.notebooks, contracts, None, plain.executor.workers, memory)


def _lone(file: Path, asked: _Asked) -> Loaded:
    """A pipeline of one: the executed notebook goes to `build/<name>/` beside it."""
    memory = _memory(file, asked["project"])
    name = file.stem
    notebook = notebooks.read(file, memory)
    product = file.parent / "build" / name / f"{name}.ipynb"
    if not reading.is_plain_notebook(notebook):
        from .dag import describe, lone_dag

        dag = lone_dag(file, product)
        return describe(dag, file=file, memory=memory, **asked)
    check_kernels({name: None}, {name: notebook})
    pipeline = joined(
        {name: Declared(name, {}, (), {"nb": product}, is_single=True)},
        {name: notebook},
        file=file,
        limits={},
        resources={},
        **asked,
    )
    return Loaded(pipeline, {name: notebook}, {name: notebook.said.contract}, memory=memory)


def _memory(file: Path, project: Path) -> Memory:
    """What was derived from the files of this pipeline before, by this very code, in this very environment."""
    maker = environment.maker()
    if maker is None:
        return Memory()
    return Memory(project / STATE_FOLDER / "read" / f"{identifier(file, project)}.json", maker)


def _home(notebook: Path, project: Path) -> Path | None:
    """The pipeline of the project that `notebook` is a task of, if any."""
    document.read_bytes(notebook)
    homes = homes_of(notebook, project)
    if len(homes) > 1:
        raise PipelineInvalid(
            notebook, f"a task of {len(homes)} pipelines: {', '.join(map(str, homes))}", "a task of one pipeline",
            hint=f"nbproof run {homes[0]}",
        )  # fmt: skip
    return homes[0] if homes else None


def homes_of(notebook: Path, project: Path) -> list[Path]:
    """The pipelines of the project that name `notebook` (a resolved path) as the source of a task."""
    return [file for file in pipeline_files(project) if notebook in _sources(file)]


def pipeline_files(project: Path) -> Iterator[Path]:
    """The pipelines of a project, by their paths; into what is hidden, built or installed it does not look."""
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in {"build", "exports"})
        folders[:] = [
            name for name in folders if name != "node_modules" and not (Path(folder, name) / "pyvenv.cfg").exists()
        ]
        if PIPELINE_FILE in files:
            yield Path(folder, PIPELINE_FILE)


def _sources(file: Path) -> set[Path]:
    return {source for source, _ in _named_sources(file)}


def _named_sources(file: Path) -> tuple[tuple[Path, str], ...]:
    """The source of each task of a pipeline file, and the task's name."""
    import yaml

    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
        tasks = raw if isinstance(raw, list) else raw["tasks"]
        entries = [entry if isinstance(entry, dict) else {"source": entry} for entry in tasks]
        return tuple(
            ((file.parent / entry["source"]).resolve(), str(entry.get("name") or Path(entry["source"]).stem))
            for entry in entries
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return ()  # a broken pipeline is told about when it is asked for


def tasks_of(notebook: Path, project: Path) -> tuple[tuple[str, str], ...]:
    """Under which names `notebook` is run: (file of the pipeline, name of the task), the first that of itself alone.

    Files are relative to the project. Nothing is checked; a broken pipeline has no tasks.
    """
    notebook = notebook.resolve()
    found = [(os.path.relpath(notebook, project.resolve()), notebook.stem)]
    for file in pipeline_files(project):
        for source, name in _named_sources(file):
            if source == notebook:
                found.append((os.path.relpath(file, project), name))
    return tuple(found)


def part(whole: Loaded, task: str, *, downstream: bool = False) -> Loaded:
    """The part of a pipeline that has `task`, with `downstream` all that depends on it, and what these need.

    What they need is part of it because a product that is stale must not be read as if it were fresh; what is fresh
    does not run. Only the tasks asked for can be run by force. Raises `UnknownName`.
    """
    names = [found.name for found in whole.pipeline.tasks]
    if task not in names:
        raise UnknownName("task", task, names, hint="nbproof status")
    asked = {task}
    if downstream:
        for found in whole.pipeline.tasks:
            if asked.intersection(found.upstream):
                asked.add(found.name)
    return replace(_with_upstream(whole, asked), asked=frozenset(asked))


def _up_to(whole: Loaded, notebook: Path) -> Loaded:
    """The part of a pipeline that `notebook` needs: its own task and everything upstream of it."""
    return _with_upstream(whole, {task.name for task in whole.pipeline.tasks if task.notebook.resolve() == notebook})


def _with_upstream(whole: Loaded, wanted: set[str]) -> Loaded:
    pipeline = whole.pipeline
    needed = set(wanted)
    for task in reversed(pipeline.tasks):
        if task.name in needed:
            needed |= set(task.upstream)
    return replace(whole, pipeline=replace(pipeline, tasks=tuple(t for t in pipeline.tasks if t.name in needed)))
