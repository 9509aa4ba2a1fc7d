"""Watching a folder: each window that comes is looked at, what is found becomes events, and a retraining starts.

A window is a Parquet file of the folder, or a folder in it with segments. Names that begin with a dot or an underscore
are not windows. A file counts as soon as it is there, so it must be renamed to its place when it is whole; a folder
counts once a file `_SUCCESS` lies in it, or a folder with a later name is there.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ..errors import AskedWrongly, DataUnusable, WatchTaken
from ..files import write_atomically
from ..run.sources.hashes import content_hash
from . import deciding, tables
from .asking import Asked, Side, opened
from .deciding import MOST_ATTEMPTS, Policy, Retraining
from .events import FILE, Event, Events
from .retraining import is_running

FOLDER = Path(".nbproof/monitor")
QUESTION, COMPLETE = "question.json", "_SUCCESS"
# A shell that starts the rest of its arguments in the background and ends, so that nobody waits for them.
DETACHED = ("/bin/sh", "-c", 'exec "$@" &', "sh")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched: a folder of windows, what is asked of each, and where the events go.

    `pipeline` is what a retraining runs, with `parameters` (NAME=VALUE); None only raises events.
    """

    windows: Path
    asked: Asked
    state: Path
    policy: Policy = field(default_factory=Policy)
    pipeline: Path | None = None
    parameters: tuple[str, ...] = ()

    @property
    def events(self) -> Events:
        return Events(self.state / FILE)

    @property
    def lock(self) -> Path:
        return self.state / "watch.lock"


def once(watch: Watch, *, tell: Callable[[Event], None] = lambda event: None) -> tuple[Event, ...]:
    """Look at every window that wants it and start what is due; the new events come back, each told as it is written.

    Raises `WatchTaken` when another process watches with the same state, and `AskedWrongly` when the question is
    another one than before: events of two questions do not belong together.
    """
    with _alone(watch):
        _same_question(watch)
        new: list[Event] = []

        def add(events: Sequence[Event]) -> None:
            with watch.events.held() as held:
                for event in held.add(events):
                    new.append(event)
                    tell(event)

        _look_at_all(watch, add)
        if watch.pipeline is not None:
            _retrain(watch, add)
        return tuple(new)


def windows_of(folder: Path) -> list[Path]:
    """The windows that are there and whole, in the order of their names."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.name[0] not in "._")
    except OSError as error:
        raise DataUnusable(
            f"`{folder}`", f"a folder that cannot be read ({error.strerror})", "a folder of windows",
            hint="nbproof monitor watch --help",
        ) from None  # fmt: skip
    folders = [entry for entry in entries if entry.is_dir()]
    last = folders[-1] if folders else None
    return [
        entry for entry in entries
        if (entry.is_file() and entry.suffix == ".parquet")
        or (entry.is_dir() and any(entry.rglob("*.parquet")) and (entry != last or (entry / COMPLETE).exists()))
    ]  # fmt: skip


def _look_at_all(watch: Watch, add: Callable[[Sequence[Event]], None]) -> None:
    side: Side | None = None
    outcomes = watch.asked.outcomes
    if outcomes is not None and outcomes.file is not None and outcomes.file.exists():
        # A file of outcomes that cannot be read is no fault of any window.
        tables.expect(tables.read(outcomes.file), [*outcomes.key, outcomes.column], where=outcomes.file)
    for window in windows_of(watch.windows):
        content, arrived = _content(window), _outcomes(watch.asked)
        known = watch.events.read()
        name = window.stem if window.is_file() else window.name
        other = deciding.changed(known, name, content)
        if other is not None:
            add([other])
        if not deciding.wants_a_look(known, name, content, arrived):
            continue
        # The reference is read when there is something to hold against it.
        side = side or opened(_of_today(watch.asked))
        try:
            found = deciding.events_of(side.look_at(window), name, content, arrived)
        except DataUnusable as error:
            found = [deciding.unusable(name, content, str(error))]
        # Written while it was read: what was looked at is not what is there.
        if _content(window) == content:
            add(found)


def _of_today(asked: Asked) -> Asked:
    if asked.outcomes is None:
        return asked
    day = asked.outcomes.as_of or (None if asked.outcomes.time is None else date.today())
    return replace(asked, outcomes=replace(asked.outcomes, as_of=day, may_come_later=True))


def _content(path: Path) -> str:
    found = content_hash(path)
    return found.hex if found is not None else ""


def _outcomes(asked: Asked) -> str:
    """All that decides which outcomes are known: the file of outcomes, and the day where they have a delay."""
    if asked.outcomes is None:
        return "none"
    day = "" if asked.outcomes.time is None else str(asked.outcomes.as_of or date.today())
    file = "" if asked.outcomes.file is None else _content(asked.outcomes.file)[:16]
    return f"{day}/{file}"


def _retrain(watch: Watch, add: Callable[[Sequence[Event]], None]) -> None:
    with watch.events.held() as held:
        asked = deciding.due(held.known, watch.policy, datetime.now(UTC))
    if asked is not None:
        add([asked])
    for each in deciding.retrainings(watch.events.read()):
        if each.outcome or is_running(watch.state):
            continue
        if each.attempts >= MOST_ATTEMPTS:
            add([deciding.ended(each.number, "given-up", f"it died {each.attempts} times")])
            continue
        _start(watch, each)


def _start(watch: Watch, retraining: Retraining) -> None:
    """Start the process that carries a retraining out; it outlives the watcher, and sees to it that it is alone."""
    assert watch.pipeline is not None
    values = {"window": retraining.windows[-1], "windows": ",".join(retraining.windows), "number": retraining.number}
    order = {
        "pipeline": str(watch.pipeline.resolve()),
        "parameters": [_filled(parameter, values) for parameter in watch.parameters],
    }
    file = watch.state / f"retraining-{retraining.number}.json"
    # The order of the first attempt stands: a later one goes on with what that one began.
    if not file.exists():
        write_atomically(file, json.dumps(order, indent=1).encode())
    command = [sys.executable, "-m", f"{__package__}.retraining", str(watch.state.resolve()), str(retraining.number)]
    with (watch.state / f"retraining-{retraining.number}.log").open("ab") as log:
        subprocess.run([*DETACHED, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
                       start_new_session=True)  # fmt: skip


def _filled(parameter: str, values: Mapping[str, Any]) -> str:
    for name, value in values.items():
        parameter = parameter.replace(f"{{{name}}}", str(value))
    return parameter


def _same_question(watch: Watch) -> None:
    """Remember what is asked, and refuse another question in the same place."""
    asked = asdict(watch.asked)
    asked["reference"] = _content(watch.asked.reference)
    if watch.asked.outcomes is not None:
        # Which outcomes are known changes with time; that is what watching is for.
        asked["outcomes"] |= {"file": None, "as_of": None}
    text = json.dumps(asked, default=str, sort_keys=True)
    file = watch.state / QUESTION
    if not file.exists():
        write_atomically(file, text.encode())
    elif file.read_text() != text:
        raise AskedWrongly(
            f"`{watch.state}` holds events of another question (reference, columns or limits); expected the same",
            hint="give this question a name of its own: --name NAME",
        )


@contextmanager
def _alone(watch: Watch) -> Iterator[None]:
    watch.state.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(watch.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WatchTaken(watch.state) from None
    try:
        yield
    finally:
        os.close(descriptor)
