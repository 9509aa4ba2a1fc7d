"""Every value, displayed value, figure, printed word and file of a package beside those of its notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..watching.seen import Left, Run, Seen, Value, steady

Verdict = Literal["equal", "differs", "missing", "not steady", "cannot be compared"]
What = Literal["value", "displayed", "figure", "printed", "file", "error"]

_LONGEST = 200
# A run that prints more was cut short when it was watched.
_LONGEST_PRINT = 1_000_000


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing of the notebook: its kind, its name or cell, the verdict, and both texts where they differ.

    `digest` tells the notebook's own from any other, where it has one and is steady.
    """

    what: What
    name: str
    verdict: Verdict
    notebook: str = ""
    package: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The whole comparison. It holds if nothing differs and nothing is missing."""

    rows: tuple[Compared, ...]

    @property
    def holds(self) -> bool:
        return not self.wrong

    @property
    def wrong(self) -> tuple[Compared, ...]:
        """What differs or is missing."""
        return tuple(row for row in self.rows if row.verdict in ("differs", "missing"))

    @property
    def fails(self) -> bool:
        """Whether the notebook fails, and so the package has to."""
        return any(row.what == "error" for row in self.rows)

    def count(self, verdict: Verdict) -> int:
        return sum(row.verdict == verdict for row in self.rows)


@dataclass(frozen=True, slots=True)
class Roots:
    """Below which folders the two runs of the notebook, and that of the package, had their files."""

    first: Path
    second: Path
    package: Path


def compare(
    first: Run, second: Run, package: Mapping[str, Any], ids: Mapping[int, str], roots: Roots | None = None
) -> Equivalence:
    """Compare what a package left with two runs of its notebook; what these two do not agree on proves nothing.

    Without `roots` the files that were written are not compared.
    """
    rows = [*_failed(first, package), *_values(first, second, package), *_shown(first, second, package, ids)]
    rows += _printed(first, second, package["prints"], ids)
    if roots is not None:
        rows += _written(first, second, package, roots)
    return Equivalence(tuple(rows))


def _failed(first: Run, package: Mapping[str, Any]) -> Iterator[Compared]:
    """A notebook that fails has to fail in the package, too, in the same words."""
    wanted = first.error.error if first.error else ""
    found = package["error"]
    if wanted or found:
        yield Compared("error", "run", "equal" if wanted == found else "differs", wanted, found)


def _values(first: Run, second: Run, package: Mapping[str, Any]) -> Iterator[Compared]:
    if first.error:
        # What is left of a run that failed is nobody's result.
        return
    same = steady(first, second)
    for name, value in first.values.items():
        if name.startswith("_"):
            continue
        found = package["values"].get(name)
        if found is None:
            yield Compared("value", name, "missing", value.text)
        elif value.digest is None:
            yield Compared("value", name, "cannot be compared", value.text, found["text"])
        elif name not in same:
            yield Compared("value", name, "not steady", value.text, found["text"])
        else:
            yield _judged("value", name, value, found)
    for name in sorted(package["values"].keys() - first.values.keys() - second.values.keys()):
        yield Compared("value", name, "differs", "no such value", package["values"][name]["text"])


def _shown(first: Run, second: Run, package: Mapping[str, Any], ids: Mapping[int, str]) -> Iterator[Compared]:
    again = {cell.cell: cell for cell in second.cells}
    for cell in _ended_well(first):
        other = again.get(cell.cell)
        name = ids[cell.cell]
        if first.error:
            # A package that fails gives its caller the error alone; what was displayed before has nowhere to be.
            for at, value in enumerate(cell.shows):
                yield Compared("displayed", f"{name}[{at}]", "cannot be compared", value.text)
            continue
        shown = package["shows"].get(name, [])
        for at, value in enumerate(cell.shows):
            label = f"{name}[{at}]"
            if at >= len(shown):
                yield Compared("displayed", label, "missing", value.text)
            elif value.digest is None:
                yield Compared("displayed", label, "cannot be compared", value.text, shown[at]["text"])
            elif other is None or at >= len(other.shows) or other.shows[at].digest != value.digest:
                yield Compared("displayed", label, "not steady", value.text, shown[at]["text"])
            else:
                yield _judged("displayed", label, value, shown[at])
        if len(shown) > len(cell.shows) and other is not None and len(other.shows) == len(cell.shows):
            extra = shown[len(cell.shows)]
            yield Compared("displayed", f"{name}[{len(cell.shows)}]", "differs", "nothing", extra["text"])
        drawn = package["figures"].get(name, [])
        if len(drawn) > len(cell.figures) and other is not None and len(other.figures) == len(cell.figures):
            yield Compared("figure", f"{name}[{len(cell.figures)}]", "differs", "nothing", "a figure")
        for at, figure in enumerate(cell.figures):
            label = f"{name}[{at}]"
            if at >= len(drawn):
                yield Compared("figure", label, "missing")
            elif other is None or at >= len(other.figures) or other.figures[at] != figure:
                yield Compared("figure", label, "not steady")
            else:
                is_equal = drawn[at] == figure
                yield Compared("figure", label, "equal" if is_equal else "differs", digest=figure)


def _ended_well(run: Run) -> Iterator[Seen]:
    return (cell for cell in run.cells if not cell.error)


def _judged(what: What, name: str, value: Value, found: Mapping[str, Any]) -> Compared:
    if found["digest"] == value.digest:
        return Compared(what, name, "equal", digest=value.digest or "")
    return Compared(
        what, name, "differs", f"{value.kind} {value.text}", f"{found['kind']} {found['text']}", value.digest or ""
    )


def _printed(first: Run, second: Run, printed: str, ids: Mapping[int, str]) -> Iterator[Compared]:
    """What the package prints is one text; in it stands, in order, what each cell prints.

    After words that are not steady, the next that are steady are looked for.
    """
    again = {cell.cell: cell.prints for cell in second.cells}
    speaking = [cell for cell in first.cells if cell.prints or again.get(cell.cell)]
    at, is_lost = 0, False
    for number, cell in enumerate(speaking):
        wanted, name = cell.prints, ids[cell.cell]
        if len(wanted) >= _LONGEST_PRINT:
            yield Compared("printed", name, "cannot be compared", wanted[:_LONGEST])
            is_lost = True
            continue
        if again.get(cell.cell) != wanted:
            yield Compared("printed", name, "not steady", wanted[:_LONGEST])
            at, is_lost = _after_as_many_lines(printed, at, wanted, again.get(cell.cell, ""), is_lost)
            continue
        found = printed.find(wanted, at) if is_lost else at if printed.startswith(wanted, at) else -1
        is_last = number == len(speaking) - 1
        if found < 0 or (is_last and found + len(wanted) != len(printed)):
            yield Compared("printed", name, "differs", wanted[:_LONGEST], printed[at : at + _LONGEST])
            is_lost = True
            continue
        yield Compared("printed", name, "equal")
        at, is_lost = found + len(wanted), False
    if not speaking and printed:
        yield Compared("printed", "nothing", "differs", "", printed[:_LONGEST])


def _after_as_many_lines(printed: str, at: int, wanted: str, other: str, is_lost: bool) -> tuple[int, bool]:
    """Where words that are not steady end, if they have as many lines each time; else it is not known."""
    lines = wanted.count("\n")
    if is_lost or lines != other.count("\n") or not wanted.endswith("\n") or not other.endswith("\n"):
        return at, True
    end = at
    for _ in range(lines):
        end = printed.find("\n", end) + 1
        if not end:
            return at, True
    return end, False


def _written(first: Run, second: Run, package: Mapping[str, Any], roots: Roots) -> Iterator[Compared]:
    """The files below the roots by their names there, and those from elsewhere that are still there."""
    mine, again = _named(first.files, roots.first), _named(second.files, roots.second)
    theirs = _named({path: Left(**left) for path, left in package["files"].items()}, roots.package)
    for name, left in mine.items():
        other, found = again.get(name), theirs.get(name)
        if other is None or not _is_same(left, other):
            yield Compared("file", name, "not steady")
        elif found is None:
            yield Compared("file", name, "missing", _told(left))
        elif _is_same(left, found):
            yield Compared("file", name, "equal", digest=left.digest if left.digest == other.digest else left.content)
        else:
            yield Compared("file", name, "differs", _told(left), _told(found), left.digest)
    for name in sorted(theirs.keys() - mine.keys() - again.keys()):
        # What has no fixed name is compared with nothing.
        if not name.startswith("/") and theirs[name].digest and _names_are_steady(mine, again):
            yield Compared("file", name, "differs", "no such file", _told(theirs[name]))


def _named(files: Mapping[str, Left], root: Path) -> dict[str, Left]:
    named = {}
    for path, left in files.items():
        if Path(path).is_relative_to(root):
            named[Path(path).relative_to(root).as_posix()] = left
        elif left.digest:
            named[path] = left
    return named


def _names_are_steady(mine: Mapping[str, Left], again: Mapping[str, Left]) -> bool:
    return mine.keys() == again.keys()


def _is_same(left: Left, other: Left) -> bool:
    return left.digest == other.digest or bool(left.content and left.content == other.content)


def _told(left: Left) -> str:
    return f"{left.size} bytes, sha256 {left.digest[:12]}" if left.digest else "no file"


def tally(rows: Sequence[Compared]) -> dict[Verdict, int]:
    """How often each verdict was given, the good ones first."""
    order: tuple[Verdict, ...] = ("equal", "not steady", "cannot be compared", "differs", "missing")
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in order}
    return {verdict: count for verdict, count in counts.items() if count}
