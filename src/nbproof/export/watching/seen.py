"""What was seen of a watched run: plain values, as they cross from the process that ran it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .called import Called
from .loaded import Loaded


@dataclass(frozen=True, slots=True)
class Value:
    """A value as far as it can be told apart: its type, a hash down to the last bit (None: it cannot be looked into),
    and its text cut short, for people."""

    kind: str
    digest: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Left:
    """A file as a run left it: the hash of its bytes, and of what they say where its kind is known.

    `digest` is empty where there is no file any more, or a folder.
    """

    digest: str
    content: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What one cell did.

    `reads` are names that it read before it bound them; `binds` and `deletes` what it did to names itself; `mutates`
    are names whose value is another one though the name was not bound anew. `shows` are the values it displayed, in
    order (what a function shows belongs to the cell in which the function is written), `shows_what_changes` if any of
    them is another value by the end, and `shows_for_others` if a library displayed some. `figures` are hashes of the
    figures it left open, `prints` what went to the standard output and `complains` what went to the standard error,
    each cut short when it is very long. `files_beside` are those of `files_read` that it named by the way from the
    notebook's folder. `changes` names states of the process (random numbers, the working folder,
    options of libraries) that are not as before. `kinds` are the types, as an annotation names them, of what it bound
    or changed. `error` is empty when it ended well.
    `wants_closed_figure`: it asked for the figure that is open, and those of before are closed.
    `shows_figures`: it called `pyplot.show`, which closes what it shows, so that the cell then draws another figure.
    """

    cell: int
    reads: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    mutates: tuple[str, ...] = ()
    shows: tuple[Value, ...] = ()
    figures: tuple[str, ...] = ()
    prints: str = ""
    complains: str = ""
    files_read: tuple[str, ...] = ()
    files_beside: tuple[str, ...] = ()
    files_written: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""
    line: int | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    stars: tuple[tuple[str, tuple[str, ...]], ...] = ()
    shows_what_changes: bool = False
    shows_for_others: bool = False
    wants_closed_figure: bool = False
    shows_figures: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run: its cells in the order they ran, the values of all names at the end, and which of them share parts.

    `together` holds groups of names between which some object is shared: changed through one, the other changes, too.
    `files` are those that it wrote, by their paths, as they were at its end; `loaded` is told if it was asked for.
    `calls` says with which types functions of the notebook were called, if somebody listened.
    """

    cells: tuple[Seen, ...]
    values: Mapping[str, Value] = field(default_factory=dict)
    together: tuple[tuple[str, ...], ...] = ()
    files: Mapping[str, Left] = field(default_factory=dict)
    loaded: Loaded | None = None
    calls: tuple[Called, ...] = ()

    @property
    def error(self) -> Seen | None:
        """The cell that failed, if one did: none ran after it."""
        return next((cell for cell in self.cells if cell.error), None)


def steady(first: Run, second: Run) -> frozenset[str]:
    """The names whose value was the same in both runs, down to the last bit."""
    return frozenset(
        name
        for name, value in first.values.items()
        if value.digest is not None and name in second.values and second.values[name].digest == value.digest
    )


def to_json(run: Run) -> dict[str, Any]:
    return asdict(run)


def from_json(found: Mapping[str, Any]) -> Run:
    """Read what `to_json` made, after a way through JSON."""
    cells = tuple(
        Seen(**{
            spec.name: _restored(spec.name, cell[spec.name]) for spec in fields(Seen)
        })
        for cell in found["cells"]
    )  # fmt: skip
    values = {name: Value(**value) for name, value in found["values"].items()}
    files = {path: Left(**left) for path, left in found["files"].items()}
    together = tuple(tuple(group) for group in found["together"])
    calls = tuple(Called(**call) for call in found["calls"])
    return Run(cells, values, together, files, None if found["loaded"] is None else _loaded(found["loaded"]), calls)


def _loaded(found: Mapping[str, Any]) -> Loaded:
    pairs = {
        kind: {name: tuple(names) for name, names in found[kind].items()} for kind in ("distributions", "requires")
    }
    return Loaded(**{**found, **pairs})


def _restored(name: str, value: Any) -> Any:
    if name == "stars":
        return tuple((module, tuple(names)) for module, names in value)
    if name == "shows":
        return tuple(Value(**each) for each in value)
    return tuple(value) if isinstance(value, list) else value
