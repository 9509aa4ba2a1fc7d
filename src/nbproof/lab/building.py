"""Doors to pipelines: how they stand, what can be set, and runs of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import NbproofError, ParameterInvalid, PipelineInvalid, RequestInvalid, UnknownName
from . import pipeline_view as view
from .doors import Asked, Route
from .pipeline_runs import ask, plain_text, runs_of

PIPELINES = 200
STATUS_S = 120.0
LOG_BYTES = 64_000
PARAMETERS, VALUE_CHARACTERS = 500, 100_000
_NAMED = re.compile(r"^(?:unknown parameter )?`(\w+)")


def pipeline(asked: Asked) -> dict[str, Any]:
    """The pipelines of the project that `path` lies in, and how the one stands that `path` is, or belongs to.

    The state is looked up by `nbproof status` in a process of its own: hashing data takes the whole of a core, reading
    some pipelines imports Ploomber, and placeholders are filled from the working directory, which the server shares.
    """
    from ..run.pipeline.loading import pipeline_files

    root, project = asked.server.root, asked.project.root
    files = [file for file in pipeline_files(project) if file.resolve().is_relative_to(root.resolve())]
    chosen = _chosen(asked.file(), files, project)
    found: dict[str, Any] = {
        "project": view.contents_path(project, root),
        "pipelines": [{"path": view.contents_path(file, root), "name": file.parent.name} for file in files[:PIPELINES]],
        "path": chosen and view.contents_path(chosen, root),
        "name": chosen.parent.name if chosen else "",
        "tasks": [],
        "left_out": 0,
        "problem": None,
        "run": None,
    }
    return found if chosen is None else found | _standing(asked, chosen)


def _chosen(path: Path, files: list[Path], project: Path) -> Path | None:
    """The pipeline that is meant: the file itself, that of a notebook, the one nearest above, else the first."""
    from ..run.pipeline.loading import homes_of

    if path in files:
        return path
    if path.is_file() and (homes := homes_of(path, project)):
        return homes[0]
    above = [file for file in files if path.is_relative_to(file.parent)]
    return max(above, key=lambda file: len(file.parts), default=files[0] if files else None)


def _standing(asked: Asked, file: Path) -> dict[str, Any]:
    run = runs_of(asked.server).of(file)
    try:
        status = _status(asked, file)
    except NbproofError as error:
        return {"problem": {"message": str(error), "hint": error.hint}, "run": run and _seen(run.seen())}
    # Looked at after the status, so that what a run has told meanwhile is not older than that.
    seen = None if run is None else run.seen()
    return {
        "name": status["pipeline"],
        "tasks": view.tasks(status, seen, root=asked.server.root, project=asked.project.root),
        "left_out": max(0, len(status["tasks"]) - view.TASKS),
        "run": seen and _seen(seen),
    }


def _status(asked: Asked, file: Path) -> Any:
    return ask(("status", "--json", "--", str(file)), folder=asked.project.root, timeout_s=STATUS_S)


def _seen(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run without its tasks, which are told as tasks of the pipeline."""
    return {key: value for key, value in run.items() if key != "tasks"}


def parameters(asked: Asked) -> dict[str, Any]:
    """What the notebook `path` declares: the JSON Schema of its parameters, in the order of declaration."""
    from ..notebook import contract, document

    found = contract.read(document.read(asked.file()))
    return {
        "schema": view.shown(found.json_schema()),
        "order": found.names,
        "secrets": found.secrets,
        "defaults": view.shown(found.defaults()),
    }


def check(asked: Asked) -> dict[str, Any]:
    """What is wrong with values typed for the notebook `path`, by parameter; starts nothing and keeps nothing."""
    from ..notebook import contract, document

    texts = _texts(asked.body.get("parameters", {}))
    found = contract.read(document.read(asked.file()))
    try:
        found.parse(texts, where=found.notebook.name)
    except ParameterInvalid as error:
        return {"problems": dict(_by_name(error, texts))}
    return {"problems": {}}


