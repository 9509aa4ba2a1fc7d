"""Watching: every event once and none lost, one retraining at a time and never a second for the same window."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.cli.main import carry_out
from nbproof.errors import AskedWrongly, EventsDamaged, WatchTaken
from nbproof.monitor.asking import Asked
from nbproof.monitor.deciding import Policy, due, ended, retrainings, wants_a_look
from nbproof.monitor.events import Event, Events
from nbproof.monitor.look import Limits
from nbproof.monitor.retraining import is_running
from nbproof.monitor.tables import Outcomes
from nbproof.monitor.watching import Watch, once, windows_of

ROWS = 600
LONGEST_S = 120

# A watcher that is killed at its n-th write to the disk.
KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from nbproof.monitor.watching import once

watch, left = pickle.loads(Path(sys.argv[1]).read_bytes()), int(sys.argv[2])
fsync = os.fsync

def dying(descriptor):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    fsync(descriptor)

os.fsync = dying
once(watch)
"""
# The model is "trained" by adding a line to a file outside of the project's products.
TRAIN = """# %% tags=["parameters"]
upstream = None
product = None
trained: str = ""
window: str = ""
wait: bool = False

# %%
import time
from pathlib import Path

with Path(trained).open("a") as file:
    file.write(window + "\\n")
while wait and not Path(trained).with_name("go").exists():
    time.sleep(0.05)
"""


