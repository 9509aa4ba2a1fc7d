"""Joins the parts to a Jupyter server: their doors, and the events that tell open pages what happens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import about, building, experiments, following, recording, reviewing
from .doors import Route, Server, handlers
from .recorder import Recorder

EVENT = "https://nbproof.invalid/events/fact/v1"
SCHEMA = {
    "$id": EVENT,
    "version": "1",
    "title": "A fact from nbproof",
    "personal-data": True,
    "description": "What a part of nbproof tells the open pages.",
    "type": "object",
    "required": ["part", "facts"],
    "properties": {
        "part": {"type": "string", "title": "Which part tells it"},
        "facts": {"type": "object", "title": "What it tells"},
    },
}


def routes() -> tuple[Route, ...]:
    """Every route of every part."""
    parts = (about, building, experiments, following, recording, reviewing)
    return tuple(route for part in parts for route in part.ROUTES)


def load(app: Any) -> None:
    """Open the doors. Nothing heavy is imported, and nothing is started, before somebody asks for it."""
    app.event_logger.register_event_schema(SCHEMA)
    tell = _teller(app)
    recorder = Recorder(
        root=Path(app.root_dir),
        kernels=app.kernel_manager,
        sessions=app.session_manager,
        loop=app.io_loop.asyncio_loop,
        log=app.log,
        tell=tell,
    )
    server = Server(Path(app.root_dir), tell, recorder.notebook_of, recorder)
    recorder.listen(app.event_logger)
    app.web_app.add_handlers(".*$", handlers(routes(), server, app.web_app.settings["base_url"]))
    app.log.info("nbproof: the panels have their doors")


def _teller(app: Any) -> Any:
    """A function that sends facts to the open pages, from whatever thread."""

    def emit(part: str, facts: Mapping[str, Any]) -> None:
        app.event_logger.emit(schema_id=EVENT, data={"part": part, "facts": dict(facts)})

    def tell(part: str, facts: Mapping[str, Any]) -> None:
        app.io_loop.asyncio_loop.call_soon_threadsafe(emit, part, facts)

    return tell
