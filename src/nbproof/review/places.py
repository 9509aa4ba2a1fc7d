"""Where the records of a project lie: within it, and reached by no link that leads out of it."""

from __future__ import annotations

from pathlib import Path

from ..errors import ApprovalInvalid


def place_of(project: Path, name: str) -> Path:
    """The file called `name` in the project; raises `ApprovalInvalid` when a link on the way leads elsewhere."""
    path = project / name
    # Whoever could put a link there would choose the rules, the people or the past.
    if path.resolve() != project.resolve() / name:
        raise ApprovalInvalid(name, "a link to another file", "a file of the project itself", hint=f"ls -l {name}")
    return path