def write(path: Path, *, shift: float = 0.0, seed: int = 1, labels: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    score = rng.random(ROWS)
    columns: dict[str, Any] = {"id": np.arange(ROWS), "x": rng.normal(shift, size=ROWS).clip(-2, 2), "score": score}
    if labels:
        columns = {"id": columns["id"], "label": (rng.random(ROWS) < score).astype(int)}
    unfinished = path.with_name(f".{path.name}")
    pq.write_table(pa.table(columns), unfinished)
    unfinished.replace(path)
    return path


def watch_of(folder: Path, **options: Any) -> Watch:
    reference = folder / "reference.parquet"
    if not reference.exists():
        write(reference, seed=0)
    asked = options.pop("asked", {})
    question = Asked(reference=reference, limits=Limits(), columns=("x",), **asked)
    (folder / "log").mkdir(exist_ok=True)
    return Watch(folder / "log", question, folder / "state", **options)


def keys(watch: Watch) -> list[str]:
    return [event.key for event in watch.events.read()]


def test_each_window_is_told_once(tmp_path: Path) -> None:
    """One event for each reason and one for the window; looking again says nothing, and nothing is forgotten."""
    watch = watch_of(tmp_path)
    write(watch.windows / "2026-06.parquet")
    write(watch.windows / "2026-07.parquet", shift=1.0)

    first, again = once(watch), once(watch)
    write(watch.windows / "2026-08.parquet", seed=3)
    later = once(watch)

    assert [event.key for event in first] == [
        "window:2026-06:complete", "alarm:2026-07:drift:x:red", "window:2026-07:complete",
    ]  # fmt: skip
    assert again == ()
    assert [(event.window, event.verdict) for event in later] == [("2026-08", "green")]
    assert first[1].facts["numbers"]["psi"] > 0.2


def test_what_is_not_whole_is_no_window_yet(tmp_path: Path) -> None:
    """Hidden files are being written; a folder of segments counts once it is marked, or a later one is there."""
    log = tmp_path / "log"
    write(log / "2026-06/part-1.parquet")
    write(log / ".2026-05.parquet")
    assert windows_of(log) == []

    write(log / "2026-07/part-1.parquet")
    assert [window.name for window in windows_of(log)] == ["2026-06"]

    (log / "2026-07/_SUCCESS").touch()
    assert [window.name for window in windows_of(log)] == ["2026-06", "2026-07"]


def test_a_window_that_changes_is_told_and_not_judged_again(tmp_path: Path) -> None:
    """Other rows under the name of a window that was looked at are a reason to worry, once."""
    watch = watch_of(tmp_path)
    write(watch.windows / "w.parquet")
    once(watch)
    write(watch.windows / "w.parquet", shift=1.0)

    second, third = once(watch), once(watch)

    assert [(event.kind, event.verdict) for event in second] == [("changed", "red")]
    assert third == ()


def test_a_window_that_cannot_be_compared_is_told_once(tmp_path: Path) -> None:
    """A broken file stops nobody: the others are looked at."""
    watch = watch_of(tmp_path)
    (watch.windows / "a.parquet").write_bytes(b"no Parquet")
    write(watch.windows / "b.parquet")

    found = once(watch)

    assert [(event.kind, event.window) for event in found] == [("unusable", "a"), ("window", "b")]
    assert once(watch) == ()


def test_outcomes_that_come_later_are_looked_at_then(tmp_path: Path) -> None:
    """First nothing is said about performance; with the file of outcomes it is, and then no more."""
    labels = tmp_path / "labels.parquet"
    asked = {
        "score": "score", "key": ("id",), "reference_auc": 0.8,
        "outcomes": Outcomes("label", labels, ("id",)),
    }  # fmt: skip
    watch = watch_of(tmp_path, asked=asked)
    write(watch.windows / "w.parquet")

    before = once(watch)
    write(labels, labels=True)
    after = once(watch)

    assert before[-1].facts["findings"]["performance: score against outcome"]["auc"] is None
    assert after[-1].facts["findings"]["performance: score against outcome"]["auc"] > 0.7
    assert [event.kind for event in after] == ["window"]
    assert once(watch) == ()


def test_two_watchers_and_two_questions_are_refused(tmp_path: Path) -> None:
    """One process at a time, and one question a place."""
    watch = watch_of(tmp_path)
    write(watch.windows / "w.parquet")

    def second(event: Event) -> None:
        with pytest.raises(WatchTaken, match="used by another watcher"):
            once(watch)

    assert once(watch, tell=second)
    other = Watch(watch.windows, Asked(reference=watch.asked.reference, limits=Limits(), score="score"), watch.state)
    with pytest.raises(AskedWrongly, match="another question"):
        once(other)


def test_a_line_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    """Wherever the last line ends, the events after the next look are those of an undisturbed watch."""
    watch = watch_of(tmp_path)
    write(watch.windows / "w.parquet", shift=1.0)
    once(watch)
    whole = keys(watch)
    content = watch.events.path.read_bytes()
    last = content[:-1].rfind(b"\n") + 1

    for cut in (len(content) - 1, last + 1, last, 1, 0):
        watch.events.path.write_bytes(content[:cut])
        once(watch)
        assert keys(watch) == whole

    watch.events.path.write_bytes(b"{}\n" + content)
    with pytest.raises(EventsDamaged, match="line 1 is no event"):
        once(watch)


def test_a_watcher_that_is_killed_anywhere_loses_nothing(tmp_path: Path) -> None:
    """Killed at each of its writes, one after the other, until one lives: every event is there, once."""
    watch = watch_of(tmp_path)
    for number, shift in enumerate((0.0, 1.0, 2.0)):
        write(watch.windows / f"{number}.parquet", shift=shift, seed=number + 5)
    undisturbed = watch_of(tmp_path, asked={})
    undisturbed = Watch(watch.windows, watch.asked, tmp_path / "other")
    once(undisturbed)

    deaths = 0
    while _killed(tmp_path, watch, deaths):
        deaths += 1

    assert deaths >= 3
    assert keys(watch) == keys(undisturbed)


def _killed(folder: Path, watch: Watch, point: int) -> bool:
    import pickle

    (folder / "watch.pickle").write_bytes(pickle.dumps(watch))
    ran = subprocess.run([sys.executable, "-c", KILLED, folder / "watch.pickle", str(point)], check=False)
    assert ran.returncode in (0, -signal.SIGKILL)
    return ran.returncode != 0


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def red(window: str, area: str = "drift") -> Event:
    return Event(f"alarm:{window}:{area}:x:red", "alarm", window, "red", "", {"area": area})


def at(event: Event | None, moment: datetime) -> Event:
    assert event is not None
    return Event(event.key, event.kind, event.window, event.verdict, event.reason, event.facts, moment.isoformat())


def test_a_retraining_waits_for_the_one_before_and_its_cool_down() -> None:
    """One at a time; the windows that came meanwhile are in the next, each in one only."""
    policy = Policy(cool_down=timedelta(days=7))
    events = [red("a"), red("b")]
    events.append(at(due(events, policy, NOW), NOW))
    assert events[-1].facts == {"number": 1, "windows": ["a", "b"]}

    events.append(red("c"))
    assert due(events, policy, NOW + timedelta(days=30)) is None

    events.append(ended(1, "done", ""))
    assert due(events, policy, NOW + timedelta(days=6)) is None
    second = due(events, policy, NOW + timedelta(days=7))
    assert second is not None
    assert second.facts == {"number": 2, "windows": ["c"]}


def test_a_broken_feed_is_no_reason_to_retrain() -> None:
    """Quality alone alarms; nothing is learnt from it."""
    assert due([red("a", "quality")], Policy(), NOW) is None
    assert due([Event("k", "unusable", "a", "red")], Policy(), NOW) is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "d", "ended", "later"]), max_size=25))
