"""From the journals to the tracker: in order, once, and only as far as the tracker takes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import JournalDamaged, TrackerUnavailable
from ..extras import EXTRA_OF, is_installed
from ..files import write_atomically
from ..records import ContentHash, RunFinished
from ..settings import Settings
from . import kept
from .capture import place
from .capture.session import NotebookSession, Reader, read_session
from .journal import count_lines, entries, is_live, journals
from .lines import Entry
from .tracker import Tracker

LOCK_WAIT_S = 60.0
# A file is kept a moment before the line that names it is written.
SETTLED_S = 60.0


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """How many events were delivered now, how many wait, and why they wait."""

    delivered: int
    waiting: int
    reason: str | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> DeliveryReport:
        """Read what `to_json` wrote; raises `ValueError` for anything else."""
        try:
            return cls(**json.loads(line))
        except TypeError as error:
            raise ValueError(f"not a delivery report: {line[:80]!r}") from error


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one journal or session is delivered: up to which byte, and whether its end by death was told.

    A session tells no end itself: for it, `is_interrupted` says that it was over when it was delivered.
    """

    offset: int = 0
    is_interrupted: bool = False


def deliver(project: Path, settings: Settings) -> DeliveryReport:
    """Deliver what waits in the journals of `project`, the oldest run first, with the tracker of the settings.

    Never raises for a tracker that is away: the report says what waits and why.
    """
    reason = why_not(settings)
    if reason is None:
        from .mlflow_tracker import open_tracker

        try:
            tracker = open_tracker(project, settings)
        except TrackerUnavailable as error:
            reason = error.reason
        else:
            return deliver_to(tracker, project)
    return DeliveryReport(0, count_waiting(project) + count_waiting_of_sessions(project), reason)


def has_work(project: Path) -> bool:
    """Whether an event waits, or the end of an interrupted run or of a session has not been told yet."""
    return any(_has_news(project, journal) for journal in journals(project)) or has_news_of_sessions(project)


def has_news_of_sessions(project: Path) -> bool:
    """Whether a line of a session waits, or the end of one has not been told yet."""
    return any(_is_news(project, path) for path in place.sessions(project))


def count_waiting_of_sessions(project: Path, only: Path | None = None) -> int:
    """How many lines of the sessions, or of one, are not delivered yet."""
    found = [only] if only else place.sessions(project)
    return sum(count_lines(path, progress(project, path).offset) for path in found if path.exists())


def _has_news(project: Path, journal: Path) -> bool:
    reached = progress(project, journal)
    if count_lines(journal, reached.offset):
        return True
    return reached.offset > 0 and not reached.is_interrupted and not is_over(journal) and not is_live(journal)


def why_not(settings: Settings) -> str | None:
    """Why nothing can be delivered at all, if so."""
    if not settings.tracking:
        return "tracking is switched off"
    if not is_installed("mlflow"):
        return f"mlflow is not installed: pip install 'nbproof[{EXTRA_OF['mlflow']}]'"
    return None


def deliver_to(
    tracker: Tracker, project: Path, *, only: Path | None = None, lock_wait_s: float = LOCK_WAIT_S
) -> DeliveryReport:
    """Deliver to `tracker` what waits: everything, or one journal. Only one process delivers at a time."""
    began = time.time()
    done = _Done()

    def act() -> None:
        for journal in [only] if only else journals(project):
            try:
                for _ in _deliver_journal(tracker, project, journal):
                    done.delivered += 1
            except JournalDamaged as error:
                # One damaged record does not hold up the others.
                done.reason = done.reason or str(error)
        if only is None:
            _deliver_sessions(tracker, project, done)
        _discard_kept(project, began)

    _alone(act, project, lock_wait_s, done)
    waiting = count_waiting(project, only) + (0 if only else count_waiting_of_sessions(project))
    return DeliveryReport(done.delivered, waiting, done.reason)


def deliver_sessions_to(tracker: Tracker, project: Path, *, lock_wait_s: float = LOCK_WAIT_S) -> DeliveryReport:
    """Deliver to `tracker` what is new of the sessions of notebooks; the journals of runs have their own couriers."""
    done = _Done()
    _alone(lambda: _deliver_sessions(tracker, project, done), project, lock_wait_s, done)
    return DeliveryReport(done.delivered, count_waiting_of_sessions(project), done.reason)


@dataclass(slots=True)
class _Done:
    """What was delivered so far, and why not everything."""

    delivered: int = 0
    reason: str | None = None


