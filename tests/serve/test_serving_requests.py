"""What requests may hold: rows as JSON or Arrow, checked alike; keys; and a model's reasons, which add up."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conftest import SIGNATURE, write_package
from nbproof import explain
from nbproof.cli.main import carry_out
from nbproof.errors import KeyUnusable, ModelRefused
from nbproof.serve import keys
from nbproof.serve.admission import Unasked
from nbproof.serve.app import Ways, served
from nbproof.serve.batching import Batcher, Batching, Busy
from nbproof.serve.limits import Bounds
from nbproof.serve.package import Model, Package, probes, read
from nbproof.serve.rows import ARROW, Reader, RowsRefused, Table
from nbproof.serve.signature import Input, Signature
from nbproof.serve.source import Folder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

ROW: dict[str, Any] = {"age": 30, "status": 2, "ratio": 0.25}
OTHER: dict[str, Any] = {"age": 70, "status": -1, "ratio": None}
READER = Reader(SIGNATURE, 5)


def started(folder: Path, **ways: Any) -> TestClient:
    package = read(folder)
    return TestClient(served(package, Folder(folder), Unasked(), Ways(**ways)))


@pytest.fixture(scope="module")
def client(package_folder: Path) -> Iterator[TestClient]:
    """A service that explains."""
    with started(package_folder, explains=True) as client:
        yield client


def stream(rows: list[dict[str, Any]] | pa.Table, **options: Any) -> bytes:
    """Rows as an Arrow stream."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


FIELD: dict[str, st.SearchStrategy[Any]] = {
    "age": st.one_of(st.integers(0, 120), st.integers(-(2**62), 2**62)),
    "status": st.integers(-3, 4),
    "ratio": st.one_of(st.none(), st.floats(allow_nan=False), st.integers(-3, 3)),
}


@given(st.lists(st.fixed_dictionaries(FIELD), min_size=1, max_size=7))
@settings(max_examples=150, deadline=None)
def test_json_and_arrow_are_judged_alike(rows: list[dict[str, Any]]) -> None:
    """What one way is refused is refused the other way, and what is taken becomes the same numbers."""
    columns = {name: [row[name] for row in rows] for name in FIELD}
    table = pa.table({
        "age": pa.array(columns["age"], pa.int64()),
        "status": pa.array(columns["status"], pa.int64()),
        "ratio": pa.array([None if value is None else float(value) for value in columns["ratio"]], pa.float64()),
    })  # fmt: skip

    def taken(body: bytes, media: str) -> Any:
        try:
            return READER.read(body, media).block
        except RowsRefused as error:
            return error.status

    by_json, by_arrow = taken(json.dumps({"rows": rows}).encode(), "application/json"), taken(stream(table), ARROW)

    np.testing.assert_array_equal(by_json, by_arrow)
    assert isinstance(by_json, np.ndarray) or by_json == 422


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_a_damaged_stream_is_refused_and_never_more(noise: bytes, at: int, value: int) -> None:
    """Whatever the bytes are, they are rows or a refusal."""
    good = bytearray(stream([ROW, OTHER]))
    good[at % len(good)] = value
    for body in (noise, bytes(good), bytes(good[: at % len(good)])):
        with contextlib.suppress(RowsRefused):
            assert READER.read(body, ARROW).count <= 5


@pytest.mark.parametrize(
    "body",
    [
        stream(pa.table({name: [0] for name in ("age", "status")})),
        stream(pa.table({name: [0] for name in ("status", "age", "ratio")})),
        stream(pa.table({"age": ["30"], "status": [1], "ratio": [0.5]})),
        stream(pa.table({"age": [30], "status": [1], "ratio": pa.array(["a"]).dictionary_encode()})),
        stream(pa.table({"age": [30] * 9, "status": [1] * 9, "ratio": [0.5] * 9}), compression="zstd"),
        stream(pa.table({"age": [30] * 6, "status": [1] * 6, "ratio": [0.5] * 6})),
        stream(pa.table({"age": [30], "status": [1], "ratio": [float("nan")]})),
        stream(pa.table({"age": pa.array([None], pa.int64()), "status": [1], "ratio": [0.5]})),
        stream(pa.Table.from_pylist([ROW]).slice(0, 0)),
        stream(pa.table({f"c{at}": [1] for at in range(10_000)})),
    ],
    ids=["few", "order", "text", "dictionary", "compressed", "many", "nan", "null", "empty", "wide"],
)  # fmt: skip
def test_a_stream_that_does_not_fit_is_refused(body: bytes) -> None:
    """Before its columns are made, where its description tells already."""
    with pytest.raises(RowsRefused) as refused:
        READER.read(body, ARROW)

    assert refused.value.status == 422