def test_no_window_is_retrained_for_twice(story: list[str]) -> None:
    """Whatever comes in whatever order, each window is named by one retraining at most, and one is open at most."""
    policy, now = Policy(cool_down=timedelta(days=7)), NOW
    events: list[Event] = []
    for what in story:
        if what == "later":
            now += timedelta(days=4)
        elif what == "ended":
            events += [ended(each.number, "done", "") for each in retrainings(events) if not each.outcome]
        elif not any(event.window == what for event in events):
            events.append(red(what))
        asked = due(events, policy, now)
        if asked is not None:
            events.append(at(asked, now))

    found = retrainings(events)
    named = [window for each in found for window in each.windows]
    assert len(named) == len(set(named))
    assert sum(not each.outcome for each in found) <= 1
    assert [each.number for each in found] == list(range(1, len(found) + 1))


def test_a_window_is_looked_at_until_its_outcomes_are_there() -> None:
    """Not twice with the same outcomes, and never again once all are known."""
    facts = {"content": "c", "outcomes": "day 1", "outcomes_complete": False}
    partly = Event("w", "window", "w", facts=facts)
    whole = Event("w2", "window", "w", facts={**facts, "outcomes_complete": True})

    assert wants_a_look([], "w", "c", "day 1")
    assert not wants_a_look([partly], "w", "c", "day 1")
    assert wants_a_look([partly], "w", "c", "day 2")
    assert not wants_a_look([partly, whole], "w", "c", "day 3")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose pipeline notes that it has trained."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\nworkers = 1\nwarm = false\n")
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "pipeline.yaml").write_text("tasks:\n- {source: train.py, product: build/train.ipynb}\n")
    write(tmp_path / "reference.parquet", seed=0)
    write(tmp_path / "log/bad.parquet", shift=1.0)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(project: Path, *more: str) -> list[str]:
    return [
        "monitor", "watch", "log", "--reference", "reference.parquet", "--columns", "x", "--once", "--json",
        "--pipeline", "pipeline.yaml", "-p", f"trained={project / 'trained.txt'}", "-p", "window={window}", *more,
    ]  # fmt: skip


def until(events: Events, kind: str) -> Event:
    end = time.monotonic() + LONGEST_S
    while True:
        found = [event for event in events.read() if event.kind == kind]
        if found:
            return found[-1]
        assert time.monotonic() < end, [event.key for event in events.read()]
        time.sleep(0.1)


