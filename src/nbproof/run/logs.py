"""The plain log of each task of a run: what its cells said, as text, as it came."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO


def folder_of(project: Path, run_id: str) -> Path:
    """Where the logs of a run lie, one file a task."""
    return project / ".nbproof" / "logs" / run_id


def log_path(folder: Path, task: str) -> Path:
    """Where the log of `task` lies in the folder of its run's logs."""
    return folder / f"{task}.log"


class Logs:
    """The logs of one run. A file is made when a task says something, and holds all attempts, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[TextIO, tuple[int, int]]] = {}

    def write(self, task: str, *, attempt: int, cell: int, text: str) -> None:
        """Add what a cell said; secrets are masked in it already."""
        if task not in self._open:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Half a character, which UTF-8 does not know, must not end a run.
            path = log_path(self._folder, task)
            self._open[task] = path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n"), (1, 0)
        file, (last_attempt, last_cell) = self._open[task]
        if attempt != last_attempt:
            file.write(f"# attempt {attempt}\n")
        if (attempt, cell) != (last_attempt, last_cell):
            file.write(f"# cell {cell}\n")
            self._open[task] = file, (attempt, cell)
        file.write(text)
        file.flush()

    def close(self) -> None:
        while self._open:
            _, (file, _) = self._open.popitem()
            file.close()