def test_arrow_in_and_out(client: TestClient) -> None:
    """The scores are those of the same rows in JSON, and carry the model's name."""
    by_json = client.post("/predict", json={"rows": [ROW, OTHER]}).json()

    answer = client.post("/predict", content=stream([ROW, OTHER]), headers={"content-type": ARROW, "accept": ARROW})

    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.column("score").to_pylist() == by_json["scores"]
    assert table.schema.metadata == {b"model": b"toy", b"version": b"1.2.3"}


def test_text_and_truth_values_reach_the_model_as_they_were() -> None:
    """Fields that are no numbers go to the model as columns, the same from JSON and from Arrow."""
    sex = Input("sex", "string", categories=("f", "m"))
    signature = Signature((sex, Input("old", "boolean"), Input("n", "integer")))
    reader = Reader(signature, 3)
    rows = [{"sex": "f", "old": True, "n": 3}, {"sex": "m", "old": False, "n": -1}]

    for table in (reader.read(json.dumps({"rows": rows}).encode(), ""), reader.read(stream(rows), ARROW)):
        frame = table.frame(signature)
        pd.testing.assert_frame_equal(frame, pd.DataFrame(rows))


def test_an_unknown_kind_of_body_is_415(client: TestClient) -> None:
    """Neither JSON nor Arrow."""
    assert client.post("/predict", content=b"a,b", headers={"content-type": "text/csv"}).status_code == 415


@pytest.mark.parametrize(
    "model", [HistGradientBoostingClassifier(max_iter=20), RandomForestClassifier(10, max_depth=4, random_state=0)]
)
def test_explanations_are_those_of_the_explainer(model: Any, tmp_path: Path) -> None:
    """Score, base and shares are what `nbproof.explain` says of the same rows, and add up to the model's own answer."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((300, 3)), columns=["age", "status", "ratio"]) * [60, 4, 1] + [18, -1, 0]
    fitted = model.fit(frame, (frame.status + rng.random(300) > 1).astype(int))
    folder = write_package(tmp_path / "package", fitted)
    rows = [ROW, {"age": 70, "status": -1, "ratio": 0.9}]
    expected = explain.shap(fitted, pd.DataFrame(rows))

    with started(folder, explains=True) as client:
        found = client.post("/explain", json={"rows": rows}).json()
        scores = client.post("/predict", json={"rows": rows}).json()["scores"]

    assert [row["score"] for row in found["rows"]] == scores
    assert found["unit"] == expected.unit
    assert found["features"] == ["age", "status", "ratio"]
    np.testing.assert_allclose([row["shares"] for row in found["rows"]], expected.values[:, :, 0], rtol=1e-6, atol=1e-7)
    assert found["base"] == pytest.approx(float(expected.base[0, 0]))
    totals = [found["base"] + sum(row["shares"]) for row in found["rows"]]
    np.testing.assert_allclose(totals, expected.prediction[:, 0], rtol=1e-6, atol=1e-9)


def test_a_model_of_xgboost_is_loaded_from_its_own_file(tmp_path: Path) -> None:
    """It scores as the library does, and explains itself; a file that is none is refused."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((300, 3)), columns=["age", "status", "ratio"]) * [60, 4, 1] + [18, -1, 0]
    fitted = xgboost.XGBClassifier(n_estimators=10, n_jobs=1).fit(frame, (frame.status > 1).astype(int))
    content = bytes(fitted.get_booster().save_raw("ubj"))
    folder = write_package(tmp_path / "package", fitted, content=content, file="model.ubj")
    rows = [ROW, {"age": 70, "status": -1, "ratio": None}]

    with started(folder, explains=True) as client:
        scores = client.post("/predict", json={"rows": rows}).json()["scores"]
        found = client.post("/explain", json={"rows": rows}).json()

    expected = fitted.predict_proba(pd.DataFrame(rows).astype(float))[:, 1].astype(float)
    assert scores == expected.tolist()
    assert [row["score"] for row in found["rows"]] == scores
    margins = fitted.predict(pd.DataFrame(rows).astype(float), output_margin=True)
    totals = [found["base"] + sum(row["shares"]) for row in found["rows"]]
    np.testing.assert_allclose(totals, margins, rtol=1e-5, atol=1e-5)
    with pytest.raises(ModelRefused, match="XGBoost"):
        read(write_package(tmp_path / "bad", fitted, content=content[:50], file="model.ubj")).load()


