"""Reading every value of a written report again from the source that it names."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from ..errors import ReportRefused
from . import purity
from .evidence import cell, counted, inside, read_source, steps, understood
from .render import spelt, text_of

NOTHING = "null"
_VOID = frozenset({"meta", "img"})


@dataclass(frozen=True, slots=True)
class Told:
    """One value of a page: what it shows, what it says to be exactly, and where that was read."""

    shown: str
    source: str
    pointer: str
    value: str
    part: str = ""
    count: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """What a page says of itself: its sources by name (file, hash), and its values."""

    sources: dict[str, tuple[str, str]]
    values: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """How many values were read again, of how many files; `problems` are those that were not found."""

    values: int
    files: int
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Files:
    """The files that a page names, as they lie there now."""

    root: Path
    sources: dict[str, tuple[str, str]]
    _held: dict[str, Any] = field(default_factory=dict)

    def problem(self, name: str) -> str:
        """Why a source is not the one that is named; "" where it is."""
        file, sha256 = self.sources[name]
        place = (self.root / file).resolve()
        if not place.is_relative_to(self.root.resolve()):
            return f"{name}: `{file[:200]}` lies outside of the folder of the report's sources"
        try:
            content, digest = read_source(place)
        except OSError as error:
            return f"{name}: `{file}` cannot be read: {error.strerror}"
        if digest.hex != sha256:
            return f"{name}: `{file}` is no longer the file that was read ({sha256[:12]})"
        self._held[name] = content
        return ""

    def value(self, name: str) -> Any:
        held = self._held[name]
        if isinstance(held, bytes):
            held = self._held[name] = understood(held, self.sources[name][0])
        return held


def verify(page: Path, *, root: Path | None = None) -> Verified:
    """Read every value of a report again.

    `root` is the folder that its sources are named from; else it is looked for above the page, then above the current
    folder. Raises `ReportRefused` for a file that cannot be read, is no report, or holds what no report does.
    """
    try:
        text = page.read_text(encoding="utf-8")
        read = read_page(text)
    except (OSError, ValueError) as error:
        raise ReportRefused(f"`{page}`", [f"it cannot be read: {error}"]) from error
    if not read.values or not read.sources:
        raise ReportRefused(f"`{page}`", ["it holds no value with a source"])
    # What came into the page later is no report of ours, whatever its values say.
    purity.check(text)
    return verified(read, root or _root(page, read))


def verified(read: Read, root: Path) -> Verified:
    """Read every value again from the files below `root`."""
    files = _Files(root, read.sources)
    broken = {name: problem for name in read.sources if (problem := files.problem(name))}
    problems = list(broken.values())
    for told in read.values:
        if told.source not in broken and (problem := _problem(told, files)):
            problems.append(problem)
    return Verified(len(read.values), len(read.sources), tuple(problems))


def read_page(text: str) -> Read:
    """The values of a page, and what it says of their sources."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return Read(reader.sources, tuple(reader.values))


def _root(page: Path, read: Read) -> Path:
    """The folder from which most of the sources are found."""
    around = dict.fromkeys([*page.absolute().parents, Path.cwd(), *Path.cwd().parents])
    return max(around, key=lambda folder: sum((folder / file).is_file() for file, _ in read.sources.values()))


def _problem(told: Told, files: _Files) -> str:
    """Why a value is not what its source holds; "" where it is."""
    where = f"{told.source}{told.pointer}"
    if told.source not in files.sources:
        return f"{where}: the page has no such source"
    try:
        found = _found(told, files)
    except (LookupError, ValueError, ReportRefused):
        return f"{where}: there is nothing"
    if spelt(found) != told.value:
        return f"{where}: the page says {told.value[:80]}, the source {spelt(found)[:80]}"
    if text_of(found) != told.shown:
        return f"{where}: the page shows {told.shown[:80]!r} for {told.value[:80]}"
    return ""


def _found(told: Told, files: _Files) -> Any:
    place = told.pointer.removeprefix("/")
    held = files.value(told.source)
    if told.part == "key":
        inside(held, place)
        name = steps(place)[-1]
        parent = inside(held, place.rpartition("/")[0])
        return int(name) if isinstance(parent, list) else name
    try:
        found = inside(held, place)
    except LookupError:
        # A record that lacks a field is shown without it: nothing is what the page says, and nothing is there.
        if told.value == NOTHING and not told.count:
            return None
        raise
    if told.count:
        asked = json.loads(told.count)
        return counted(found, asked["field"], tuple(asked["values"]))
    return cell("", found, "@value")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sources, self.values = dict[str, tuple[str, str]](), list[Told]()
        self._open: list[tuple[str, dict[str, str], list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        if "data-sha256" in held and "data-file" in held:
            self.sources[held.get("id", "")] = held["data-file"], held["data-sha256"]
        if tag not in _VOID:
            self._open.append((tag, held, []))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            opened, held, texts = self._open.pop()
            if "data-pointer" in held:
                self.values.append(
                    Told(
                        "".join(texts), held.get("data-source", ""), held["data-pointer"], held.get("data-value", ""),
                        held.get("data-part", ""), held.get("data-count", ""),
                    )
                )  # fmt: skip
            if self._open:
                self._open[-1][2].extend(texts)
            if opened == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1][2].append(data)
