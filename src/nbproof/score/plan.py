"""What is scored in which order: files and row groups, cut into numbered parts; one input is always cut alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..records import ContentHash
from ..run.sources.hashes import canonical_json


@dataclass(frozen=True, slots=True)
class File:
    """One Parquet file: its name within the input, the rows of each of its row groups, and the hash of its footer.

    The footer holds the schema, the place and size of every column chunk and their statistics; `size` is in bytes.
    """

    name: str
    groups: tuple[int, ...]
    footer: ContentHash
    size: int

    @property
    def rows(self) -> int:
        return sum(self.groups)


@dataclass(frozen=True, slots=True)
class Slice:
    """Row groups of one file that follow one another, and how many rows they hold."""

    file: str
    groups: tuple[int, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the work and of the output; its rows stand in the order of the input."""

    number: int
    slices: tuple[Slice, ...]

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.slices)


@dataclass(frozen=True, slots=True)
class Plan:
    """All parts, and the hash of everything that decides what they will hold."""

    parts: tuple[Part, ...]
    fingerprint: ContentHash

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


def planned(
    files: Sequence[File], *, model: str, options: Mapping[str, Any], part_rows: int, partitions: int | None = None
) -> Plan:
    """Cut `files`, in this order, into parts of about `part_rows` rows, or into `partitions` of about the same size.

    `model` is the model's content hash; `options` all that changes what it answers or how that is written.
    """
    parts = cut_evenly(files, partitions) if partitions is not None else cut(files, part_rows)
    told = {
        "files": [{**asdict(file), "footer": file.footer.hex} for file in files],
        "model": model,
        "options": dict(options),
        "parts": [[[each.file, list(each.groups)] for each in part.slices] for part in parts],
    }
    return Plan(parts, ContentHash.of(canonical_json(told)))


def cut(files: Sequence[File], part_rows: int) -> tuple[Part, ...]:
    """Parts of at most `part_rows` rows, or of one row group that is larger.

    >>> [part.rows for part in cut([File("a", (4, 4, 4), ContentHash("0" * 64), 1)], 9)]
    [8, 4]
    """
    held: list[list[tuple[str, int, int]]] = [[]]
    rows = 0
    for group in _groups(files):
        if rows and rows + group[2] > part_rows:
            held.append([])
            rows = 0
        held[-1].append(group)
        rows += group[2]
    return _numbered(held)


def cut_evenly(files: Sequence[File], partitions: int) -> tuple[Part, ...]:
    """At most `partitions` parts; a row group goes where the middle of its rows lies.

    >>> [part.rows for part in cut_evenly([File("a", (5, 5, 5, 5), ContentHash("0" * 64), 1)], 2)]
    [10, 10]
    """
    total = sum(file.rows for file in files)
    held: list[list[tuple[str, int, int]]] = [[] for _ in range(partitions)]
    before = 0
    for group in _groups(files):
        held[(2 * before + group[2]) * partitions // (2 * total)].append(group)
        before += group[2]
    return _numbered([each for each in held if each])


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """A key that sorts names as people count: `part-2` before `part-10`, folder by folder.

    >>> sorted(["b/1", "a/10", "a/9"], key=natural)
    ['a/9', 'a/10', 'b/1']
    """
    pieces = re.findall(r"\d+|[^\d/]+|/", name)
    # The end of a folder's name sorts before any longer name; equal numbers in two spellings by their spelling.
    key: list[tuple[int, int | str]] = []
    for piece in pieces:
        key.append((0, "/") if piece == "/" else (1, int(piece)) if piece.isdecimal() else (2, piece))
    return (*key, (0, name))


def _groups(files: Sequence[File]) -> Iterator[tuple[str, int, int]]:
    """File, number and rows of every row group that holds any."""
    for file in files:
        for number, rows in enumerate(file.groups):
            if rows:
                yield file.name, number, rows


def _numbered(held: Sequence[Sequence[tuple[str, int, int]]]) -> tuple[Part, ...]:
    """Parts with their numbers; of no rows at all there is one part, too, so that the output has its columns."""
    return tuple(Part(number, _slices(groups)) for number, groups in enumerate(held or [[]]))


def _slices(groups: Sequence[tuple[str, int, int]]) -> tuple[Slice, ...]:
    found: dict[str, list[tuple[int, int]]] = {}
    for name, number, rows in groups:
        found.setdefault(name, []).append((number, rows))
    return tuple(
        Slice(name, tuple(number for number, _ in each), sum(rows for _, rows in each)) for name, each in found.items()
    )
