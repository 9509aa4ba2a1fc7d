"""The folders below `.nbproof` that one pipeline uses: its records, its failures, its kernels."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..records import ContentHash, Pipeline
from .freshness import Environments, TaskRecords
from .logs import folder_of

STATE_FOLDER = ".nbproof"
# Below it lies what the jobs of pipelines on engines were told, and what they say.
REMOTE = "remote"
# Between the scope of a pipeline and what stands for one of its tasks; no name of a pipeline has it.
OF_TASK = "+"


def state_of(pipeline: Pipeline) -> State:
    """Where the state of `pipeline` lies; nothing is made."""
    return State(pipeline.project / STATE_FOLDER, identifier(pipeline.file, pipeline.project))


def identifier(file: Path, project: Path) -> str:
    """A file name for the state of the pipeline in `file`: its path within the project, readable and unique."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", os.path.relpath(file, project)).strip("-.")


@dataclass(frozen=True, slots=True)
class State:
    """`root` is shared by the pipelines of a project; `pipeline` is this one's name in it."""

    root: Path
    pipeline: str

    @property
    def scope(self) -> str:
        """What the leases of this pipeline's processes begin with: no other project on the machine has the same."""
        return f"{self.pipeline}@{ContentHash.of(str(self.root.resolve()).encode()).short}"

    def scope_of(self, task: str) -> str:
        """The same for the processes of one task that is carried out alone."""
        return f"{self.scope}{OF_TASK}{ContentHash.of(task.encode()).short}"

    @property
    def records(self) -> TaskRecords:
        return TaskRecords(self.root / "tasks" / self.pipeline)

    @property
    def environments(self) -> Environments:
        return Environments(self.root / "environments")

    def failed(self, run_id: str) -> Path:
        """Where the executed notebooks of failed tasks are kept."""
        return self.root / "failed" / run_id

    def learnt(self, task: str) -> Path:
        """The file that remembers what the notebook of a task was seen to import."""
        return self.root / "learnt" / self.pipeline / f"{task}.json"

    def checkpoints(self, task: str) -> Path:
        """Where the checkpoints of a task are kept until it is done; readable by their owner only."""
        return self.root / "checkpoints" / self.pipeline / task

    def logs(self, run_id: str) -> Path:
        """Where a run keeps what its cells said, as plain text."""
        return folder_of(self.root.parent, run_id)

    def runtime(self, run_id: str) -> Path:
        """Where kernels of a run put their connection files; readable by their owner only."""
        return self.root / "kernels" / run_id
