"""Who serves: a version becomes the champion, or the champion gives way, and only to a model that was approved.

A change of aliases is several writes. It is written down as begun before the first and as done after the last, so that
whoever comes after a crash finds what was meant, and finishes it, or takes it back when its approval holds no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import NotApproved, PromotionRefused, Refused, RegistryHolds
from ..review.covering import require_cover
from ..review.gate import let_pass_model
from . import moves
from .moves import CANDIDATE, CHAMPION, PREVIOUS, Change, Kind
from .registered import contents_of, how_to_ask
from .registry import Entry, Holding, Registry

LOCK, LOCK_S = ".nbproof/registry.lock", 60.0


@dataclass(frozen=True, slots=True)
class Changed:
    """What a command has changed: the new champion, the one before it, and what it mended first (None: nothing)."""

    champion: Entry
    previous: Entry | None
    change: Change
    mended: Change | None


def promote(registry: Registry, project: Path, name: str, version: str | None, *, by: str) -> Changed:
    """Make a version the champion: `version` is an alias, a semantic version or `vN`; None is the candidate.

    Raises `NotApproved`, `ApprovalInvalid` or `LedgerBroken` unless its very bytes are approved, `UnknownName`, and
    `PromotionRefused` for a version that is the champion already.
    """
    with _held(project):
        mended = _mend(registry, project, name)
        held = registry.holding(name)
        entry = held.entry(version or CANDIDATE)
        if held.aliases.get(CHAMPION) == entry.number:
            raise PromotionRefused(entry.told, "it is the champion already", "another version")
        approved = _approval(registry, project, entry, doing="promote")
        return _changed(registry, held, "promotion", moves.promoted(held.aliases, entry.number), by, approved, mended)


def roll_back(registry: Registry, project: Path, name: str, version: str | None = None, *, by: str) -> Changed:
    """Let the champion give way to the one before it, or to `version`; that one must be approved today, too."""
    with _held(project):
        mended = _mend(registry, project, name)
        held = registry.holding(name)
        if CHAMPION not in held.aliases:
            raise PromotionRefused(name, "it has no champion", "one to roll back from")
        if version is None and PREVIOUS not in held.aliases:
            raise PromotionRefused(name, "no champion was there before this one", "one to roll back to")
        entry = held.entry(version or PREVIOUS)
        if held.aliases[CHAMPION] == entry.number:
            raise PromotionRefused(entry.told, "it is the champion already", "another version")
        approved = _approval(registry, project, entry, doing="rollback")
        return _changed(registry, held, "rollback", moves.rolled_back(held.aliases, entry.number), by, approved, mended)


def mend(registry: Registry, project: Path, name: str) -> Change | None:
    """Finish the change that was cut short, or take it back if its model is approved no more; None: there is none."""
    with _held(project):
        return _mend(registry, project, name)


def approval_of(registry: Registry, project: Path, entry: Entry) -> tuple[bool, str]:
    """Whether a version may serve today, and why or why not, in words. Its bytes are read."""
    try:
        return True, require_cover(project, entry.told, contents_of(registry, entry).digest).sentence
    except NotApproved as error:
        return False, error.found
    except Refused as error:
        return False, str(error)


def _approval(registry: Registry, project: Path, entry: Entry, *, doing: str) -> str:
    try:
        cover = let_pass_model(project, entry.told, contents_of(registry, entry).digest, doing=doing)
    except NotApproved as error:
        error.hint = how_to_ask(entry.name, str(entry.version or f"v{entry.number}"))
        raise
    if cover is None:
        raise RegistryHolds(entry.told, "nobody who approved it", "an approval")
    return cover.sentence


def _changed(
    registry: Registry, held: Holding, kind: Kind, after: dict[str, int], by: str, approved: str, mended: Change | None
) -> Changed:
    number = held.changes[-1].number + 1 if held.changes else 1
    at = datetime.now(UTC).isoformat(timespec="seconds")
    change = Change(number, kind, at, by, moves.plain(held.aliases), moves.plain(after), approved)
    registry.note(held.name, change)
    done = _carried_out(registry, held, change, moves.plain(after)).ended("done")
    registry.note(held.name, done)
    previous = after.get(PREVIOUS)
    return Changed(
        held.of_number(after[CHAMPION]), None if previous is None else held.of_number(previous), done, mended
    )


def _carried_out(registry: Registry, held: Holding, change: Change, wanted: dict[str, int]) -> Change:
    for alias, number in moves.steps(moves.plain(held.aliases), wanted):
        registry.move(held.name, alias, number)
    return change


def _mend(registry: Registry, project: Path, name: str) -> Change | None:
    held = registry.holding(name)
    change = held.open_change
    if change is None:
        return None
    may_serve, _ = approval_of(registry, project, held.of_number(change.after[CHAMPION]))
    # A registration may have named another candidate meanwhile; that one stays.
    wanted = dict(change.after if may_serve else change.before)
    candidate = held.aliases.get(CANDIDATE)
    if candidate is not None and candidate != change.before.get(CANDIDATE):
        wanted[CANDIDATE] = candidate
    _carried_out(registry, held, change, wanted)
    ended = change.ended("done" if may_serve else "undone")
    registry.note(name, ended)
    return ended


@contextmanager
def _held(project: Path) -> Iterator[None]:
    """One change of this project's registry at a time."""
    from filelock import FileLock, Timeout

    path = project / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=LOCK_S)
    try:
        lock.acquire()
    except Timeout:
        raise PromotionRefused("the registry", "somebody else is changing it", "nobody") from None
    try:
        yield
    finally:
        lock.release()