def _by_name(error: ParameterInvalid, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    # One that was not typed has its value from the pipeline.
    for problem in error.problems:
        named = _NAMED.match(problem)
        if named and named[1] in texts:
            yield named[1], problem


def run(asked: Asked) -> dict[str, Any]:
    """Start a run of the pipeline `path`: whole, or `task` alone, or with what is `downstream` of it."""
    file = _pipeline_file(asked)
    options = [*_options(asked)]
    started = runs_of(asked.server).start(
        file, options, folder=asked.project.root, contents=view.contents_path(file, asked.server.root) or ""
    )
    return _seen(started.seen())


def _options(asked: Asked) -> Iterator[str]:
    task = asked.text("task", "")
    if task:
        yield f"--task={task}"
        if _flag(asked, "downstream"):
            yield "--downstream"
    if _flag(asked, "force"):
        yield "--force"
    given = asked.body.get("parameters", {})
    if not isinstance(given, Mapping):
        raise RequestInvalid("parameters", type(given).__name__, "an object")
    for name, texts in given.items():
        for parameter, text in _texts(texts).items():
            yield f"--parameter={name}.{parameter}={text}"


def _flag(asked: Asked, name: str) -> bool:
    found = asked.body.get(name, False)
    if not isinstance(found, bool):
        raise RequestInvalid(name, type(found).__name__, "true or false")
    return found


def _texts(given: Any) -> dict[str, str]:
    """Values by parameter, each as it was typed."""
    if not isinstance(given, Mapping):
        raise RequestInvalid("parameters", type(given).__name__, "an object")
    if len(given) > PARAMETERS:
        raise RequestInvalid("parameters", f"{len(given)} values", f"at most {PARAMETERS}")
    for name, text in given.items():
        if not isinstance(text, str) or len(text) > VALUE_CHARACTERS or "\0" in text:
            raise RequestInvalid(
                f"parameter {name[:80]}", "something else", f"text of up to {VALUE_CHARACTERS} characters"
            )
    return dict(given)


def _pipeline_file(asked: Asked) -> Path:
    file = asked.file()
    if not file.is_file():
        raise PipelineInvalid(file, "nothing", "a pipeline.yaml", hint="open the panel again: it may have been moved")
    if file.suffix not in (".yaml", ".yml"):
        raise PipelineInvalid(file, "another kind of file", "a pipeline.yaml", hint="choose a pipeline in the panel")
    return file


def stop(asked: Asked) -> dict[str, Any]:
    """Ask a run that was started here to end."""
    found = runs_of(asked.server).named(asked.text("run"))
    found.stop()
    return _seen(found.seen())


def output(asked: Asked) -> dict[str, Any]:
    """What the cells of a run have said since the chunk `after`."""
    found = runs_of(asked.server).named(asked.text("run"))
    return found.output(asked.number("after", 0, highest=2**53))


def log(asked: Asked) -> dict[str, Any]:
    """The end of what the cells of `task` said in the run `run_id` of the project, as the run's log keeps it."""
    from ..run.logs import folder_of, log_path
    from ..track.journal import RUN_ID

    run_id = asked.text("run_id")
    folder = folder_of(asked.project.root, run_id)
    file = log_path(folder, asked.text("task"))
    # Both are names, and lead nowhere else.
    if not RUN_ID.fullmatch(run_id) or file.parent != folder or "\0" in file.name or not file.is_file():
        return {"text": "", "is_cut": False}
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(max(0, size - LOG_BYTES))
        said = opened.read().decode("utf-8", "replace")
    return {"text": plain_text(said), "is_cut": size > LOG_BYTES}


def executed(asked: Asked) -> dict[str, Any]:
    """Put the notebook of a `task` that failed, as far as it came, where the pages can open it.

    It is kept in a folder that is hidden from them; the copy lies beside the executed notebook that the task would have
    made, and is named for what it is.
    """
    from ..files import write_atomically

    file, name = _pipeline_file(asked), asked.text("task")
    found = {task["task"]: task for task in _status(asked, file)["tasks"]}
    if name not in found:
        raise UnknownName("task", name[:80], islice(found, 20), hint="open the panel again")
    product = Path(found[name]["products"]["nb"])
    kept = _kept(found[name]["last"], asked.project.root)
    if kept is None:
        raise PipelineInvalid(file, f"no executed notebook of `{name}`", "one of a run", hint="run the task again")
    if kept == product.resolve():
        return {"path": view.contents_path(product, asked.server.root)}
    copy = product.with_name(f"{product.stem}.failed.ipynb")
    if any(copy.is_relative_to(path) for task in found.values() for path in map(Path, task["products"].values())):
        raise PipelineInvalid(
            file, f"a product in whose folder `{copy.name}` would lie", "a place for it", hint=f"jupyter lab {kept}"
        )
    write_atomically(copy, kept.read_bytes())
    return {"path": view.contents_path(copy, asked.server.root)}


def _kept(last: Mapping[str, Any] | None, project: Path) -> Path | None:
    """The executed notebook that the last run of a task left, when it is where a run would leave it."""
    kept = (project / last["notebook"]).resolve() if last and last["notebook"] else None
    is_ours = kept and kept.suffix == ".ipynb" and kept.is_relative_to(project.resolve()) and kept.is_file()
    return kept if is_ours else None


ROUTES = (
    Route("pipeline", get=pipeline),
    Route("pipeline/parameters", get=parameters),
    Route("pipeline/check", post=check),
    Route("pipeline/run", post=run),
    Route("pipeline/stop", post=stop),
    Route("pipeline/output", get=output),
    Route("pipeline/log", get=log),
    Route("pipeline/executed", post=executed),
)
