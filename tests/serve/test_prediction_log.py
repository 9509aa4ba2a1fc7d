"""Every answer is in the log before it is given, whatever ends the service, and the log is read with what came true."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import SIGNATURE
from nbproof.errors import DataUnusable
from nbproof.serve.admission import Unasked
from nbproof.serve.app import Ways, served
from nbproof.serve.log import DONE, OPEN, Answered, PredictionLog, complete
from nbproof.serve.log_reading import read_log
from nbproof.serve.options import Options
from nbproof.serve.package import read
from nbproof.serve.process import listening
from nbproof.serve.rows import Table
from nbproof.serve.source import Folder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

ROW: dict[str, Any] = {"age": 30, "status": 2, "ratio": 0.25}
OTHER: dict[str, Any] = {"age": 70, "status": -1, "ratio": None}


def answered(number: int, rows: int = 1) -> Answered:
    block = np.array([[30 + number, 2, 0.25 if row % 2 else np.nan] for row in range(rows)], dtype=float)
    return Answered(f"r{number}", 1e9 + number, "toy", "1.0.0", "d" * 64, Table(rows, block), [number / 100] * rows)


def write(folder: Path, answers: list[Answered], **options: Any) -> None:
    """Write answers as a service does, all at once, and end it well."""

    async def run() -> None:
        log = PredictionLog(folder, SIGNATURE, **options)
        log.start()
        await asyncio.gather(*(log.keep(each) for each in answers))
        await log.stop()

    asyncio.run(run())


def test_what_was_answered_is_read_as_it_was(package_folder: Path, tmp_path: Path) -> None:
    """By way of the service: request, place, model and its hash, inputs and score, in Parquet once it has ended."""
    package = read(package_folder)
    app = served(package, Folder(package_folder), Unasked(), Ways(log=tmp_path / "log"))
    with TestClient(app) as client:
        answer = client.post("/predict", json={"rows": [ROW, OTHER]}, headers={"x-request-id": "order-7"})
        # While it runs it can be read, too.
        assert read_log(tmp_path / "log")["request"].tolist() == ["order-7", "order-7"]
        client.post("/predict", json={"rows": [{**ROW, "age": 1}]})

    found = read_log(tmp_path / "log")
    assert found["score"].tolist() == answer.json()["scores"]
    assert found["row"].tolist() == [0, 1]
    assert found["input.age"].tolist() == [30, 70]
    assert found["input.ratio"].isna().tolist() == [False, True]
    assert set(found["digest"]) == {package.contents.digest.hex}
    assert [path.suffix for path in (tmp_path / "log").iterdir()] == [DONE]
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_segments_end_and_follow_one_another(tmp_path: Path) -> None:
    """Each is complete after so many rows; together they hold every answer once, in order."""
    answers = [answered(number, rows=number % 3 + 1) for number in range(50)]
    for start in range(0, 50, 10):
        write(tmp_path, answers[start : start + 10], segment_rows=7)

    found = read_log(tmp_path)
    assert len(list(tmp_path.glob(f"*{DONE}"))) >= 5
    assert list(tmp_path.glob(f"*{OPEN}")) == []
    expected = [(each.request, row) for each in answers for row in range(each.table.count)]
    assert list(zip(found["request"], found["row"], strict=True)) == expected


@given(st.integers(0, 10_000), st.binary(max_size=40))
@settings(max_examples=80, deadline=None)
def test_a_segment_cut_anywhere_keeps_every_whole_answer(cut: int, noise: bytes) -> None:
    """What follows the last whole frame was never answered; it costs the others nothing, and nothing is made up."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = PredictionLog(folder, SIGNATURE)
        log._open()
        sizes = [log._path.stat().st_size]
        for number in range(5):
            os.write(log._file, answered(number, rows=2).frame())
            sizes.append(log._path.stat().st_size)
        log._abandon()
        at = cut % (sizes[-1] + 1)
        log._path.write_bytes(log._path.read_bytes()[:at] + noise)
        whole = max((number for number, size in enumerate(sizes) if size <= at), default=0)

        complete(folder)

        if whole == 0:
            with pytest.raises(DataUnusable):
                read_log(folder)
        else:
            assert read_log(folder)["request"].tolist() == [f"r{number}" for number in range(whole) for _ in range(2)]