def test_reasons_are_what_pushed_up_in_the_words_of_the_package(estimator: Any, tmp_path: Path) -> None:
    """The strongest first; features of one text count together."""
    folder = write_package(tmp_path / "package", estimator)
    (folder / "reasons.json").write_text(json.dumps({"age": "who you are", "status": "who you are"}))

    with started(folder, explains=True) as client:
        row = client.post("/explain", json={"rows": [ROW]}).json()["rows"][0]

    age, status, ratio = row["shares"]
    expected = {"who you are": age + status, "ratio": ratio}
    told = [{"reason": text, "push": push} for text, push in expected.items() if push > 0]
    assert row["reasons"] == sorted(told, key=lambda each: -each["push"])
    assert row["reasons"]


def test_what_has_no_exact_explanation_is_409(tmp_path: Path) -> None:
    """It is scored all the same, and nothing is made up."""
    model = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=2))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((50, 3)), columns=["age", "status", "ratio"])
    folder = write_package(tmp_path / "package", model.fit(frame, frame.age > 0.5))

    with started(folder, explains=True) as client:
        assert client.post("/predict", json={"rows": [ROW]}).status_code == 200
        answer = client.post("/explain", json={"rows": [ROW]})

    assert answer.status_code == 409
    assert answer.json()["problems"][0]["what"].startswith("no explanation: ")


def test_asked_without_names_a_model_answers_the_same_bit_for_bit(estimator: Any) -> None:
    """The quick way and the way of the data frame give one score."""
    model = Model.of(SIGNATURE, estimator, where=Path())
    table = Table(256, probes(SIGNATURE))

    assert model.bare is not None
    quick = model.scores(table).tolist()
    assert quick == replace(model, bare=None).scores(table).tolist()
    # Alone and with others, too.
    assert quick == [model.scores(Table(1, table.block[at : at + 1]))[0] for at in range(256)]  # type: ignore[index]


def test_a_signature_that_admits_what_the_model_cannot_answer_is_refused(tmp_path: Path) -> None:
    """A null that it would choke on is found when it is loaded, not when somebody asks."""
    frame = pd.DataFrame(np.random.default_rng(0).random((60, 3)), columns=["age", "status", "ratio"])
    folder = write_package(tmp_path / "package", LogisticRegression().fit(frame, frame.age > 0.5))

    with pytest.raises(ModelRefused, match="a signature that admits rows which LogisticRegression cannot answer"):
        read(folder).load()


def test_a_model_that_gives_no_probability_of_two_classes_is_refused(tmp_path: Path) -> None:
    """A regression, three classes, or other fields than the signature's: nothing that would answer beside the point."""
    frame = pd.DataFrame(np.random.default_rng(0).random((60, 3)), columns=["age", "status", "ratio"])
    three = HistGradientBoostingClassifier(max_iter=2).fit(frame, np.arange(60) % 3)
    turned = HistGradientBoostingClassifier(max_iter=2).fit(frame[["status", "age", "ratio"]], frame.age > 0.5)

    for at, fitted in enumerate((LinearRegression().fit(frame, frame.age), three, turned)):
        with pytest.raises(ModelRefused):
            read(write_package(tmp_path / str(at), fitted)).load()


@pytest.fixture
def keyed(package_folder: Path, tmp_path: Path) -> Iterator[tuple[TestClient, Path, str, str]]:
    """A service with two keys: its client, the file, a key to use and one to administer."""
    file = tmp_path / "keys.txt"
    use, admin = keys.add(file, "app", "use"), keys.add(file, "ops", "admin")
    with started(package_folder, keys=keys.Keys(file)) as client:
        yield client, file, use, admin


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_only_who_has_a_key_comes_in(keyed: tuple[TestClient, Path, str, str]) -> None:
    """Every address but the two probes; what is said to others gives nothing away."""
    client, file, use, admin = keyed
    body = {"rows": [ROW]}

    for path in ("/model", "/metrics", "/openapi.json", "/nowhere"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=bearer("nbp_wrong")).status_code == 401
    assert client.post("/predict", json=body).status_code == 401
    assert client.post("/explain", json=body, headers={"authorization": f"Basic {use}"}).status_code == 401
    assert {client.get(path).status_code for path in ("/health", "/ready")} == {200}
    assert client.post("/predict", json=body, headers=bearer(use)).status_code == 200
    assert client.post("/predict", json=body, headers={"x-api-key": use}).status_code == 200
    assert client.post("/admin/swap", headers=bearer(use)).status_code == 403
    assert client.post("/admin/swap", headers=bearer(admin)).json()["version"] == "1.2.3"
    assert use not in file.read_text()
    assert hashlib.sha256(use.encode()).hexdigest() in file.read_text()


