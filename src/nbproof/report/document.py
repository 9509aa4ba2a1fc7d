"""A document as a value: sections of words, facts, tables, figures and of what a person still owes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import ReportRefused
from ..records import ContentHash

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was read: phase, file and content hash, and the place inside (`/`-separated keys).

    In a key `~1` stands for `/` and `~0` for `~`, as in a JSON pointer.
    """

    phase: str
    file: str
    digest: ContentHash
    place: str = ""

    def __str__(self) -> str:
        inside = f" at {self.place}" if self.place else ""
        return f"{self.phase}, {self.file}{inside}, {self.digest.short}"

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901)."""
        return f"/{self.place}" if self.place else ""

    def at(self, *keys: str) -> Source:
        """A place further inside; keys are escaped already."""
        return replace(self, place="/".join(key for key in (self.place, *keys) if key))


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph that a person wrote in advance; it holds no result."""

    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One value with its label, read from `source`. `is_verdict` says that it is good or bad news."""

    label: str
    value: Scalar
    source: Source
    is_verdict: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """How many records at `source` hold one of `values` in `field`: a number that can be counted again."""

    label: str
    value: int
    source: Source
    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What a person answered to what was owed, with who said it and when."""

    what: str
    words: str
    by: str
    on: str
    source: Source


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that were all read from `source`, a list of records or a mapping of them.

    `fields` says for each column where in a record its value lies, `keys` where at the source each record does.
    `marks` names the column whose words are verdicts.
    """

    caption: str
    columns: tuple[str, ...]
    fields: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    source: Source
    marks: str | None = None
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.keys and len(self.keys) != len(self.rows):
            raise ValueError(f"{self.caption}: {len(self.keys)} places of {len(self.rows)} rows")
        if len(self.fields) != len(self.columns) or any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.caption}: fields or a row do not fit its {len(self.columns)} columns")
        if self.marks is not None and self.marks not in self.columns:
            raise ValueError(f"{self.caption}: no column is called {self.marks!r}")

    def column(self, name: str) -> tuple[Scalar, ...]:
        """The values of one column."""
        at = self.columns.index(name)
        return tuple(row[at] for row in self.rows)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture that is drawn from its tables, which stand below it: it shows nothing that they do not hold."""

    kind: str
    caption: str
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """An SVG picture with the words that stand in for it."""

    caption: str
    svg: str
    source: Source


@dataclass(frozen=True, slots=True)
class Inventory:
    """A list of files, each with its phase and content hash."""

    caption: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that only a person can say; it is shown as missing, never invented.

    `code` is the name under which an answer would be given ("": there is none).
    """

    what: str
    owner: str
    code: str = ""

    def __post_init__(self) -> None:
        if not self.what.strip() or not self.owner.strip():
            raise ValueError("what is owed needs a description and an owner")


@dataclass(frozen=True, slots=True)
class Missing:
    """Evidence that is not there, and what would leave it."""

    what: str
    where: str


Entry = Words | Fact | Count | Said | Table | Drawing | Figure | Inventory | Owed | Missing
Sourced = Fact | Count | Said | Table | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """A title and what stands under it; `asks` says what a reviewer looks for here, `number` counts points from 1."""

    title: str
    entries: tuple[Entry, ...]
    asks: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A title, a line of summary and sections in order."""

    title: str
    summary: str
    sections: tuple[Section, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(entry for section in self.sections for entry in section.entries)

    @property
    def owed(self) -> tuple[Owed, ...]:
        """What people still have to say."""
        return tuple(entry for entry in self.entries if isinstance(entry, Owed))

    @property
    def sourced(self) -> tuple[Sourced, ...]:
        """Everything that was read from somewhere; of a picture, its tables."""
        found: list[Sourced] = []
        for entry in self.entries:
            if isinstance(entry, Sourced):
                found.append(entry)
            elif isinstance(entry, Drawing):
                found.extend(entry.tables)
        return tuple(found)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source that is named, once, in order."""
        found = dict.fromkeys(each.source for each in self.sourced)
        for entry in self.entries:
            if isinstance(entry, Inventory):
                found.update(dict.fromkeys(entry.sources))
        return tuple(found)


def composed(title: str, summary: str, required: Sequence[str], sections: Mapping[str, Iterable[Entry]]) -> Document:
    """Return a document with exactly the `required` sections, in that order.

    Raises `ReportRefused` naming every section that is missing, unknown or empty.
    """
    filled = {name: tuple(entries) for name, entries in sections.items()}
    problems = [f"section `{name}` is missing" for name in required if name not in filled]
    problems += [f"section `{name}` is unknown" for name in filled if name not in required]
    problems += [f"section `{name}` is empty" for name in required if name in filled and not filled[name]]
    if problems:
        raise ReportRefused(title, problems)
    return Document(title, summary, tuple(Section(name, filled[name]) for name in required))
