"""The HTTP service of one packaged model: predict, health, ready, model, metrics and its OpenAPI description."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from ..extras import require
from .package import Model, Package, read

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one request may ask for."""

    rows: int = 1000
    body_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        if self.rows < 1 or self.body_bytes < 1:
            raise ValueError("a service that takes no rows is none")


class Scores(BaseModel):
    """What predict answers: one probability a row, in the order asked, and the model that gave them."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: str
    scores: list[float]


class Problem(BaseModel):
    """One thing that is wrong with a request, and where."""

    where: str
    what: str


class Problems(BaseModel):
    """Why a request was refused. Values are not repeated: they may be personal."""

    problems: list[Problem]


class State(BaseModel):
    """One word on how the service is."""

    status: str


class Identity(BaseModel):
    """Which model answers here; hashes are SHA-256."""

    name: str
    version: str
    hashes: dict[str, str]


@dataclass(slots=True)
class _Slot:
    """The place of the model: empty until it is loaded."""

    model: Model | None = field(default=None)


def application(folder: Path, *, bounds: Bounds = Bounds()) -> FastAPI:
    """Return the service of the package in `folder`; the model is loaded when it starts.

    Raises `ModelRefused` when the folder is not a whole package.
    """
    require("fastapi")
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError

    package = read(folder)
    slot = _Slot()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        slot.model = package.load()
        yield
        slot.model = None

    # The usual documentation pages fetch their scripts from elsewhere, so they stay off; /openapi.json stays.
    app = FastAPI(
        title=package.manifest.name,
        version=package.manifest.version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    counts = _Counts()
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_middleware(_BodyLimit, body_bytes=bounds.body_bytes)
    app.add_middleware(_Counted, counts=counts)
    _add_predict(app, package, slot, counts, bounds)
    _add_states(app, package, slot, counts)
    return app


def _add_predict(app: FastAPI, package: Package, slot: _Slot, counts: _Counts, bounds: Bounds) -> None:
    from fastapi import HTTPException

    row_type = package.signature.row_model()
    rows_type: Any = create_model(
        "Rows",
        __config__=ConfigDict(extra="forbid"),
        rows=(list[row_type], Field(min_length=1, max_length=bounds.rows)),  # type: ignore[valid-type]  # made at run time
    )
    manifest = package.manifest

    def predict(asked: Any) -> Scores:
        if slot.model is None:
            raise HTTPException(503, "the model is not loaded")
        scores = slot.model.score([row.model_dump() for row in asked.rows])
        counts.scored(scores)
        return Scores(model=manifest.name, version=manifest.version, scores=scores)

    predict.__annotations__["asked"] = rows_type
    responses: dict[int | str, dict[str, Any]] = {
        400: {"description": "The body is no text, or nested too deeply"},
        413: {"model": Problems, "description": f"The body is larger than {bounds.body_bytes} bytes"},
        422: {"model": Problems, "description": "The rows do not fit the signature"},
        503: {"description": "The model is not loaded"},
    }
    app.post("/predict", response_model=Scores, responses=responses)(predict)


def _add_states(app: FastAPI, package: Package, slot: _Slot, counts: _Counts) -> None:
    from fastapi import HTTPException
    from fastapi.responses import PlainTextResponse

    manifest = package.manifest

    @app.get("/health")
    def health() -> State:
        """The process lives."""
        return State(status="alive")

    @app.get("/ready", responses={503: {"description": "The model is not loaded"}})
    def ready() -> State:
        """The model is loaded and rows may be sent."""
        if slot.model is None:
            raise HTTPException(503, "the model is not loaded")
        return State(status="ready")

    @app.get("/model")
    def model() -> Identity:
        """The model that answers here."""
        hashes = {key: digest.hex for key, (_, digest) in sorted(manifest.files.items())}
        return Identity(name=manifest.name, version=manifest.version, hashes=hashes)

    @app.get("/metrics", response_class=PlainTextResponse, response_model=None)
    def metrics() -> Response:
        """Counts and times in the Prometheus text format."""
        return PlainTextResponse(counts.text(), media_type=counts.content_type)


async def _refuse(_: Request, error: Exception) -> Response:
    """Say what is wrong and where, without repeating the values."""
    from fastapi.exceptions import RequestValidationError

    assert isinstance(error, RequestValidationError)
    problems = [
        {"where": ".".join(str(part) for part in each["loc"]), "what": each["msg"]}
        for each in error.errors()[:MAX_PROBLEMS]
    ]
    return _problems(422, problems)


def _problems(status: int, problems: list[dict[str, str]]) -> Response:
    from fastapi.responses import JSONResponse

    return JSONResponse({"problems": problems}, status_code=status)


class _Counts:
    """What the service counts of itself, in a registry of its own."""

    def __init__(self) -> None:
        require("prometheus_client")
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram

        self.content_type = CONTENT_TYPE_LATEST
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "nbproof_requests_total", "Requests answered", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram("nbproof_request_seconds", "Time to answer", ["path"], registry=self._registry)
        self._scores = Histogram(
            "nbproof_score",
            "Scores given",
            buckets=[each / 10 for each in range(1, 11)],
            registry=self._registry,
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def scored(self, scores: list[float]) -> None:
        for each in scores:
            self._scores.observe(each)

    def text(self) -> bytes:
        from prometheus_client import generate_latest

        return generate_latest(self._registry)


class _Counted:
    """Counts each request by route; an address that no route knows counts as `other`, so labels stay few."""

    def __init__(self, app: ASGIApp, counts: _Counts) -> None:
        self._app, self._counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = scope.get("route")
            self._counts.answered(getattr(route, "path", "other"), status, time.perf_counter() - began)


class _BodyLimit:
    """Reads a body up to its limit before anyone parses it; a larger one is answered with 413."""

    def __init__(self, app: ASGIApp, body_bytes: int) -> None:
        self._app, self._body_bytes = app, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await self._read(receive)
        if body is None:
            what = f"larger than {self._body_bytes} bytes"
            await _problems(413, [{"where": "body", "what": what}])(scope, receive, send)
            return
        waiting = [body]

        async def replayed() -> Message:
            if waiting:
                return {"type": "http.request", "body": waiting.pop(), "more_body": False}
            return await receive()

        await self._app(scope, replayed, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the whole body, or None as soon as it is too large."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._body_bytes:
                return None
        return bytes(body)


def openapi(folder: Path) -> str:
    """Return the OpenAPI description of the service of `folder` as canonical JSON."""
    return json.dumps(application(folder).openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