def test_a_share_is_chosen_by_the_name_of_the_request(tmp_path: Path) -> None:
    """The same requests each time, about as many as asked for, each whole."""
    answers = [answered(number, rows=2) for number in range(400)]

    write(tmp_path / "a", answers, share=0.25)
    write(tmp_path / "b", answers, share=0.25)

    kept = read_log(tmp_path / "a")["request"]
    assert kept.tolist() == read_log(tmp_path / "b")["request"].tolist()
    assert set(kept.value_counts()) == {2}
    assert 60 < kept.nunique() < 140


def test_the_truth_of_later_is_joined(tmp_path: Path) -> None:
    """By request, or by request and row; what nobody knows yet is missing, and two truths of one row are refused."""
    write(tmp_path, [answered(0, rows=2), answered(1)])

    by_row = pd.DataFrame({"request": ["r0", "r1"], "row": [1, 0], "outcome": [1, 0]})
    assert read_log(tmp_path, truth=by_row)["outcome"].fillna(-1).tolist() == [-1, 1, 0]
    by_request = pd.DataFrame({"request": ["r0"], "outcome": [1]})
    assert read_log(tmp_path, truth=by_request)["outcome"].fillna(-1).tolist() == [1, 1, -1]
    with pytest.raises(DataUnusable, match="two lines about one row"):
        read_log(tmp_path, truth=pd.concat([by_request, by_request]))
    with pytest.raises(DataUnusable, match="column `score`"):
        read_log(tmp_path, truth=by_request.rename(columns={"outcome": "score"}))


def test_what_cannot_be_written_is_not_answered(
    package_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes nothing: 503 with the reason; once it can write again, it answers again."""
    app = served(read(package_folder), Folder(package_folder), Unasked(), Ways(log=tmp_path / "log"))
    with TestClient(app) as client:
        assert client.post("/predict", json={"rows": [ROW]}).status_code == 200
        with monkeypatch.context() as patched:

            def full(_: int) -> None:
                raise OSError(28, "No space left on device")

            # A full disk is not to be had in a test.
            patched.setattr(os, "fdatasync", full)
            refused = client.post("/predict", json={"rows": [ROW]})
        assert client.post("/predict", json={"rows": [ROW]}).status_code == 200

    assert refused.status_code == 503
    assert "No space left on device" in refused.json()["problems"][0]["what"]


@pytest.mark.slow
def test_a_killed_service_has_lost_nothing_that_it_answered(package_folder: Path, tmp_path: Path) -> None:
    """`kill -9` under load: every request whose answer arrived is in the log, with that very score."""
    options = Options(model=str(package_folder), log=str(tmp_path / "log"))
    got: dict[str, float] = {}
    with listening("127.0.0.1", 0) as bound:
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "nbproof.serve", str(package_folder), "--options", options.written(),
             "--socket-fd", str(bound.fileno()), "--ready-fd", str(writing)],
            pass_fds=(bound.fileno(), writing),
        )  # fmt: skip
        os.close(writing)
        try:
            assert json.loads(os.read(reading, 65536))["name"] == "toy"
            url = "http://{}:{}".format(*bound.getsockname()[:2])

            def load(worker: int) -> None:
                with httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
                    for number in range(100_000):
                        name, row = f"{worker}-{number}", {**ROW, "age": 18 + number % 80}
                        try:
                            answer = client.post("/predict", json={"rows": [row]}, headers={"x-request-id": name})
                        except httpx.TransportError:
                            return
                        got[name] = answer.json()["scores"][0]

            threads = [threading.Thread(target=load, args=(worker,)) for worker in range(4)]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 60
            while len(got) < 200 and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            bound.close()
            for thread in threads:
                thread.join()
        finally:
            os.close(reading)
            process.kill()
            process.wait()

    found = read_log(tmp_path / "log")
    logged = dict(zip(found["request"], found["score"], strict=True))
    assert len(got) >= 200
    assert {name: logged.get(name) for name in got} == got
    # What a next start completes is the same.
    complete(tmp_path / "log")
    assert read_log(tmp_path / "log").equals(found)
