"""The HTTP service of one packaged model: predict, explain, health, ready, model, metrics, and what describes them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..extras import require
from .admission import Admission, Unasked
from .answering import Answering
from .batching import Batching
from .counts import Counts
from .describing import describe
from .door import Door
from .keys import Keys
from .limits import Bounds
from .log import PredictionLog
from .package import Package, read
from .rows import Reader
from .source import Folder, Source
from .stage import CHECK_S, Stage
from .states import add_states, swapping
from .tokens import Provider, Tokens

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["Bounds", "Ways", "application", "openapi", "served"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a service works. `tell` hears of events in words, `told` of every answer: name, route, status, seconds."""

    bounds: Bounds = field(default_factory=Bounds)
    batching: Batching = field(default_factory=Batching)
    keys: Keys | None = None
    provider: Provider | None = None
    log: Path | None = None
    log_share: float = 1.0
    follow: bool = False
    explains: bool = False
    check_s: float = CHECK_S
    tell: Callable[[str, str], None] = lambda event, words: None
    told: Callable[[str, str, int, float], None] | None = None


def application(folder: Path, *, bounds: Bounds | None = None) -> FastAPI:
    """Return the service of the package in `folder`, which asks nobody for an approval; it is loaded when it starts.

    Raises `ModelRefused` when the folder is not a whole package.
    """
    return served(read(folder), Folder(folder), Unasked(), Ways(bounds=bounds or Bounds()))


def served(package: Package, source: Source, admission: Admission, ways: Ways) -> FastAPI:
    """Return the service of a package that was read from `source`.

    Whether its model may answer is asked when it starts, of these very bytes, and again while it runs.
    """
    require("fastapi")
    from fastapi import FastAPI

    stage = Stage(source, admission, follow=ways.follow, explains=ways.explains, check_s=ways.check_s, tell=ways.tell)
    counts = Counts()
    reader = Reader(package.signature, ways.bounds.rows)
    log = None if ways.log is None else PredictionLog(ways.log, package.signature, share=ways.log_share)
    answering = Answering(stage, reader, ways.bounds, ways.batching, counts, log)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not stage.is_loaded:
            stage.load(package)
        answering.start()
        stage.watch()
        yield
        await answering.stop()
        stage.stop()

    # The usual documentation pages fetch their scripts from elsewhere, so they stay off; /openapi.json stays.
    app = FastAPI(
        title=package.manifest.name,
        version=package.manifest.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.stage = stage
    app.state.is_draining = False
    describe(app, package.signature, ways.bounds)
    add_states(app, stage, counts)
    app.add_middleware(
        Door,
        answers={
            ("POST", "/predict"): lambda asked, receive: answering.guarded(answering.predict, asked, receive),
            ("POST", "/explain"): lambda asked, receive: answering.guarded(answering.explain, asked, receive),
            ("POST", "/admin/swap"): swapping(stage),
        },
        bounds=ways.bounds,
        counts=counts,
        keys=ways.keys,
        tokens=None if ways.provider is None else Tokens(ways.provider, tell=ways.tell),
        is_draining=lambda: app.state.is_draining,
        told=ways.told,
    )
    return app


def openapi(folder: Path) -> str:
    """Return the OpenAPI description of the service of `folder` as canonical JSON."""
    return json.dumps(application(folder).openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