def test_a_line_struck_out_counts_no_more(keyed: tuple[TestClient, Path, str, str]) -> None:
    """Also while the service runs; and a file that nobody can read lets nobody in."""
    client, file, use, admin = keyed
    lines = file.read_text().splitlines(True)

    file.write_text(lines[1])
    wait_for_status(client, use, 401)
    assert client.get("/model", headers=bearer(admin)).status_code == 200
    file.write_text("rubbish\n")
    wait_for_status(client, admin, 401)


def wait_for_status(client: TestClient, key: str, status: int) -> None:
    deadline = time.monotonic() + 120
    while client.get("/model", headers=bearer(key)).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_key_ends_with_its_day(package_folder: Path, tmp_path: Path) -> None:
    """The last day counts, the one after does not."""
    file = tmp_path / "keys.txt"
    ended, lives = keys.add(file, "old", "use", "2020-01-01"), keys.add(file, "new", "use", "2999-01-01")
    held = keys.Keys(file)

    assert held.holder(ended) is None
    assert held.holder(lives) is not None


@pytest.mark.parametrize("text", ["", "app use sha256:12\n", "app everything sha256:" + "0" * 64 + "\n"])
def test_a_file_without_a_key_lets_nobody_start(tmp_path: Path, text: str) -> None:
    """An empty list of keys is no list."""
    (tmp_path / "keys.txt").write_text(text)

    with pytest.raises(KeyUnusable):
        keys.Keys(tmp_path / "keys.txt")


def test_a_file_of_keys_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """Whoever writes it decides who comes in."""
    file = tmp_path / "keys.txt"
    keys.add(file, "app", "use")
    file.chmod(0o666)

    with pytest.raises(KeyUnusable, match="others may write"):
        keys.read(file)


def test_the_command_makes_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown once; a second one of the same name is refused."""
    file = tmp_path / "keys.txt"

    assert carry_out(["serve-key", str(file), "app"]) == 0
    shown = capsys.readouterr().out.strip()
    found = keys.Keys(file).holder(shown)
    assert found is not None
    assert (found.name, found.scope) == ("app", "use")
    assert carry_out(["serve-key", str(file), "app"]) == 2


def test_the_command_lets_no_public_host_in_without_keys(package_folder: Path) -> None:
    """Closed unless somebody says who may ask."""
    assert carry_out(["serve", str(package_folder), "--host", "0.0.0.0"]) == 3


def test_without_keys_nobody_administers(client: TestClient) -> None:
    """A page in a browser could ask as well."""
    assert client.post("/admin/swap").status_code == 403


def test_a_request_keeps_the_name_that_it_was_given(client: TestClient) -> None:
    """Unless the name is none that can stand in a log."""
    named = client.post("/predict", json={"rows": [ROW]}, headers={"x-request-id": "order-7"})
    odd = client.post("/predict", json={"rows": [ROW]}, headers={"x-request-id": 'a"b c'})

    assert named.headers["x-request-id"] == "order-7"
    assert len(odd.headers["x-request-id"]) == 24


def batched(batching: Batching, waiting_rows: int, counts: list[int]) -> tuple[list[Any], list[int]]:
    """The answers of a batcher whose work is held until all have asked, and the rows of each call."""
    calls: list[int] = []
    gate = threading.Event()

    def work(loaded: Any, table: Table, counts: Any) -> list[Any]:
        gate.wait(20)
        calls.append(table.count)
        assert table.block is not None
        if (table.block < 0).any():
            raise ValueError("negative")
        ends = np.cumsum(counts)
        return [table.block[end - count : end].sum() for end, count in zip(ends, counts, strict=True)]

    async def ask() -> list[Any]:
        batcher = Batcher(work, batching, waiting_rows=waiting_rows)
        batcher.start()
        loaded: Any = object()
        tables = [Table(abs(count), np.full((abs(count), 1), float(count))) for count in counts]
        asked = [asyncio.create_task(batcher.ask(loaded, table)) for table in tables]
        await asyncio.sleep(0.05)
        gate.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        await batcher.stop()
        return found

    return asyncio.run(ask()), calls


def test_what_waits_is_scored_together_and_each_gets_its_own() -> None:
    """The first call takes the first job, the next one all that came meanwhile, up to the limit."""
    answers, calls = batched(Batching(rows=6), 100, [1, 2, 3, 1, 1])

    assert answers == [1.0, 4.0, 9.0, 1.0, 1.0]
    assert sum(calls) == 8
    assert max(calls) <= 6
    assert len(calls) < 5


def test_one_request_that_fails_costs_the_others_nothing() -> None:
    """It is scored alone once its batch has failed."""
    answers, _ = batched(Batching(rows=6), 100, [1, -1, 2])

    assert answers[0] == 1.0
    assert isinstance(answers[1], ValueError)
    assert answers[2] == 4.0


def test_no_more_may_wait_than_is_allowed() -> None:
    """Whoever comes then is told so at once."""
    answers, _ = batched(Batching(rows=1), 3, [1, 1, 1, 1, 1])

    assert answers == [1.0, 1.0, 1.0, *answers[3:]]
    assert all(isinstance(each, Busy) for each in answers[3:])


def test_requests_that_are_not_answered_in_time(package_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes too long is 503, and the service goes on."""
    inner = Model.scores
    hold = threading.Event()

    def slow(self: Model, table: Table) -> Any:
        hold.wait(20)
        return inner(self, table)

    with started(package_folder, bounds=Bounds(answer_s=0.2)) as client:
        # No estimator of ours takes its time when it is told to.
        monkeypatch.setattr(Model, "scores", slow)
        late = client.post("/predict", json={"rows": [ROW]})
        hold.set()
        assert late.status_code == 503
        assert "no answer within 0.2 s" in late.text
        assert client.post("/predict", json={"rows": [ROW]}).status_code == 200


