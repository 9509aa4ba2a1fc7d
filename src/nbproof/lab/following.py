"""The door to hidden state: which cells of a notebook no longer follow from the code above them, and why."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..errors import RequestInvalid
from ..notebook import document
from ..notebook.document import Cell
from ..notebook.following import Execution, Verdict, counted, following, sha256_of
from ..track.capture import session
from .doors import Asked, Route
from .recorder import Recorder, is_recording, why_not

MOST_CELLS, LONGEST_CELL = 5_000, 1_000_000
MOST_TEXTS, MOST_CHARACTERS = 5_000, 20_000_000


class Texts:
    """The texts of cells that pages have shown, by their hash: in memory alone, and not for long.

    Recorded with `metadata`, an execution names its code by a hash. What an earlier version of a cell did can be said
    only while somebody remembers its text.
    """

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def remember(self, source: str) -> None:
        """Keep a text, and forget those that were not seen for longest."""
        key = sha256_of(source)
        with self._lock:
            self._characters += len(source) - len(self._texts.pop(key, ""))
            self._texts[key] = source
            while len(self._texts) > MOST_TEXTS or self._characters > MOST_CHARACTERS:
                _, forgotten = self._texts.popitem(last=False)
                self._characters -= len(forgotten)

    def of(self, key: str | None) -> str | None:
        """The text with this hash, if it is remembered."""
        with self._lock:
            return self._texts.get(key or "")


_TEXTS = Texts()


def following_of_file(asked: Asked) -> dict[str, Any]:
    """Say it of the notebook `path` as it lies on the disk."""
    found = document.read(asked.file())
    shown = {cell["id"]: cell.get("execution_count") for cell in found.content["cells"]}
    return _judged(asked, found.cells, {id_: count for id_, count in shown.items() if isinstance(count, int)})


def following_of_page(asked: Asked) -> dict[str, Any]:
    """Say it of the cells that a page shows, saved or not: `{path, cells: [{id, kind, source, tags, count}]}`.

    It is a question and changes nothing; a POST because cells can be long.
    """
    asked.file()
    given = asked.body.get("cells")
    if not isinstance(given, list) or len(given) > MOST_CELLS:
        raise RequestInvalid("cells", type(given).__name__, f"a list of at most {MOST_CELLS} cells")
    cells = [_cell(number, one) for number, one in enumerate(given)]
    ids = {cell.id for cell in cells}
    if len(ids) != len(cells):
        raise RequestInvalid("cells", "an id that stands twice", "an id of its own for each cell")
    for cell in cells:
        _TEXTS.remember(cell.source)
    counts = {one["id"]: one["count"] for one in given if type(one.get("count")) is int}
    return _judged(asked, cells, counts)


def _cell(number: int, given: Any) -> Cell:
    where = f"cells[{number}]"
    if not isinstance(given, Mapping):
        raise RequestInvalid(where, type(given).__name__, "a cell")
    id_, kind, source, tags = (given.get(name) for name in ("id", "kind", "source", "tags"))
    if not isinstance(id_, str) or not 1 <= len(id_) <= 64:
        raise RequestInvalid(f"{where}.id", repr(id_)[:80], "the id of a cell")
    if kind not in ("code", "markdown", "raw"):
        raise RequestInvalid(f"{where}.kind", repr(kind)[:80], "code, markdown or raw")
    if not isinstance(source, str) or len(source) > LONGEST_CELL:
        raise RequestInvalid(f"{where}.source", type(source).__name__, f"text of at most {LONGEST_CELL} characters")
    known = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    return Cell(id_, kind, source if kind == "code" else "", known)


def _judged(asked: Asked, cells: Iterable[Cell], counts: Mapping[str, int]) -> dict[str, Any]:
    recorder = asked.server.recorder
    assert isinstance(recorder, Recorder)
    path = asked.text("path").strip("/")
    lives = recorder.lives_of(path)
    found: dict[str, Any] = {"path": path, "session": None, "is_known": True, "reason": None}
    executions: tuple[session.Execution, ...] = ()
    if lives:
        life = lives[-1]
        if not is_recording(life):
            return {**found, "is_known": False, "reason": why_not(life), "cells": [], "counts": {}}
        with life.lock:
            recorded = life.reader.session()
        executions = recorded.executions if recorded is not None else ()
        found["session"] = life.place.session_id
    ran = tuple(_execution(one) for one in executions if one.parent is None)
    verdicts = _verdicts(tuple(cells), ran, tuple(counts.items()))
    said = [{"id": one.cell_id, "state": one.state, "because": one.because, "cause": one.cause} for one in verdicts]
    return {**found, "cells": said, "counts": counted(verdicts)}


@lru_cache(maxsize=16)
def _verdicts(
    cells: tuple[Cell, ...], executions: tuple[Execution, ...], counts: tuple[tuple[str, int], ...]
) -> tuple[Verdict, ...]:
    """What is asked again while nothing has changed, as two pages of one notebook do, is not worked out again."""
    return following(cells, executions, counts=dict(counts))


def _execution(recorded: session.Execution) -> Execution:
    # Of a cell that is not logged only that it ran is known; its hash is not there either.
    outcome = recorded.outcome if recorded.outcome != "unlogged" else "ok"
    error = recorded.error.partition(":")[0] if recorded.error else None
    source = recorded.code if recorded.code is not None else _TEXTS.of(recorded.code_sha256)
    return Execution(recorded.cell_id, recorded.code_sha256, source, outcome, error, recorded.count)


ROUTES = (Route("recording/following", get=following_of_file, post=following_of_page),)
