"""The two states that `nbproof review diff` compares: files, digests of what was decided about, and runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ReviewAskedWrongly, UnknownName
from .history import History

if TYPE_CHECKING:
    from ..assemble import Project
    from ..review.difference import Side
    from ..run.pipeline.loading import Loaded
    from .story import RunStory, TaskStory


def side_of(project: Project, notebook: Path, name: str | None) -> Side:
    """What `name` means for a notebook: a file, a run's id, a digest; without a name what lies there.

    Raises `ReviewAskedWrongly` when it means nothing.
    """
    from ..review.sides import of_digest, of_now

    if name is None:
        return _with_importance(of_now(project.root, notebook, lock=project.settings.review_lock), project, notebook)
    if Path(name).is_file():
        return of_now(project.root, Path(name), lock=project.settings.review_lock)
    try:
        story = History(project.root).find(name)
    except UnknownName:
        return of_digest(project.root, name)
    return _of_run(project, notebook, story)


def _of_run(project: Project, notebook: Path, story: RunStory) -> Side:
    """What a run gave: the executed notebook and the explanation only while they are those that the run made."""
    from ..notebook.document import read
    from ..review.difference import of_document
    from ..review.sides import importance
    from ..run.pipeline.loading import load

    loaded = load(notebook.resolve(), project.root)
    task = _task(loaded, notebook, story)
    place, content = _kept(project, task, "nb")
    if place is None or content is None:
        raise ReviewAskedWrongly(
            f"run {story.run_id}", "no executed notebook that is still the one it made", "its product `nb` as it was",
            hint="nbproof runs list",
        )  # fmt: skip
    side = of_document(read(place), task.parameters)
    _, explained = _kept(project, task, "explanation")
    return replace(
        side,
        metrics=task.metrics,
        environment=_packages(loaded, story),
        data=_data(project, loaded, story, task.task),
        importance=importance(explained) if explained is not None else None,
        title=f"run {story.run_id}",
    )


def _task(loaded: Loaded, notebook: Path, story: RunStory) -> TaskStory:
    names = {task.name for task in loaded.pipeline.tasks if task.notebook.resolve() == notebook.resolve()}
    found = next((task for task in story.tasks if task.task in names and task.products), None)
    if found is None:
        raise ReviewAskedWrongly(f"run {story.run_id}", f"nothing that it made of `{notebook.name}`", "a run of it",
                                 hint="nbproof runs list")  # fmt: skip
    return found


def _kept(project: Project, task: TaskStory, key: str) -> tuple[Path | None, bytes | None]:
    """A product with its content, unless something has made another one since."""
    from ..run.sources.hashes import content_hash

    path, digest = task.products.get(key, ("", ""))
    place = project.root / path
    found = content_hash(place) if path else None
    return (place, place.read_bytes()) if found is not None and found.hex == digest else (None, None)


def _packages(loaded: Loaded, story: RunStory) -> dict[str, str] | None:
    from ..run.state import state_of

    lock = story.environment.rpartition(":")[2]
    return dict(state_of(loaded.pipeline).environments.packages(lock)) or None


def _data(project: Project, loaded: Loaded, story: RunStory, task: str) -> dict[str, str] | None:
    """The hashes of the data that it read, as long as no later run of the same step has taken their place."""
    from ..run.freshness import TaskRecord
    from ..run.state import state_of

    record = state_of(loaded.pipeline).records.read(task)
    if not isinstance(record, TaskRecord) or record.run_id != story.run_id:
        return None
    folder, root = loaded.pipeline.folder.resolve(), project.root.resolve()
    places = {(folder / name).resolve(): digest for name, digest in record.fingerprint.data.items() if digest}
    return {place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place): digest
            for place, digest in places.items()}  # fmt: skip


def _with_importance(side: Side, project: Project, notebook: Path) -> Side:
    """The explanation that lies beside the notebook, if its pipeline makes one."""
    from ..errors import NbproofError
    from ..review.sides import importance
    from ..run.pipeline.loading import load

    try:
        tasks = load(notebook.resolve(), project.root).pipeline.tasks
    except NbproofError:
        return side
    own = next((task for task in tasks if task.notebook.resolve() == notebook.resolve()), None)
    place = own.products.get("explanation") if own is not None else None
    found = importance(place.read_bytes()) if place is not None and place.is_file() else None
    return replace(side, importance=found)
