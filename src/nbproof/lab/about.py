"""What the page learns first: which nbproof answers, and in which project."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from .doors import Asked, Route


def about(asked: Asked) -> dict[str, Any]:
    """The version, and the project of the file `path`, relative to the server's folder where it lies below it."""
    project = asked.project
    root = asked.server.root.resolve()
    shown = project.root.relative_to(root).as_posix() if project.root.is_relative_to(root) else project.root.name
    return {"version": version("nbproof"), "project": shown, "experiment": project.settings.experiment}


ROUTES = (Route("about", get=about),)
