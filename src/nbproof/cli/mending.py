"""What `nbproof doctor --fix` can mend by itself: only what is surely nbproof's own, or can be undone.

Nothing is installed or removed, no permission is changed, and no file is deleted that holds anything.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import WorkFailed
from .checks import Finding, is_alive
from .leftovers import held_by, leases_in

PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Mend:
    """One thing that can be mended: what for, what will be done in words, and how."""

    check: str
    words: str
    carry_out: Callable[[], None]


def mends(findings: Sequence[Finding], project: Path) -> Iterator[Mend]:
    """What can be mended of `findings` about `project`; all else needs whoever knows the machine."""
    for found in findings:
        if found.state == "ok":
            continue
        if found.check == "locks":
            yield from _notes(project)
        elif found.check == "processes" and found.state == "broken":
            yield Mend(found.check, f"end the processes that an earlier build left here: {found.mend}", _ended(project))
        elif found.check == "tracker" and found.state == "broken" and found.mend.startswith("mv "):
            file = Path(found.mend.split()[1])
            aside = _free(file)
            yield Mend(
                found.check, f"put {file} aside as {aside.name}; the next run makes another", _moved(file, aside)
            )
        elif found.check == "kernel" and found.state == "broken":
            yield _command(found.check, [sys.executable, "-m", "ipykernel", "install", "--sys-prefix", "--name",
                                         found.mend.split()[-1]])  # fmt: skip
        elif found.check == "jupyterlab" and found.state == "broken":
            for line in found.mend.split("; "):
                yield _command(found.check, [sys.executable, "-m", *line.split()])
        elif found.check == "panels" and found.mend == "jupyter labextension enable nbproof":
            yield _command(found.check, [sys.executable, "-m", *found.mend.split()])


def _notes(project: Path) -> Iterator[Mend]:
    """The notes of builds whose processes are gone; the locks themselves went with the processes."""
    for name, pid in held_by(project).items():
        if pid is None or not is_alive(pid):
            note = project / ".nbproof" / "locks" / f"{name}.holder.json"
            yield Mend("locks", f"remove the note of a build that was killed: {note}", _removed(note))


def _removed(note: Path) -> Callable[[], None]:
    return lambda: note.unlink(missing_ok=True)


def _moved(file: Path, aside: Path) -> Callable[[], None]:
    def move() -> None:
        file.rename(aside)

    return move


def _free(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.name}.broken{'' if number == 1 else number}")).exists():
        number += 1
    return aside


def _ended(project: Path) -> Callable[[], None]:
    def end() -> None:
        from ..run.processes import end_lease

        # Looked up again: between the question and its answer somebody may have started a build.
        if any(pid is not None and is_alive(pid) for pid in held_by(project).values()):
            raise WorkFailed("a build has started meanwhile; its processes are left alone", hint="nbproof doctor")
        for lease in sorted(set(leases_in(project).values())):
            end_lease(lease)

    return end


def _command(check: str, words: Sequence[str]) -> Mend:
    shown = " ".join([Path(words[0]).name, *words[1:]])

    def run() -> None:
        ran = subprocess.run(
            list(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
            env={**os.environ, "JUPYTER_PREFER_ENV_PATH": "1"},
        )  # fmt: skip
        if ran.returncode:
            said = (ran.stderr.strip() or ran.stdout.strip()).splitlines()
            raise WorkFailed(f"`{shown}` ended with {ran.returncode}: {said[-1] if said else 'no word'}", hint=shown)

    return Mend(check, f"run {shown}", run)
