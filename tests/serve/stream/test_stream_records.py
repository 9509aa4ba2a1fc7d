"""What a model answers the records of a stream, without a broker: every record is answered, and none costs another."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbproof.serve.admission import Grant
from nbproof.serve.package import Model, read
from nbproof.serve.rows import Reader
from nbproof.serve.stage import Loaded
from nbproof.serve.stream.records import MOST_BYTES, Record, Scored, answered, written

ROW = {"age": 30, "status": 2, "ratio": 0.25}


@dataclass
class Stumbling:
    """A model of two classes that cannot answer somebody of 66."""

    def predict_proba(self, block: Any) -> Any:
        if (block[:, 0] == 66).any():
            raise ValueError("no idea about 66")
        return np.column_stack((1 - block[:, 0] / 100, block[:, 0] / 100))


@pytest.fixture(scope="module")
def loaded(package_folder: Path) -> Loaded:
    package = read(package_folder)
    return Loaded(package, package.contents.digest, package.load(), Grant("approved by Ana", True), None)


@pytest.fixture(scope="module")
def reader(loaded: Loaded) -> Reader:
    return Reader(loaded.package.signature, 100)


def records(*values: bytes | None, key: bytes | None = None) -> list[Record]:
    return [Record("applications", 0, offset, key, value) for offset, value in enumerate(values)]


def row(**fields: Any) -> bytes:
    return json.dumps({**ROW, **fields}).encode()


def said(loaded: Loaded, reader: Reader, of: list[Record]) -> list[dict[str, Any]]:
    return [json.loads(written(each, loaded)) for each in answered(loaded, reader, of)]


def test_each_record_is_answered_under_its_place(loaded: Loaded, reader: Reader) -> None:
    """With the very score of the model, beside those that hold no row; no value of a record is repeated."""
    found = said(loaded, reader, records(row(), b"secret-1 {", row(age=31), row(age="secret-2"), None, row(more=7)))

    about = {"model": "toy", "version": "1.2.3", "digest": loaded.digest.hex}
    scores = loaded.model.score([ROW, {**ROW, "age": 31}])
    names = [f"applications-0-{offset}" for offset in range(6)]
    assert found[0] == {"id": names[0], "request": names[0], **about, "score": scores[0]}
    assert found[2]["score"] == scores[1]
    assert [each["id"] for each in found] == names
    assert [each.get("problems", [{}])[0].get("where") for each in found] == [
        None, "record", None, "record.age", "record", "record.more",
    ]  # fmt: skip
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (b"[" * 100_000, "Invalid JSON"),
        (b"\xff", "no UTF-8 text"),
        (b"[]", "Input should be an object"),
        (b" " * (MOST_BYTES + 1), "larger than"),
        (row(ratio=float("nan")), "Input should be a finite number"),
        (row() + b"," + row(), "Invalid JSON"),
    ],
)
def test_what_is_no_row_is_told(loaded: Loaded, reader: Reader, value: bytes, what: str) -> None:
    """Whatever a record holds, it is answered with what is wrong; two rows in one are none."""
    (found,) = said(loaded, reader, records(value))

    assert what in found["problems"][0]["what"]


@pytest.mark.parametrize(
    ("key", "request_name"),
    [(b"case-17", "case-17"), (b"with space", "applications-0-0"), (b"\xff", "applications-0-0"), (None, None)],
)
def test_a_key_names_the_request(loaded: Loaded, reader: Reader, key: bytes | None, request_name: str | None) -> None:
    """Where it can stand in a log; the answer has the name of its place all the same."""
    (found,) = said(loaded, reader, records(row(), key=key))

    assert (found["id"], found["request"]) == ("applications-0-0", request_name or "applications-0-0")


@pytest.mark.parametrize("ages", [[66], [66, 66], [20, 66, 40, 50, 66], list(range(20, 99))])
def test_a_row_that_the_model_cannot_answer_costs_no_other_its_score(
    loaded: Loaded, reader: Reader, ages: list[int]
) -> None:
    """It is told as what the model cannot do, without the model's words, which may hold values."""
    model = Model(loaded.package.signature, Stumbling(), Stumbling())
    stumbling = Loaded(loaded.package, loaded.digest, model, loaded.grant, None)

    found = said(stumbling, reader, records(*(row(age=age) for age in ages)))

    assert [each.get("score") for each in found] == [None if age == 66 else age / 100 for age in ages]
    told = [{"where": "model", "what": "it gives no probability for this row"}]
    assert [each.get("problems") for each in found] == [told if age == 66 else None for age in ages]


@pytest.mark.parametrize("cut", [lambda all_: [[each] for each in all_], lambda all_: [all_[:7], all_[7:]]])
def test_an_answer_is_the_same_bytes_in_any_batch(
    loaded: Loaded, reader: Reader, cut: Callable[[list[Record]], list[list[Record]]]
) -> None:
    """What is read again after a kill, in other batches, is answered alike."""
    of = records(*(row(age=age) for age in range(20, 60)), b"no row")

    whole = [written(each, loaded) for each in answered(loaded, reader, of)]
    parts = [written(each, loaded) for part in cut(of) for each in answered(loaded, reader, part)]

    assert whole == parts


def test_the_row_of_a_score_is_kept_with_it(loaded: Loaded, reader: Reader) -> None:
    """As the prediction log takes it: checked, and one row."""
    _, found = answered(loaded, reader, records(b"", row(age=44)))

    assert isinstance(found, Scored)
    assert found.table.block is not None
    assert found.table.block.tolist() == [[44, 2, 0.25]]