def _alone(act: Callable[[], None], project: Path, wait_s: float, done: _Done) -> None:
    """Deliver while no other process does; a tracker that is away ends it, and is told in `done`."""
    from filelock import FileLock, Timeout

    lock = FileLock(_spool(project) / "courier.lock")
    _spool(project).mkdir(parents=True, exist_ok=True)
    try:
        with lock.acquire(timeout=wait_s):
            act()
    except TrackerUnavailable as error:
        done.reason = error.reason
    except Timeout:
        done.reason = "another process is delivering"


def _deliver_sessions(tracker: Tracker, project: Path, done: _Done) -> None:
    for path in place.sessions(project):
        if not _is_news(project, path):
            continue
        waiting = count_lines(path, progress(project, path).offset)
        reader = Reader(path)
        reader.read()
        session = reader.session()
        if session is None:
            done.reason = done.reason or f"`{path}` does not say which session it holds"
            continue
        tracker.deliver_session(session, lambda content, original: _find(project, content, original))
        _remember(project, path, Progress(reader.offset, is_interrupted=not session.is_live))
        done.delivered += waiting


def _is_news(project: Path, session: Path) -> bool:
    reached = progress(project, session)
    return count_lines(session, reached.offset) > 0 or (not reached.is_interrupted and not is_live(session))


def count_waiting(project: Path, only: Path | None = None) -> int:
    """How many events of the journals are not delivered yet."""
    return sum(
        count_lines(journal, progress(project, journal).offset) for journal in ([only] if only else journals(project))
    )


def progress(project: Path, journal: Path) -> Progress:
    """How far `journal` is delivered; from the start when nobody knows, for delivering twice does no harm."""
    try:
        found = json.loads(_offset_file(project, journal).read_bytes())
        return Progress(int(found["offset"]), bool(found["is_interrupted"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Progress()


def offset_files(project: Path) -> list[Path]:
    """The files that say how far each journal is delivered: each has its run's name, and changes with each delivery."""
    return sorted(_spool(project).glob("*.offset"))


def is_over(journal: Path) -> bool:
    """Whether the journal holds the end of its run."""
    try:
        last = _last(journal)
    except (OSError, JournalDamaged):
        return False
    return last is not None and isinstance(last.event, RunFinished)


def _deliver_journal(tracker: Tracker, project: Path, journal: Path) -> Iterator[None]:
    """Deliver one journal, one event a step; after each step its offset is on disk."""
    was = progress(project, journal)
    # Asked before reading: a runner that dies in between is found dead the next time.
    lives = is_live(journal)
    last = None
    for entry, end in entries(journal, was.offset):
        tracker.deliver(entry, lambda content, original: _find(project, content, original))
        _remember(project, journal, Progress(end))
        last = entry
        yield
    if lives or (last is None and was.is_interrupted):
        return
    last = last or _last(journal)
    if last is not None and not isinstance(last.event, RunFinished):
        tracker.interrupt(last.event.run_id, last.event.at)
        _remember(project, journal, Progress(progress(project, journal).offset, is_interrupted=True))


def _last(journal: Path) -> Entry | None:
    found = [entry for entry, _ in entries(journal)]
    return found[-1] if found else None


def _find(project: Path, content: ContentHash, original: Path) -> Path | None:
    return kept.find(project, content, project / original)


def _discard_kept(project: Path, before: float) -> None:
    """Remove the kept files, once no record that could name them is under way."""
    found = journals(project)
    if any(is_live(journal) for journal in found) or count_waiting(project) != 0:
        return
    live = [path for path in place.sessions(project) if is_live(path) or _is_news(project, path)]
    sessions = [session for path in live if (session := read_session(path)) is not None]
    spare = frozenset(content for session in sessions for content in _named(session))
    kept.discard(project, before - SETTLED_S if live else before, spare=spare)


def _named(session: NotebookSession) -> Iterator[str]:
    for _, entry in session.logged:
        if entry.kind == "artifact":
            yield str(entry.values.get("sha256"))
    for around in session.around:
        if around.notebook_sha256 is not None:
            yield around.notebook_sha256


def _remember(project: Path, journal: Path, reached: Progress) -> None:
    write_atomically(_offset_file(project, journal), json.dumps(asdict(reached)).encode())


def _offset_file(project: Path, journal: Path) -> Path:
    # No session takes the place of a run that has its name.
    kind = "session-" if journal.parent == place.folder(project) else ""
    return _spool(project) / f"{kind}{journal.stem}.offset"


def _spool(project: Path) -> Path:
    return project / ".nbproof" / "spool"
