"""Data that arrives starts a schedule once, when it has been still."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nbproof.schedule.arrival import Stillness, seen
from nbproof.schedule.attending import Claim, end, look
from nbproof.schedule.definition import Schedule, Trigger, Work
from nbproof.schedule.ledger import Ledger


class Waiting:
    """A schedule that waits for a folder, two daemons that look, and a clock that passes as it is told."""

    def __init__(self, project: Path) -> None:
        self.ledger, self.now, self.began = Ledger(project), 1000.0, list[str]()
        trigger = Trigger(path="incoming", stable_s=10)
        schedule = Schedule(name="arrivals", work=Work(kind="pipeline", path="p"), trigger=trigger)
        self.daemons = [Stillness(clock=lambda: self.now) for _ in range(2)]
        with self.ledger.writing() as book:
            book.add(schedule, self.now, seen(project / "incoming").signature)

    def after(self, seconds: float) -> list[str]:
        """Let time pass, and let both look; what has begun so far comes back, each by why."""
        self.now += seconds
        for daemon in self.daemons:
            look(self.ledger, self.now, self._start, daemon)
        return self.began

    def _start(self, claim: Claim) -> None:
        self.began.append(claim.entry.cause)
        with self.ledger.writing() as book:
            end(book, book.find("arrivals").schedule, claim.entry, "done", "", None, self.now)


def test_it_starts_once_when_all_is_still(tmp_path: Path) -> None:
    """What lay there before starts nothing; a file that grows is waited for; two daemons start it once."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    (folder / "old.csv").write_text("a\n")
    waiting = Waiting(tmp_path)

    assert waiting.after(60) == []
    (folder / "new.csv").write_text("b\n")
    assert waiting.after(1) == []
    assert waiting.after(8) == []
    (folder / "new.csv").write_text("b\nc\n")
    assert waiting.after(8) == []
    assert waiting.after(9) == []
    assert waiting.after(2) == ["incoming changed"]
    assert waiting.after(60) == ["incoming changed"]


def test_a_change_that_keeps_name_and_size_counts(tmp_path: Path) -> None:
    """A file that is replaced by another of the same length has changed; one that is touched has, too."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    (folder / "a.csv").write_text("1\n")
    waiting = Waiting(tmp_path)

    (folder / "b.csv").write_text("2\n")
    (folder / "b.csv").replace(folder / "a.csv")
    waiting.after(1)
    assert waiting.after(11) == ["incoming changed"]


def test_what_goes_starts_nothing_and_what_comes_back_does(tmp_path: Path) -> None:
    """A folder that is removed holds nothing to work on."""
    folder = tmp_path / "incoming"
    waiting = Waiting(tmp_path)
    folder.mkdir()
    (folder / "a.csv").write_text("1\n")
    waiting.after(1)
    assert len(waiting.after(11)) == 1

    shutil.rmtree(folder)
    waiting.after(1)
    assert len(waiting.after(11)) == 1
    folder.mkdir()
    (folder / "a.csv").write_text("1\n")
    waiting.after(1)
    assert len(waiting.after(11)) == 2


def test_a_file_is_seen_like_a_folder(tmp_path: Path) -> None:
    """Contents and times make its state; where nothing is, that is a state, too."""
    file = tmp_path / "data.csv"
    nothing = seen(file)
    file.write_text("1")
    first = seen(file)
    os.utime(file, ns=(1, 1))

    assert not nothing.is_there
    assert first.is_there
    assert seen(file) != first
