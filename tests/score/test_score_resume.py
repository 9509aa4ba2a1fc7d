"""Killed at any moment it goes on, and nothing is lost, doubled or half visible."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from rows_and_models import (
    COMMAND,
    command,
    environment,
    files,
    one_line,
    project,
    read,
    scored,
    skops_file,
    table,
    written,
)

from nbproof.errors import Busy, OutputTaken, ScoreRefused
from nbproof.score.writing import Work

ROWS, PART_ROWS = 2400, 100


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with a model and rows to score."""
    made = project(tmp_path / "project")
    skops_file(made / "model.skops")
    written(made / "rows.parquet", table(ROWS), PART_ROWS)
    return made


WORDS = ("model.skops", "rows.parquet", "scores", "--keep", "id", "--part-rows", "100", "--unsafe-draft", "a test")


def killed(place: Path, after: int, wait_s: float) -> None:
    """Start, and kill it when so many parts are complete; the place within the next part is a matter of chance."""
    process = subprocess.Popen(
        [*COMMAND, "score", *WORDS], cwd=place, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    end = time.monotonic() + 100
    record = Work(place / "scores").record(after)
    while not record.exists() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    time.sleep(wait_s)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said


@pytest.mark.slow
def test_killed_again_and_again_it_gives_what_an_undisturbed_run_gives(place: Path) -> None:
    """Every byte of every part and of the manifest is the same; until the end there is no output."""
    chance = random.Random(0)

    for after in (2, 9, 17):
        killed(place, after, chance.random() / 50)
        assert not (place / "scores").exists()
    ended = command(place, *WORDS, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    scored(place, place / "rows.parquet", "undisturbed", part_rows=PART_ROWS)

    assert told["kept_parts"] >= 18
    assert (told["rows"], told["parts"]) == (ROWS, ROWS // PART_ROWS)
    assert files(place / "scores") == files(place / "undisturbed")
    assert read(place / "scores")["id"].to_pylist() == list(range(ROWS))
    assert sorted(path.name for path in place.iterdir() if "scores" in path.name) == ["scores"]


def stopped(place: Path, parts: int) -> Work:
    """Unfinished work with so many complete parts: the rest of the input could not be read."""
    work = Work(place / "scores")
    content = (place / "rows.parquet").read_bytes()
    scored(place, place / "rows.parquet", "whole", part_rows=PART_ROWS)
    calls = iter(range(parts))

    def stop(progress: object) -> None:
        if getattr(progress, "parts", 0) and next(calls, None) is None:
            raise KeyboardInterrupt

    from rows_and_models import DRAFT

    from nbproof.score.asked import Asked
    from nbproof.score.scoring import score

    with pytest.raises(KeyboardInterrupt):
        score(
            place / "model.skops", place / "rows.parquet", place / "scores", Asked(keep=("id",), part_rows=PART_ROWS),
            project=place, unsafe=DRAFT, tell=stop,
        )  # fmt: skip
    assert (place / "rows.parquet").read_bytes() == content
    assert not (place / "scores").exists()
    return work


def test_a_damaged_part_is_done_again(place: Path) -> None:
    """What does not match its record counts for nothing; what a killed writer has left goes."""
    work = stopped(place, 8)
    content = work.file(0).read_bytes()
    work.file(0).write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    work.file(1).write_bytes(work.file(1).read_bytes()[:-1])
    work.file(2).unlink()
    work.record(3).write_text('{"part": 3')
    work.record(4).write_bytes(work.record(5).read_bytes())
    left = work.file(6)
    left.with_name(f".{left.name}.0123456789abcdef.unfinished").write_bytes(content[:9])
    complete = len(list(work.folder.glob("part-*.json")))

    found = scored(place, place / "rows.parquet", part_rows=PART_ROWS)

    assert found.kept_parts == complete - 5
    assert files(place / "scores") == files(place / "whole")


def test_unfinished_work_of_another_plan_is_refused(place: Path) -> None:
    """Another option, another model, other rows: parts of two plans are never mixed, unless one is dropped."""
    stopped(place, 5)
    rows = place / "rows.parquet"

    with pytest.raises(ScoreRefused, match="unfinished work of another plan: options changed"):
        scored(place, rows, part_rows=PART_ROWS, batch_rows=50)
    skops_file(place / "model.skops")
    written(rows, table(ROWS, seed=1), PART_ROWS)
    with pytest.raises(ScoreRefused, match="unfinished work of another plan: input changed") as caught:
        scored(place, rows, part_rows=PART_ROWS)
    assert "--force" in caught.value.hint

    again = scored(place, rows, part_rows=PART_ROWS, force=True)

    assert again.kept_parts == 0
    assert read(place / "scores")["id"].to_pylist() == list(range(1000, 1000 + ROWS))


def test_what_is_done_is_not_done_again(place: Path) -> None:
    """The same command again says so; scores that were changed since are no scores."""
    rows = place / "rows.parquet"
    scored(place, rows)
    before = files(place / "scores")

    again = scored(place, rows)

    assert (again.kept_parts, again.parts) == (1, 1)
    assert files(place / "scores") == before
    part = place / "scores/part-00000.parquet"
    part.write_bytes(part.read_bytes() + b" ")
    with pytest.raises(ScoreRefused, match="scores that were changed since they were written"):
        scored(place, rows)


@pytest.mark.parametrize("to", ["scores", "scores.parquet"])
def test_an_output_is_replaced_only_when_asked_for_and_only_when_it_is_ours(place: Path, to: str) -> None:
    """Other people's files stay; earlier scores stay, too, until their successors are complete."""
    other = place / to
    if other.suffix:
        other.write_bytes(b"mine")
    else:
        other.mkdir()
        (other / "mine.txt").write_text("mine")
    rows = place / "rows.parquet"
    for force in (False, True):
        with pytest.raises(OutputTaken, match="and no scores"):
            scored(place, rows, to, force=force)
    if other.suffix:
        other.unlink()
    else:
        (other / "mine.txt").unlink()
    scored(place, rows, to)
    with pytest.raises(OutputTaken, match="scores of another input, model or options") as caught:
        scored(place, rows, to, name="score")
    assert "--force" in caught.value.hint

    scored(place, rows, to, name="score", force=True)

    assert read(other).column_names == ["id", "score"]
    assert sorted(path.name for path in place.iterdir() if "scores" in path.name) == [to]


def test_two_at_once_are_refused(place: Path) -> None:
    """Whoever is second is told so, and changes nothing."""
    with Work(place / "scores").held(), pytest.raises(Busy, match="another `nbproof score`"):
        scored(place, place / "rows.parquet")


def test_a_full_disk_is_one_line(place: Path) -> None:
    """Nothing half written can be seen; with room again the same command goes on."""
    most = (place / "model.skops").stat().st_size + 4096
    # Numbers in a row and scores of few trees take little room once they are compressed.
    written(place / "rows.parquet", table(most), most)
    words = (*WORDS[:5], "--unsafe-draft", "a test")

    # A limit for the size of a file is, to whoever writes one, what a full disk is.
    ran = command(place, *words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))

    assert ran.returncode == 1, ran.stderr
    assert "could not be written: File too large; expected room for it" in one_line(ran)[0]
    assert not (place / "scores").exists()
    left = [path.name for path in (place / "scores.unfinished").rglob("*") if path.is_file()]
    assert left == ["plan.json"]
    assert command(place, *words).returncode == 0