def test_the_next_version_takes_the_place_between_two_requests(package_folder: Path, tmp_path: Path) -> None:
    """Requests that run all the while are all answered, by the one or by the other."""
    folder = Path(shutil.copytree(package_folder, tmp_path / "package"))
    file = tmp_path / "keys.txt"
    admin = keys.add(file, "ops", "admin")
    statuses: list[tuple[int, str]] = []
    stopped = threading.Event()

    with started(folder, keys=keys.Keys(file), check_s=3600) as client:

        def load() -> None:
            while not stopped.is_set():
                answer = client.post("/predict", json={"rows": [ROW]}, headers=bearer(admin))
                statuses.append((answer.status_code, answer.json().get("version", "")))

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        for patch in range(4, 14):
            manifest = json.loads((folder / "manifest.json").read_text())
            (folder / "manifest.json").write_text(json.dumps({**manifest, "version": f"1.2.{patch}"}))
            assert client.post("/admin/swap", headers=bearer(admin)).json()["version"] == f"1.2.{patch}"
        stopped.set()
        for thread in threads:
            thread.join()

    assert {status for status, _ in statuses} == {200}
    assert len({version for _, version in statuses}) > 1


def test_a_version_with_another_signature_is_not_swapped_in(package_folder: Path, tmp_path: Path) -> None:
    """Callers would have to change with it; what answered goes on."""
    folder = Path(shutil.copytree(package_folder, tmp_path / "package"))
    file = tmp_path / "keys.txt"
    admin = keys.add(file, "ops", "admin")

    with started(folder, keys=keys.Keys(file), check_s=3600) as client:
        other = Signature((*SIGNATURE.inputs[:2], Input("ratio", "number")))
        content = json.dumps(other.written()).encode()
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"]["signature"]["sha256"] = hashlib.sha256(content).hexdigest()
        (folder / "signature.json").write_bytes(content)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        answer = client.post("/admin/swap", headers=bearer(admin))

        assert answer.status_code == 409
        assert "signature" in answer.json()["problems"][0]["what"]
        assert client.post("/predict", json={"rows": [ROW]}, headers=bearer(admin)).status_code == 200


def test_a_package_stays_what_it_was_read_as(package_folder: Path) -> None:
    """Its files are in memory."""
    found = read(package_folder)

    assert isinstance(found, Package)
    assert set(found.contents.files) == {"manifest.json", "model.skops", "signature.json"}
