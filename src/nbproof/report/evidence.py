"""Evidence: the products of earlier phases, from which every number of a document is read and can be read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ReportRefused
from ..records import ContentHash
from .document import Document, Fact, Figure, Inventory, Scalar, Source, Table


@dataclass(frozen=True, slots=True)
class Evidence:
    """Products by phase and key: `{"06_training": {"metrics": "build/06_training/metrics.json"}}`."""

    products: Mapping[str, Mapping[str, str]]
    _read: dict[tuple[str, str], tuple[bytes, Source]] = field(default_factory=dict, repr=False, compare=False)

    def source(self, phase: str, key: str, place: str = "") -> Source:
        """Return where a product lies and what it hashes to; raises `ReportRefused` when it is not there."""
        return replace(self._content(phase, key)[1], place=place)

    def json(self, phase: str, key: str) -> Any:
        """Return a JSON product; YAML is read too, since JSON is YAML."""
        content, source = self._content(phase, key)
        try:
            if source.file.endswith((".yaml", ".yml")):
                import yaml

                return yaml.safe_load(content)
            return json.loads(content)
        except ValueError as error:
            raise ReportRefused(f"{phase}/{key}", [f"`{source.file}` cannot be read: {error}"]) from error

    def value(self, phase: str, key: str, place: str) -> Any:
        """Return what lies at `place`, keys and list positions joined by `/`."""
        found = self.json(phase, key)
        for step in place.split("/") if place else ():
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (KeyError, IndexError, TypeError, ValueError):
                raise ReportRefused(f"{phase}/{key}", [f"nothing at `{place}` (at `{step}`)"]) from None
        return found

    def fact(self, label: str, phase: str, key: str, place: str) -> Fact:
        """Return one value with its source; raises `ReportRefused` where there is no single value."""
        value = self.value(phase, key, place)
        if isinstance(value, dict | list):
            raise ReportRefused(label, [f"`{place}` of {phase}/{key} is no single value"])
        return Fact(label, value, self.source(phase, key, place))

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
        rows = self._rows(phase, key, place, fields)
        return Table(caption, tuple(columns), fields, rows, self.source(phase, key, place), marks)

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

    def _changed(self, document: Document) -> list[Fact | Table | Figure]:
        known = {source.file: (phase, key) for phase, key, source in self._all_sources()}
        sourced = [entry for entry in document.entries if isinstance(entry, Fact | Table | Figure)]
        return [
            each for each in sourced if each.source.file not in known or not self._same(each, *known[each.source.file])
        ]

    def _same(self, entry: Fact | Table | Figure, phase: str, key: str) -> bool:
        if isinstance(entry, Fact):
            return bool(self.value(phase, key, entry.source.place) == entry.value)
        if isinstance(entry, Table):
            return self._rows(phase, key, entry.source.place, entry.fields) == entry.rows
        return self._content(phase, key)[0].decode() == entry.svg

    def _rows(self, phase: str, key: str, place: str, fields: tuple[str, ...]) -> tuple[tuple[Scalar, ...], ...]:
        records = self.value(phase, key, place)
        named = (
            records.items() if isinstance(records, dict) else enumerate(records if isinstance(records, list) else [])
        )
        rows = tuple(tuple(_scalar(name, record, each) for each in fields) for name, record in named)
        if not rows:
            raise ReportRefused(f"{phase}/{key}", [f"no records at `{place}`"])
        return rows

    def _still_holds(self, source: Source) -> bool:
        try:
            return ContentHash.of(Path(source.file).read_bytes()) == source.digest
        except OSError:
            return False

    def _all_sources(self) -> list[tuple[str, str, Source]]:
        return [(phase, key, self.source(phase, key)) for phase, keys in self.products.items() for key in keys]

    def _content(self, phase: str, key: str) -> tuple[bytes, Source]:
        if (phase, key) not in self._read:
            try:
                path = self.products[phase][key]
                content = Path(path).read_bytes()
            except KeyError:
                raise ReportRefused(f"{phase}/{key}", ["no such product is upstream"]) from None
            except OSError as error:
                raise ReportRefused(f"{phase}/{key}", [f"`{path}` cannot be read: {error.strerror}"]) from error
            self._read[phase, key] = content, Source(phase, _relative(path), ContentHash.of(content))
        return self._read[phase, key]


def _scalar(name: str | int, record: Any, place: str) -> Scalar:
    """One cell; a list or mapping is shown with commas, since a cell holds one text."""
    if place == "@key":
        return name
    for step in place.split("/") if place != "@value" else ():
        record = record.get(step) if isinstance(record, dict) else None
    if isinstance(record, list):
        return ", ".join(str(each) for each in record)
    if isinstance(record, dict):
        return ", ".join(f"{key}: {each}" for key, each in record.items())
    cell: Scalar = record
    return cell


def _relative(path: str) -> str:
    # The same evidence is named the same in every checkout.
    absolute = Path(path).absolute()
    return absolute.relative_to(Path.cwd()).as_posix() if absolute.is_relative_to(Path.cwd()) else path


def _label(entry: Fact | Table | Figure) -> str:
    return entry.label if isinstance(entry, Fact) else entry.caption
