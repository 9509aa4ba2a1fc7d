"""The log of a service is a window as it lies there: complete segments, and the one that is being written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nbproof.cli.main import carry_out
from nbproof.serve.log import Answered, PredictionLog
from nbproof.serve.rows import Table
from nbproof.serve.signature import Input, Signature

SIGNATURE = Signature((Input("age", "integer"), Input("status", "integer", categories=(0, 1, 2)),
                       Input("ratio", "number", nullable=True)))  # fmt: skip


def rows(seed: int, count: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ratio = np.where(rng.random(count) < 0.1, np.nan, rng.normal(shift, size=count))
    return np.column_stack([rng.integers(18, 80, count), rng.integers(0, 3, count), ratio]).astype(np.float64)


def scores(block: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(block[:, 1] - 1)))


def serve(folder: Path, answers: list[tuple[str, np.ndarray]], *, is_ended: bool = True) -> Any:
    """Log these answers as a service does, some rows a request; one that has not ended leaves its segment open."""

    async def run() -> PredictionLog:
        log = PredictionLog(folder, SIGNATURE)
        log.start()
        for number, (version, block) in enumerate(answers):
            for at in range(0, len(block), 50):
                part = block[at : at + 50]
                told = (f"r{number}-{at}", 1.78e9 + at, "toy", version, version * 8)
                await log.keep(Answered(*told, Table(len(part), part), scores(part).tolist()))
        if is_ended:
            await log.stop()
        return log

    return asyncio.run(run())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reference with more columns than the model takes."""
    monkeypatch.chdir(tmp_path)
    block = rows(0, 2000)
    pq.write_table(pa.table({
        "client": np.arange(2000), "age": block[:, 0].astype("int64"), "status": block[:, 1].astype("int64"),
        "ratio": block[:, 2], "score": scores(block), "label": (block[:, 1] > 1).astype("int64"),
    }), tmp_path / "train.parquet")  # fmt: skip
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> Any:
    capsys.readouterr()
    assert carry_out(["monitor", "check", "--reference", "train.parquet", "--window", *words, "--json"]) == code
    said = capsys.readouterr()
    return json.loads(said.out) if said.out else said.err


def test_the_log_of_a_service_needs_no_further_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its fields and its scores go by their names in the reference; what moved is told, and what did not is not."""
    serve(folder / "alike", [("1.0.0", rows(1, 2000))])
    serve(folder / "moved", [("1.0.0", rows(2, 2000, shift=1.0))])

    alike, moved = told(capsys, "alike", code=0), told(capsys, "moved", code=1)

    text = json.dumps(alike)
    assert all(f'"{name}"' in text for name in ("age", "status", "ratio", "score"))
    assert "client" not in text
    assert "ratio" in json.dumps(moved)
    assert sorted(path.suffix for path in (folder / "moved").iterdir()) == [".parquet"]


def test_what_was_answered_until_now_is_looked_at(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A service that runs, or was killed, has an open segment; its answers count as those of a complete one."""
    serve(folder / "ended", [("1.0.0", rows(1, 500))])
    serve(folder / "open", [("1.0.0", rows(1, 500))], is_ended=False)
    assert {path.suffix for path in (folder / "open").iterdir()} >= {".frames"}

    assert told(capsys, "open", code=0) | {"window": ""} == told(capsys, "ended", code=0) | {"window": ""}


def test_answers_of_two_models_are_not_one_window(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What moved between them may be the model: the version is asked for, and one that never answered is no window."""
    serve(folder / "log", [("1.0.0", rows(1, 500)), ("1.1.0", rows(2, 500, shift=3.0))])

    assert "answers of 2 models (1.0.0, 1.1.0)" in told(capsys, "log", code=2)
    told(capsys, "log", "--model-version", "1.0.0", code=0)
    told(capsys, "log", "--model-version", "1.1.0", code=1)
    assert "answers of 0 models" in told(capsys, "log", "--model-version", "9", code=2)


def test_an_earlier_log_may_be_the_reference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its fields are those that are compared, and its scores; a folder without an answer is no window."""
    serve(folder / "may", [("1.0.0", rows(1, 1000))])
    serve(folder / "june", [("1.0.0", rows(2, 1000))])
    (folder / "train.parquet").rename(folder / "other.parquet")
    (folder / "empty").mkdir()
    (folder / "empty/x.frames").write_bytes(b"")
    capsys.readouterr()

    assert carry_out(["monitor", "check", "--reference", "may", "--window", "june", "--json"]) == 0
    assert '"score"' in capsys.readouterr().out
    assert carry_out(["monitor", "check", "--reference", "may", "--window", "empty"]) == 2
    assert "no answer in `empty`" in capsys.readouterr().err
