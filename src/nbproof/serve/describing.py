"""What OpenAPI says of the requests that a model answers. They are answered at the door, so nothing here ever runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from .limits import Bounds
from .rows import ARROW, rows_type
from .signature import Signature

if TYPE_CHECKING:
    from fastapi import FastAPI


class Scores(BaseModel):
    """What predict answers: one probability a row, in the order asked, and the model that gave them."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: str
    scores: list[float]


class Reason(BaseModel):
    """What pushed a score up, and by how much."""

    reason: str
    push: float


class ExplainedRow(BaseModel):
    """One row: its score, the share of each feature, and what pushed it up most (at most four).

    Shares that are estimates have their standard errors beside them.
    """

    score: float
    shares: list[float]
    errors: list[float] | None = None
    reasons: list[Reason]


class Compared(BaseModel):
    """The rows that shares compare with: how many, and the SHA-256 of the file that holds them."""

    rows: int
    sha256: str


class Explanation(BaseModel):
    """What explain answers: for each row `base` plus its shares is the model's own answer, in `unit`.

    Without a `background` the shares follow the trees of the model; `notes` are what a reader must know.
    """

    model: str
    version: str
    unit: str
    method: str
    exact: bool
    seed: int | None = None
    notes: list[str] = []
    background: Compared | None = None
    base: float
    features: list[str]
    rows: list[ExplainedRow]


class Problem(BaseModel):
    """One thing that is wrong with a request, and where."""

    where: str
    what: str


class Problems(BaseModel):
    """Why a request was refused. Values are not repeated: they may be personal."""

    problems: list[Problem]


def describe(app: FastAPI, signature: Signature, bounds: Bounds) -> None:
    """Add the addresses to the description of `app`."""
    rows = rows_type(signature, bounds.rows)

    def refused(what: str) -> dict[str, Any]:
        return {"model": Problems, "description": what}

    refusals: dict[int | str, dict[str, Any]] = {
        400: refused("The body is no text"),
        401: refused("No key that is known"),
        408: refused(f"The body did not arrive within {bounds.body_s:g} s"),
        413: refused(f"The body is larger than {bounds.body_bytes} bytes"),
        415: refused(f"The body is neither JSON nor {ARROW}"),
        422: refused("The rows do not fit the signature"),
        429: refused("Too many rows wait for the model"),
        503: refused("No model answers; the problem says why"),
    }
    stream = {"schema": {"type": "string", "format": "binary"}}

    def answered_at_the_door(asked: Any) -> None:
        raise AssertionError("the door answers this")

    answered_at_the_door.__annotations__["asked"] = rows

    def add(path: str, gives: type[BaseModel], summary: str, more: dict[int | str, dict[str, Any]]) -> None:
        app.post(
            path,
            response_model=gives,
            summary=summary,
            operation_id=path.strip("/"),
            responses={200: {"content": {ARROW: stream}}, **refusals, **more},
            openapi_extra={"requestBody": {"content": {ARROW: stream}}},
        )(answered_at_the_door)

    add("/predict", Scores, "Score rows", {})
    add("/explain", Explanation, "Score rows, and say why", {409: refused("The model has no explanation")})
