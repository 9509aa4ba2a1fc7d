"""Records of a stream and what a model answers them, as plain values: one that cannot be answered is told, never lost.

An answer is named for the place of its record, so that it has the same name however often the record is read. This
module knows no broker.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..door import REQUEST_ID
from ..rows import Reader, RowsRefused, Table
from ..stage import Loaded

# What brokers take at most, mostly.
MOST_BYTES = 1_000_000

Problems = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One record: where it stands in which topic, its key and its bytes, each None where it has none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None

    @property
    def id(self) -> str:
        """What the answer to it is called: no two records have the same.

        >>> Record("applications", 0, 17, None, b"{}").id
        'applications-0-17'
        """
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def request(self) -> str:
        """The name of the request: its key, where that can be one, else what its answer is called."""
        if self.key is not None and REQUEST_ID.fullmatch(self.key):
            return self.key.decode()
        return self.id


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A record, its row as a table, and the score."""

    record: Record
    table: Table
    score: float


@dataclass(frozen=True, slots=True)
class Unscored:
    """A record that holds no row for the model, and why: where it is wrong and how, without a value of it."""

    record: Record
    problems: Problems


Answer = Scored | Unscored


def answered(loaded: Loaded, reader: Reader, records: Iterable[Record]) -> list[Answer]:
    """The answers to records, in their order; a record that cannot be answered costs no other its score."""
    read = [(record, _read(reader, record)) for record in records]
    rows = [row for _, row in read if isinstance(row, dict)]
    table = reader.table(rows) if rows else Table(0)
    found = iter(enumerate(_scores(loaded, table) if rows else ()))
    answers: list[Answer] = []
    for record, row in read:
        if not isinstance(row, dict):
            answers.append(Unscored(record, row))
            continue
        at, score = next(found)
        if isinstance(score, float):
            answers.append(Scored(record, table.part(slice(at, at + 1)), score))
        else:
            answers.append(Unscored(record, score))
    return answers


def written(answer: Answer, loaded: Loaded) -> bytes:
    """An answer as JSON: the score, or the problems in its place; the same answer is the same bytes."""
    manifest = loaded.package.manifest
    about = {
        "id": answer.record.id, "request": answer.record.request, "model": manifest.name,
        "version": manifest.version, "digest": loaded.digest.hex,
    }  # fmt: skip
    if isinstance(answer, Scored):
        said: dict[str, Any] = {**about, "score": answer.score}
    else:
        said = {**about, "problems": [{"where": where, "what": what} for where, what in answer.problems]}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _read(reader: Reader, record: Record) -> dict[str, Any] | Problems:
    """The row that a record holds, or what is wrong with it."""
    if record.value is None:
        return (("record", "nothing, expected an object in JSON"),)
    if len(record.value) > MOST_BYTES:
        return (("record", f"larger than {MOST_BYTES} bytes"),)
    try:
        row: dict[str, Any] = reader.row(record.value)
        return row
    except RowsRefused as refused:
        return refused.problems


def _scores(loaded: Loaded, table: Table) -> Sequence[float | Problems]:
    """The score of each row, or why it has none: rows that cannot be scored together are halved until they can."""
    try:
        scores: list[float | Problems] = list(loaded.model.scores(table).tolist())
        return scores
    except RowsRefused as refused:
        if table.count == 1:
            return [refused.problems]
    except Exception:
        # Whatever a model raises about a row; its words may hold values of it.
        if table.count == 1:
            return [(("model", "it gives no probability for this row"),)]
    half = table.count // 2
    return [*_scores(loaded, table.part(slice(None, half))), *_scores(loaded, table.part(slice(half, None)))]