def test_a_red_window_retrains_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline runs with the window's name; watching on starts nothing more; the events tell the story."""
    events = Events(project / ".nbproof/monitor/windows/events.jsonl")
    assert carry_out(command(project)) == 0
    told = [event["kind"] for event in json.loads(capsys.readouterr().out)]

    over = until(events, "retraining-ended")
    assert carry_out(command(project)) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert carry_out(["monitor", "events"]) == 0

    assert told == ["alarm", "window", "retraining-asked"]
    assert (over.facts["outcome"], over.reason) == ("done", "a candidate is there for review")
    assert over.facts["run_id"]
    assert (project / "trained.txt").read_text() == "bad\n"
    assert "retraining-ended" in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_retraining_goes_on_and_is_no_second_one(project: Path) -> None:
    """The process and what it started are killed in the middle: looking again ends it, and asks for nothing new."""
    events = Events(project / ".nbproof/monitor/windows/events.jsonl")
    state, trained = events.path.parent, project / "trained.txt"
    assert carry_out(command(project, "-p", "wait=true")) == 0
    _wait_for(trained.exists)
    started = until(events, "retraining-started")
    assert carry_out(command(project, "-p", "wait=true")) == 0
    assert [event.kind for event in events.read()].count("retraining-started") == 1

    family = psutil.Process(started.facts["pid"])
    for process in [family, *family.children(recursive=True)]:
        os.kill(process.pid, signal.SIGKILL)
    _wait_for(lambda: not is_running(state))
    (project / "go").touch()
    assert carry_out(command(project, "-p", "wait=true")) == 0
    until(events, "retraining-ended")

    kinds = [event.kind for event in events.read()]
    assert kinds.count("retraining-asked") == kinds.count("retraining-ended") == 1
    assert kinds.count("retraining-started") == 2
    assert [each.outcome for each in retrainings(events.read())] == ["done"]


@pytest.mark.slow
def test_a_retraining_whose_starter_is_killed_keeps_others_out(project: Path) -> None:
    """Only the process in between is killed: its run still holds the lock, and when it is over nothing trains twice."""
    events = Events(project / ".nbproof/monitor/windows/events.jsonl")
    state, trained = events.path.parent, project / "trained.txt"
    assert carry_out(command(project, "-p", "wait=true")) == 0
    _wait_for(trained.exists)
    os.kill(until(events, "retraining-started").facts["pid"], signal.SIGKILL)

    assert carry_out(command(project, "-p", "wait=true")) == 0
    assert is_running(state)
    (project / "go").touch()
    _wait_for(lambda: not is_running(state))
    assert carry_out(command(project, "-p", "wait=true")) == 0
    until(events, "retraining-ended")

    assert trained.read_text() == "bad\n"
    assert [each.outcome for each in retrainings(events.read())] == ["done"]


def _wait_for(condition: Any) -> None:
    end = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_retraining_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    """After three attempts it is over, and people are told."""
    watch = watch_of(tmp_path, pipeline=tmp_path / "pipeline.yaml")
    with watch.events.held() as held:
        held.add([red("w"), Event("retraining-asked:1", "retraining-asked", facts={"number": 1, "windows": ["w"]})])
        held.add([
            Event(f"retraining-started:1:{attempt}", "retraining-started", facts={"number": 1}) for attempt in (1, 2, 3)
        ])  # fmt: skip

    found = once(watch)

    assert [(event.kind, event.facts["outcome"]) for event in found] == [("retraining-ended", "given-up")]


def test_the_command_refuses_what_makes_no_sense(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is a path, and a folder that is not there."""
    assert carry_out(command(project, "--name", "../elsewhere")) == 2
    assert "expected letters, digits" in capsys.readouterr().err
    asked = command(project)
    asked[2] = "nowhere"
    assert carry_out(asked) == 2
    assert "`nowhere`: found a folder that cannot be read" in capsys.readouterr().err
