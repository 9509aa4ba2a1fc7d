"""Evidence: the products of earlier phases, from which every number of a document is read and can be read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ReportRefused
from ..records import ContentHash
from ..run.sources.hashes import content_hash
from .document import Count, Document, Fact, Figure, Inventory, Said, Scalar, Source, Sourced, Table


@dataclass(frozen=True, slots=True)
class Evidence:
    """Products by phase and key: `{"06_training": {"metrics": "build/06_training/metrics.json"}}`.

    Their paths are relative to `root` (None: the current folder), and so are those that sources name.
    """

    products: Mapping[str, Mapping[str, str]]
    root: Path | None = None
    _read: dict[tuple[str, str], tuple[bytes, Source]] = field(default_factory=dict, repr=False, compare=False)
    _understood: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    def has(self, phase: str, key: str, place: str = "") -> bool:
        """Whether there is anything at this place; a file that cannot be read is refused, and never taken for none."""
        if key not in self.products.get(phase, {}):
            return False
        found = self.json(phase, key) if place else ()
        for step in steps(place):
            try:
                found = _inside(found, step)
            except LookupError:
                return False
        return found is not None

    def source(self, phase: str, key: str, place: str = "") -> Source:
        """Return where a product lies and what it hashes to; raises `ReportRefused` when it is not there."""
        return replace(self._content(phase, key)[1], place=place)

    def json(self, phase: str, key: str) -> Any:
        """Return a JSON product; YAML is read too, and JSON by lines as a list."""
        if (phase, key) not in self._understood:
            content, source = self._content(phase, key)
            self._understood[phase, key] = understood(content, source.file)
        return self._understood[phase, key]

    def value(self, phase: str, key: str, place: str) -> Any:
        """Return what lies at `place`, keys and list positions joined by `/`."""
        try:
            return inside(self.json(phase, key), place)
        except LookupError as error:
            raise ReportRefused(f"{phase}/{key}", [f"nothing at `{place}` (at `{error.args[0]}`)"]) from None

    def fact(self, label: str, phase: str, key: str, place: str, *, is_verdict: bool = False) -> Fact:
        """Return one value with its source; raises `ReportRefused` where there is no single value."""
        value = self.value(phase, key, place)
        if isinstance(value, dict | list):
            raise ReportRefused(label, [f"`{place}` of {phase}/{key} is no single value"])
        return Fact(label, cell("", value, "@value"), self.source(phase, key, place), is_verdict)

    def count(self, label: str, phase: str, key: str, place: str, *, where: str, holds: tuple[str, ...]) -> Count:
        """Return how many records at `place` hold one of the values `holds` in the field `where`."""
        number = counted(self.value(phase, key, place), where, holds)
        return Count(label, number, self.source(phase, key, place), where, holds)

    def table(
        self,
        caption: str,
        phase: str,
        key: str,
        place: str,
        *,
        columns: Mapping[str, str],
        marks: str | None = None,
    ) -> Table:
        """Return the records at `place` (a list, or a mapping of name → record) as rows.

        `columns` maps each heading to where in a record its value lies; `@key` is the record's own name, `@value`
        the record itself. A value that a record lacks is shown as absent. Raises `ReportRefused` where there are no
        records.
        """
        fields = tuple(columns.values())
        keys, rows = self._rows(phase, key, place, fields)
        return Table(caption, tuple(columns), fields, rows, self.source(phase, key, place), marks, keys)

    def figure(self, caption: str, phase: str, key: str) -> Figure:
        """Return an SVG product as a figure."""
        content, source = self._content(phase, key)
        return Figure(caption, content.decode(), source)

    def inventory(self, caption: str) -> Inventory:
        """Return every product with its hash, in order of path."""
        return Inventory(
            caption, tuple(sorted((each for _, _, each in self._all_sources()), key=lambda each: each.file))
        )

    def untraced(self, document: Document) -> list[str]:
        """Return what in `document` does not lead back to these products; an empty list means that all of it does.

        Every fact, row and picture is read again and compared, and the hash of every source with that of the file as
        it lies there now.
        """
        problems = [
            f"`{each.file}` no longer has the hash {each.digest.short}"
            for each in document.sources
            if not self._still_holds(each)
        ]
        return problems + [f"`{_label(each)}` is not what {each.source} holds" for each in self._changed(document)]

    def manifest(self) -> dict[str, str]:
        """Return path → SHA-256 of every product, in order of path."""
        return {source.file: source.digest.hex for _, _, source in sorted(self._all_sources(), key=lambda s: s[2].file)}

    def _changed(self, document: Document) -> list[Sourced]:
        known = {source.file: (phase, key) for phase, key, source in self._all_sources()}
        return [
            each
            for each in document.sourced
            if each.source.file not in known or not self._same(each, *known[each.source.file])
        ]

    def _same(self, entry: Sourced, phase: str, key: str) -> bool:
        place = entry.source.place
        if isinstance(entry, Fact):
            return same(cell("", self.value(phase, key, place), "@value"), entry.value)
        if isinstance(entry, Count):
            return counted(self.value(phase, key, place), entry.field, entry.values) == entry.value
        if isinstance(entry, Said):
            said = self.value(phase, key, place)
            return [str(said.get(name)) for name in ("words", "by", "date")] == [entry.words, entry.by, entry.on]
        if isinstance(entry, Table):
            _, rows = self._rows(phase, key, place, entry.fields)
            return len(rows) == len(entry.rows) and all(
                same(now, then)
                for row, told in zip(rows, entry.rows, strict=True)
                for now, then in zip(row, told, strict=True)
            )
        return self._content(phase, key)[0].decode() == entry.svg

    def _rows(
        self, phase: str, key: str, place: str, fields: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[tuple[Scalar, ...], ...]]:
        """The place of each record and what it holds."""
        named = records(self.value(phase, key, place))
        if not named:
            raise ReportRefused(f"{phase}/{key}", [f"no records at `{place}`"])
        return (
            tuple(escaped(str(name)) for name, _ in named),
            tuple(tuple(cell(name, record, each) for each in fields) for name, record in named),
        )

    def _still_holds(self, source: Source) -> bool:
        try:
            return read_source(self._base / source.file)[1] == source.digest
        except OSError:
            return False

    @property
    def _base(self) -> Path:
        return self.root or Path.cwd()

    def _all_sources(self) -> list[tuple[str, str, Source]]:
        return [(phase, key, self.source(phase, key)) for phase, keys in self.products.items() for key in keys]

    def _content(self, phase: str, key: str) -> tuple[bytes, Source]:
        if (phase, key) not in self._read:
            try:
                path = self.products[phase][key]
                content, digest = read_source(self._base / path)
            except KeyError:
                raise ReportRefused(f"{phase}/{key}", ["no such product is upstream"]) from None
            except OSError as error:
                raise ReportRefused(f"{phase}/{key}", [f"`{path}` cannot be read: {error.strerror}"]) from error
            self._read[phase, key] = content, Source(phase, _relative(path, self._base), digest)
        return self._read[phase, key]


def read_source(path: Path) -> tuple[bytes, ContentHash]:
    """What a product holds, and its hash; raises `OSError`. A folder is one product: it has a hash, and no text."""
    if path.is_dir():
        digest = content_hash(path)
        assert digest is not None
        return b"", digest
    content = path.read_bytes()
    return content, ContentHash.of(content)


def understood(content: bytes, file: str) -> Any:
    """What a file of JSON, of JSON by lines or of YAML holds; raises `ReportRefused` for anything else."""
    try:
        if file.endswith((".yaml", ".yml")):
            import yaml

            return yaml.safe_load(content)
        if file.endswith(".jsonl"):
            return [json.loads(line) for line in content.splitlines()]
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ReportRefused(f"`{file}`", [f"it cannot be read: {error}"]) from error
    except Exception as error:
        # PyYAML's errors have a root of their own.
        if type(error).__module__.startswith("yaml"):
            raise ReportRefused(f"`{file}`", [f"it cannot be read: {error}"]) from error
        raise


def steps(place: str) -> list[str]:
    """The keys of a place, in order, as they are spelt in the file."""
    return [step.replace("~1", "/").replace("~0", "~") for step in place.split("/")] if place else []


def escaped(key: str) -> str:
    """A key as a place holds it."""
    return key.replace("~", "~0").replace("/", "~1")


def inside(found: Any, place: str) -> Any:
    """What lies at a place of a value; raises `LookupError`, whose argument is the key that is not there."""
    for step in steps(place):
        found = _inside(found, step)
    return found


def _inside(found: Any, step: str) -> Any:
    try:
        if isinstance(found, list):
            # A place before the start would be one from the end.
            if not (step.isascii() and step.isdigit()):
                raise LookupError(step)
            return found[int(step)]
        if isinstance(found, dict) and step not in found:
            # YAML knows keys that are no text.
            return {str(key): value for key, value in found.items()}[step]
        return found[step]
    except (KeyError, IndexError, TypeError, ValueError):
        raise LookupError(step) from None


def records(found: Any) -> list[tuple[str | int, Any]]:
    """The records of a list or of a mapping of them, each with its name."""
    if isinstance(found, dict):
        return [(str(name), record) for name, record in found.items()]
    return list(enumerate(found)) if isinstance(found, list) else []


def cell(name: str | int, record: Any, place: str) -> Scalar:
    """One cell; a list or mapping is shown with commas, since a cell holds one text."""
    if place == "@key":
        return name
    for step in steps(place) if place != "@value" else ():
        record = record.get(step) if isinstance(record, dict) else None
    if isinstance(record, list):
        return ", ".join(str(each) for each in record)
    if isinstance(record, dict):
        return ", ".join(f"{key}: {each}" for key, each in record.items())
    return record if record is None or isinstance(record, str | int | float) else str(record)


def counted(found: Any, field: str, values: tuple[str, ...]) -> int:
    """How many records hold one of the values in a field."""
    return sum(str(cell(name, record, field)) in values for name, record in records(found))


def same(one: Scalar, other: Scalar) -> bool:
    """Whether two values are the same, in kind as well; what is no number is the same as itself."""
    return type(one) is type(other) and (one == other or (one != one and other != other))


def _relative(path: str, base: Path) -> str:
    # The same evidence is named the same in every checkout.
    absolute = base.absolute() / path
    return absolute.relative_to(base.absolute()).as_posix() if absolute.is_relative_to(base.absolute()) else path


def _label(entry: Sourced) -> str:
    if isinstance(entry, Fact | Count):
        return entry.label
    return entry.what if isinstance(entry, Said) else entry.caption
