"""What the job of a task is told: the task as it was when it was submitted, whatever is edited while it waits."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...notebook import document
from ...records import ContentHash, Limits, OutputCaps, Pipeline, Resources, Task
from ..pipeline.declared import Loaded
from ..sources.hashes import canonical_json
from ..sources.notebooks import Notebook, said_of


@dataclass(frozen=True, slots=True)
class Order:
    """One task with those directly above it, and the notebook as it was written.

    `has_hooks` says that functions of the project are called when it ends, which Ploomber finds.
    """

    run_id: str
    pipeline: Pipeline
    task: str
    notebook: bytes
    is_forced: bool = False
    has_hooks: bool = False

    def to_json(self) -> bytes:
        return json.dumps(self._spelled()).encode()

    @property
    def digest(self) -> str:
        """The same for two orders that ask for the same, whichever run they belong to."""
        return ContentHash.of(canonical_json({**self._spelled(), "run_id": ""})).hex

    def _spelled(self) -> dict[str, Any]:
        pipeline = self.pipeline
        return {
            "run_id": self.run_id,
            "name": pipeline.name,
            "file": str(pipeline.file),
            "folder": str(pipeline.folder),
            "project": str(pipeline.project),
            "tasks": [_spelled(task) for task in pipeline.tasks],
            "task": self.task,
            "notebook": base64.b64encode(self.notebook).decode(),
            "is_forced": self.is_forced,
            "has_hooks": self.has_hooks,
        }

    @classmethod
    def from_json(cls, text: bytes) -> Order:
        found = json.loads(text)
        paths = {name: Path(found[name]) for name in ("file", "folder", "project")}
        tasks = tuple(_task(each) for each in found["tasks"])
        return cls(
            found["run_id"], Pipeline(found["name"], **paths, tasks=tasks), found["task"],
            base64.b64decode(found["notebook"]), found["is_forced"], found["has_hooks"],
        )  # fmt: skip

    def loaded(self) -> Loaded:
        """The pipeline as a build takes it: the task's notebook alone has been read."""
        task = self.pipeline.task(self.task)
        said = said_of(document.parse(task.notebook, self.notebook))
        dag = None
        if self.has_hooks:
            from ..pipeline.dag import rendered

            dag = rendered(self.pipeline.file)
        notebook = Notebook(task.notebook, self.notebook, said)
        return Loaded(self.pipeline, {task.name: notebook}, {task.name: said.contract}, dag)


def order_of(loaded: Loaded, task: Task, *, run_id: str, is_forced: bool) -> Order:
    """The order to run `task`, from the very content that was read and checked."""
    above = tuple(replace(loaded.pipeline.task(name), upstream=(), parameters={}) for name in task.upstream)
    return Order(
        run_id,
        replace(loaded.pipeline, tasks=(*above, task)),
        task.name,
        loaded.notebooks[task.name].written,
        is_forced,
        has_hooks=loaded.dag is not None and _has_hooks(loaded.dag[task.name]),
    )


def _has_hooks(task: Any) -> bool:
    return task.on_finish is not None or task.on_failure is not None


def _spelled(task: Task) -> dict[str, Any]:
    values = {**asdict(task), "parameters": dict(task.parameters)}
    return {
        **values,
        "notebook": str(task.notebook),
        "products": {key: str(path) for key, path in task.products.items()},
    }


def _task(found: Mapping[str, Any]) -> Task:
    return Task(**{
        **found,
        "notebook": Path(found["notebook"]),
        "upstream": tuple(found["upstream"]),
        "products": {key: Path(path) for key, path in found["products"].items()},
        "limits": Limits(**found["limits"]),
        "caps": OutputCaps(**found["caps"]),
        "resources": Resources(**found["resources"]),
    })  # fmt: skip
