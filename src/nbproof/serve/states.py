"""What a service says of itself: that it lives, whether a model answers and why not, which one, and its counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ..errors import NbproofError
from . import reply
from .answering import Asked
from .counts import Counts
from .reply import Reply
from .stage import Loaded, NotReady, Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI, Response
    from starlette.types import Receive


class State(BaseModel):
    """One word on how the service is."""

    status: str


class Approval(BaseModel):
    """Why the model may answer, in a sentence; whether that is an approval, and when it ends."""

    sentence: str
    is_approved: bool
    ends: str | None


class Identity(BaseModel):
    """Which model answers here; hashes are SHA-256, `digest` is that of its folder, which was approved."""

    name: str
    version: str
    hashes: dict[str, str]
    digest: str
    approval: Approval
    explained: str
    card: dict[str, Any]


def identity(loaded: Loaded) -> Identity:
    """What there is to say about a model."""
    manifest, grant = loaded.package.manifest, loaded.grant
    return Identity(
        name=manifest.name,
        version=manifest.version,
        hashes={key: digest.hex for key, (_, digest) in sorted(manifest.files.items())},
        digest=loaded.digest.hex,
        approval=Approval(
            sentence=grant.sentence,
            is_approved=grant.is_approved,
            ends=None if grant.ends is None else f"{grant.ends:%Y-%m-%dT%H:%M:%SZ}",
        ),
        explained=f"not explained: {loaded.unexplained}" if loaded.explainer is None else loaded.explainer.says,
        card=dict(loaded.card),
    )


def add_states(app: FastAPI, stage: Stage, counts: Counts) -> None:
    """Add the addresses that say how the service is."""
    from fastapi import HTTPException
    from fastapi.responses import PlainTextResponse

    @app.get("/health")
    async def health() -> State:
        """The process lives."""
        return State(status="alive")

    @app.get("/ready", responses={503: {"description": "No model answers; `detail` says why"}})
    async def ready() -> State:
        """A model answers, and rows may be sent."""
        try:
            stage.current()
        except NotReady as error:
            raise HTTPException(503, str(error)) from None
        return State(status="ready")

    @app.get("/model", responses={503: {"description": "No model answers; `detail` says why"}})
    async def model() -> Identity:
        """The model that answers here."""
        try:
            return identity(stage.current())
        except NotReady as error:
            raise HTTPException(503, str(error)) from None

    @app.get("/metrics", response_class=PlainTextResponse, response_model=None)
    async def metrics() -> Response:
        """Counts and times in the Prometheus text format."""
        try:
            stage.current()
            is_ready = True
        except NotReady:
            is_ready = False
        return PlainTextResponse(counts.text(is_ready=is_ready), media_type=counts.content_type)


def swapping(stage: Stage) -> Callable[[Asked, Receive], Awaitable[Reply]]:
    """What answers a request to load what is there now."""

    async def swap(_: Asked, receive: Receive) -> Reply:
        try:
            loaded = await asyncio.to_thread(stage.load)
        except NbproofError as error:
            return reply.problems(409, [("model", str(error))])
        return reply.of_json(identity(loaded).model_dump())

    return swap
