"""What an approval of a notebook binds, as things stand now: content, parameters, data, local modules, environment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ..errors import ReviewAskedWrongly
from ..notebook import digest as digests
from ..notebook.document import Document, parse, read_bytes
from ..records import ContentHash, Task
from ..run.fingerprint import fingerprint
from ..run.look import Look
from ..run.pipeline.loading import Loaded, load
from ..run.sources.hashes import content_hash
from .names import problem_of_file
from .plainly import spelled
from .statement import Subject, SubjectKind

Fate = Literal["changed", "gone", "new"]
FILE_KINDS: tuple[SubjectKind, ...] = ("report", "model", "package")


@dataclass(frozen=True, slots=True)
class Binding:
    """A notebook and all that decides what it does. `content` is the canonical content, whose hash is its digest.

    `cells` are the ids of the cells that count and `outputs` the hash of what each shows: they are told, and bind
    nothing, since running a notebook once more changes no line of it.
    """

    notebook: str
    content: bytes = field(repr=False)
    subjects: tuple[Subject, ...]
    absent: tuple[str, ...]
    parameters: Mapping[str, Any]
    cells: tuple[str, ...]
    outputs: Mapping[str, str]

    @property
    def digest(self) -> ContentHash:
        return self.subjects[0].digest

    @property
    def bound(self) -> ContentHash:
        """The one hash of all of it: who decides names it, so that what was seen is what is signed."""
        subjects = [[held.kind, held.name, held.digest.hex] for held in self.subjects]
        return ContentHash.of(spelled([subjects, list(self.absent), dict(self.parameters)]))

    @property
    def core(self) -> ContentHash:
        """The same without report, model and package, which no check of the notebook looks at."""
        return replace(self, subjects=tuple(held for held in self.subjects if held.kind not in FILE_KINDS)).bound

    @property
    def files(self) -> dict[str, str]:
        """What is bound besides, by its kind."""
        return {held.kind: held.name for held in self.subjects if held.kind in FILE_KINDS}


def bind(project: Path, notebook: Path, *, lock: str | None = None, files: Mapping[str, str] | None = None) -> Binding:
    """Look at everything that the notebook depends on. `files` are report, model and package, relative to the project.

    Raises what reading its pipeline raises, and `ReviewAskedWrongly` for a file outside of the project.
    """
    project, notebook = project.resolve(), notebook.resolve()
    loaded = load(notebook, project)
    task = next(held for held in loaded.pipeline.tasks if held.notebook.resolve() == notebook)
    document = loaded.documents[task.name]
    name = relative(project, notebook)
    found = fingerprint(task, loaded.notebooks[task.name], pipeline=loaded.pipeline, look=Look(loaded.memory))
    declared = {_named(project, loaded, path): value for path, value in found.data.items()}
    content = digests.canonical(document)
    subjects = [
        Subject("notebook", name, ContentHash.of(content)),
        *(Subject("data", data, ContentHash(value)) for data, value in sorted(declared.items()) if value),
        *(
            Subject("module", name, _of_module(project, name, value))
            for name, value in sorted(found.modules.items())
            if value
        ),
        _environment(project, task, found.environment, lock),
        *(_file(project, kind, path) for kind, path in sorted((files or {}).items())),
    ]
    return Binding(
        notebook=name,
        content=content,
        subjects=tuple(subjects),
        absent=tuple(sorted(data for data, value in declared.items() if not value)),
        parameters=task.parameters,
        cells=tuple(cell.id for cell in digests.counted(document)),
        outputs=shown(document),
    )


def read_document(notebook: Path) -> Document:
    """The notebook as it lies on the disk."""
    return parse(notebook, read_bytes(notebook))


def relative(project: Path, path: Path) -> str:
    """The name of a file within its project; raises `ReviewAskedWrongly` for one outside, and for an odd name."""
    if not path.is_relative_to(project):
        raise ReviewAskedWrongly(f"`{path}`", "a file outside of the project", f"one below `{project}`")
    name = path.relative_to(project).as_posix()
    problem = problem_of_file(name)
    if problem:
        raise ReviewAskedWrongly(f"`{name}`", problem, "a plain relative path")
    return name


def shown(document: Document) -> dict[str, str]:
    """The hash of what each cell that was run shows, by the cell's id."""
    outputs = {}
    for cell in document.content.get("cells", ()):
        if cell.get("outputs"):
            said = [{name: held for name, held in output.items() if name in ("text", "data", "ename", "evalue")}
                    for output in cell["outputs"]]  # fmt: skip
            outputs[str(cell["id"])] = ContentHash.of(json.dumps(said, sort_keys=True).encode()).hex
    return outputs


def _named(project: Path, loaded: Loaded, path: str) -> str:
    """Data by its path within the project, so that every checkout names it alike; as it is declared, outside of it."""
    place = (loaded.pipeline.folder / path).resolve()
    return place.relative_to(project).as_posix() if place.is_relative_to(project) else path


def _of_module(project: Path, name: str, meaning: str) -> ContentHash:
    """The hash of a module's bytes, as `sha256sum` says it: a fingerprint passes over comments, who signs does not."""
    return content_hash(project / name) or ContentHash(meaning)


def _environment(project: Path, task: Task, kernel: str, lock: str | None) -> Subject:
    if lock is None:
        return Subject("kernel", task.kernel, ContentHash(kernel))
    return _file(project, "lock", lock)


def _file(project: Path, kind: Any, name: str) -> Subject:
    problem = problem_of_file(name)
    if problem:
        raise ReviewAskedWrongly(f"{kind} `{name}`", problem, "a path relative to the project")
    # A link could lead to another file for everybody who looks.
    place = (project / name).resolve()
    if not place.is_relative_to(project):
        raise ReviewAskedWrongly(f"{kind} `{name}`", "a link out of the project", "a file of the project")
    found = content_hash(place)
    if found is None:
        raise ReviewAskedWrongly(f"{kind} `{name}`", "nothing there", "a file or folder", hint=f"ls {name}")
    return Subject(kind, name, found)


def differences(before: Sequence[Subject], after: Sequence[Subject]) -> tuple[tuple[SubjectKind, str, Fate], ...]:
    """What is bound otherwise now: kind, name and what became of it."""
    was = {(held.kind, held.name): held.digest for held in before}
    now = {(held.kind, held.name): held.digest for held in after}
    found: list[tuple[SubjectKind, str, Fate]] = []
    for kind, name in dict.fromkeys([*was, *now]):
        if (kind, name) not in now:
            found.append((kind, name, "gone"))
        elif (kind, name) not in was:
            found.append((kind, name, "new"))
        elif was[kind, name] != now[kind, name]:
            found.append((kind, name, "changed"))
    return tuple(found)
