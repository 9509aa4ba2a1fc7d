"""The requests that a model answers, with its scores and why: each is read, checked, scored and written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NbproofError, StorageFailed
from . import reply
from .batching import Batcher, Batching, Busy
from .counts import Counts
from .explaining import Explained, reasons
from .limits import Bounds, TooLarge, TooSlow, body_of
from .log import Answered, PredictionLog
from .reply import Reply
from .rows import Reader, RowsRefused, Table
from .stage import Loaded, NotReady, Stage

if TYPE_CHECKING:
    from starlette.types import Receive


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as its headers say: its name, what its body is, and whether the answer shall be Arrow."""

    request: str
    media: str
    wants_arrow: bool


class Answering:
    """Answers requests with the model of a stage."""

    def __init__(
        self, stage: Stage, reader: Reader, bounds: Bounds, batching: Batching, counts: Counts,
        log: PredictionLog | None = None,
    ) -> None:  # fmt: skip
        self._stage, self._reader, self._bounds, self._counts, self._log = stage, reader, bounds, counts, log
        self._scoring = Batcher(_scores, batching, waiting_rows=bounds.waiting_rows, called=counts.called)
        self._explaining = Batcher(_explained, batching, waiting_rows=bounds.waiting_rows)

    def start(self) -> None:
        """Start what works for requests."""
        if self._log is not None:
            self._log.start()
        self._scoring.start()
        self._explaining.start()

    async def stop(self) -> None:
        """Finish what has been asked, then end."""
        await self._scoring.stop()
        await self._explaining.stop()
        if self._log is not None:
            await self._log.stop()

    async def predict(self, asked: Asked, receive: Receive) -> Reply:
        """The scores of the rows in a body."""
        loaded = self._stage.current()
        table, scores = await self._worked(loaded, asked, receive, self._scoring)
        await self._keep(asked, loaded, table, scores)
        about = {"model": loaded.package.manifest.name, "version": loaded.package.manifest.version}
        if asked.wants_arrow:
            return reply.of_arrow({"score": np.array(scores)}, about)
        return reply.of_json({**about, "scores": scores})

    async def explain(self, asked: Asked, receive: Receive) -> Reply:
        """The scores of the rows in a body, and what each field had to do with them."""
        loaded = self._stage.current()
        explainer = loaded.explainer
        if explainer is None:
            raise _Refused(reply.problems(409, [("model", f"no explanation: {loaded.unexplained}")]))
        against = explainer.against
        most = None if against is None else against.most_rows
        table, found = await self._worked(loaded, asked, receive, self._explaining, most=most)
        await self._keep(asked, loaded, table, found.scores.tolist())
        manifest = loaded.package.manifest
        about = {
            "model": manifest.name,
            "version": manifest.version,
            "unit": explainer.unit,
            "method": explainer.method,
        }
        if asked.wants_arrow:
            return reply.of_arrow(_columns(found, explainer.features), {**about, "base": repr(found.base)})
        more = {"exact": True} if against is None else {
            "exact": against.is_exact, "seed": against.seed, "notes": against.notes,
            "background": {"rows": against.rows, "sha256": against.digest.hex},
        }  # fmt: skip
        return reply.of_json({
            **about, **more, "base": found.base, "features": explainer.features,
            "rows": _rows(found, explainer.features, loaded.texts),
        })  # fmt: skip

    async def guarded(self, answer: Any, asked: Asked, receive: Receive) -> Reply:
        """What `answer` gives, and for what goes wrong the reply that says so."""
        try:
            given: Reply = await answer(asked, receive)
            return given
        except _Refused as refused:
            return refused.reply
        except RowsRefused as error:
            return reply.problems(error.status, error.problems)
        except NotReady as error:
            return reply.problems(503, [("model", str(error))])
        except TooLarge:
            return reply.problems(413, [("body", f"larger than {self._bounds.body_bytes} bytes")])
        except TooSlow:
            return reply.problems(408, [("body", f"not there within {self._bounds.body_s:g} s")], CLOSE)
        except Busy:
            return reply.problems(429, [("model", "too many rows wait for it")], ((b"retry-after", b"1"),))
        except TimeoutError:
            return reply.problems(503, [("model", f"no answer within {self._bounds.answer_s:g} s")])
        except StorageFailed as error:
            # What cannot be written down is not answered.
            return reply.problems(503, [("log", str(error))])
        except NbproofError as error:
            return reply.problems(500, [("model", str(error))])

    async def _keep(self, asked: Asked, loaded: Loaded, table: Table, scores: list[float]) -> None:
        """Count the scores, and write them down before anybody hears of them."""
        if self._log is not None:
            manifest = loaded.package.manifest
            await self._log.keep(
                Answered(asked.request, time.time(), manifest.name, manifest.version, loaded.digest.hex, table, scores)
            )
        self._counts.scored(scores)

    async def _worked(
        self, loaded: Loaded, asked: Asked, receive: Receive, batcher: Batcher, *, most: int | None = None
    ) -> tuple[Table, Any]:
        """The rows of a body and what a model makes of them: the model of one moment, whatever is swapped meanwhile."""
        table = self._reader.read(await body_of(receive, self._bounds), asked.media)
        if most is not None and table.count > most:
            raise RowsRefused(422, [("body.rows", f"found {table.count} rows, expected at most {most} to be explained "
                                     "at a time")])  # fmt: skip
        async with asyncio.timeout(self._bounds.answer_s):
            found = await batcher.ask(loaded, table)
        # Its approval may have been taken back while the model worked.
        self._stage.current()
        return table, found


CLOSE = ((b"connection", b"close"),)


class _Refused(Exception):
    def __init__(self, given: Reply) -> None:
        self.reply = given
        super().__init__(given.status)


def _scores(loaded: Loaded, table: Table, counts: Sequence[int]) -> Sequence[list[float]]:
    scores = loaded.model.scores(table).tolist()
    if len(counts) == 1:
        return [scores]
    ends = np.cumsum(counts).tolist()
    return [scores[end - count : end] for end, count in zip(ends, counts, strict=True)]


def _columns(found: Explained, features: Sequence[str]) -> dict[str, Any]:
    """An explanation as columns."""
    shares = {f"share.{name}": found.shares[:, at] for at, name in enumerate(features)}
    if found.errors is None:
        return {"score": found.scores, **shares}
    return {"score": found.scores, **shares, **{f"error.{name}": found.errors[:, at]
                                                for at, name in enumerate(features)}}  # fmt: skip


def _rows(found: Explained, features: tuple[str, ...], texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """An explanation row by row."""
    rows = []
    for at, (score, shares) in enumerate(zip(found.scores.tolist(), found.shares, strict=True)):
        errors = None if found.errors is None else found.errors[at]
        more = {} if errors is None else {"errors": errors.tolist()}
        pushed = reasons(shares, features, texts, errors)
        rows.append({"score": score, "shares": shares.tolist(), **more, "reasons": pushed})
    return rows


def _explained(loaded: Loaded, table: Table, counts: Sequence[int]) -> Sequence[Explained]:
    assert loaded.explainer is not None
    found = loaded.explainer(table)
    ends = np.cumsum(counts).tolist()
    errors = found.errors
    return [
        Explained(
            found.scores[end - count : end],
            found.shares[end - count : end],
            found.base,
            None if errors is None else errors[end - count : end],
        )
        for end, count in zip(ends, counts, strict=True)
    ]
