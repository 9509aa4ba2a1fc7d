"""Exported packages score: by themselves, a part at a time, or by making the module that weights belong to."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows_and_models import DRAFT, files, project, read, scored, table, written

from nbproof.cli.main import carry_out
from nbproof.errors import AskedWrongly, NotApproved, ScoreRefused, TaskFailed
from nbproof.jobs import on_gpu

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

CELLS = [
    ('from pathlib import Path\n\npath: Path = Path("some.parquet")\nshift: float = 0.0\nby_mean: bool = False\n'
     'precision: str = "float32"', ["parameters"]),
    ("import pandas as pd\nimport torch", []),
    ("def network():\n"
     "    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))", []),
    ('rows = pd.read_parquet(path)\ninputs = torch.tensor(rows[["a", "b", "c"]].to_numpy(), dtype=torch.float32)', []),
    ("torch.manual_seed(0)\nwith torch.no_grad():\n    scores = network()(inputs)[:, 0] + shift\n"
     "if by_mean:\n    scores = scores - scores.mean()", []),
    ("device = str(inputs.device)", []),
]  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The draft of a package that scores a file of rows, and defines a network."""
    folder = project(tmp_path_factory.mktemp("exported") / "project")
    written(folder / "some.parquet", table(20))
    made = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {"tags": tags}, "source": source, "outputs": [],
         "execution_count": None}
        for at, (source, tags) in enumerate(CELLS)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = folder / "net.ipynb"
    notebook.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made})
    )
    words = ["export", str(notebook), "--draft", "--out", str(folder / "made"), "--other-values", "0"]
    assert carry_out(words) == 0
    return next(place for place in (folder / "made").iterdir() if not place.name.startswith("."))


@pytest.fixture
def place(exported: Path, tmp_path: Path) -> Path:
    """A project with the package and rows to score."""
    made = project(tmp_path / "project")
    shutil.copytree(exported, made / "net")
    written(made / "rows.parquet", table(250), 40)
    return made


def expected() -> Any:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    rows = table(250)
    given = torch.tensor(np.stack([rows[name] for name in ("a", "b", "c")], 1), dtype=torch.float32)
    with torch.no_grad():
        return module(given)[:, 0].numpy(), module


def test_a_package_scores_a_part_at_a_time(place: Path) -> None:
    """Its parameters are its own; what it leaves is written beside what is kept, in order."""
    with pytest.raises(NotApproved, match="it is a draft, which nobody has approved"):
        scored(place, place / "rows.parquet", model="net", rows="path", take="scores", unsafe=None)

    found = scored(
        place,
        place / "rows.parquet",
        model="net",
        rows="path",
        take="scores",
        parameters={"shift": "0.5"},
        part_rows=100,
    )

    scores = read(place / "scores")
    assert (found.parts, found.is_draft) == (3, True)
    assert scores["id"].to_pylist() == list(range(250))
    np.testing.assert_allclose(scores["prediction"], expected()[0] + 0.5, rtol=1e-5, atol=1e-6)


def test_a_notebook_that_looks_at_the_whole_table_is_refused(place: Path) -> None:
    """Cut into parts it would score otherwise; so would one with an answer for all rows together."""
    with pytest.raises(ScoreRefused, match="other scores when the same rows come in two files"):
        scored(place, place / "rows.parquet", model="net", rows="path", take="scores", parameters={"by_mean": "true"})
    with pytest.raises(TaskFailed, match="it leaves no `predictions`; it leaves "):
        scored(place, place / "rows.parquet", model="net", rows="path", take="predictions")
    with pytest.raises(TaskFailed, match="has no parameter `file`; it has path, shift, by_mean"):
        scored(place, place / "rows.parquet", model="net", rows="file", take="scores")
    with pytest.raises(AskedWrongly, match="found no --rows and --take"):
        scored(place, place / "rows.parquet", model="net")
    assert not (place / "scores").exists()


def test_weights_score_in_the_module_of_a_package(place: Path) -> None:
    """The weights are data; what they are put into comes from a package, which is admitted by itself."""
    scores, module = expected()
    torch.save(module.state_dict(), place / "weights.pt")
    asked = {"model": "weights.pt", "features": ("a", "b", "c"), "part_rows": 100}

    scored(place, place / "rows.parquet", module=f"{place / 'net'}:network", **asked)

    np.testing.assert_allclose(read(place / "scores")["prediction"], scores, rtol=1e-5, atol=1e-6)
    with pytest.raises(AskedWrongly, match="found no `Other` to call"):
        scored(place, place / "rows.parquet", "others", module=f"{place / 'net'}:Other", **asked)
    with pytest.raises(AskedWrongly, match="found no exported package with a name behind it"):
        scored(place, place / "rows.parquet", "others", module="torch.nn:Linear", **asked)


def test_parts_are_elements_of_a_job(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each element scores its part, the last one shows the whole, and it is what one process would have written."""
    from nbproof.jobs import standing
    from nbproof.jobs.place import find
    from nbproof.score.asked import Asked
    from nbproof.score.partitions import Engine, carry_out_one, submit

    _, module = expected()
    torch.save(module.state_dict(), place / "weights.pt")
    asked = Asked(features=("a", "b", "c"), keep=("id",), partitions=2, module=f"{place / 'net'}:network")
    given = (place / "weights.pt", place / "rows.parquet")
    with monkeypatch.context() as here:
        here.chdir(place)
        job = submit(*given, place / "scores", asked, Engine(target="local"), project=place, unsafe=DRAFT)
    end = time.monotonic() + 120
    while not (seen := standing.of(find(place, job.id))).has_ended:
        assert time.monotonic() < end
        time.sleep(0.2)

    assert [element.state for element in seen.elements] == ["done"] * 2, job.log(0).read_text()
    again = {"features": asked.features, "partitions": 2, "module": asked.module, "device": "cpu"}
    scored(place, given[1], "alone", model="weights.pt", **again)
    assert files(place / "scores") == files(place / "alone")
    assert json.loads((job.results / "1/scored.json").read_text()) == {"part": 1, "rows": 130}
    # An engine that starts an element once more, after all is done, changes nothing.
    assert carry_out_one(place / "scores", 1, job.results / "1") is None


def test_a_part_whose_input_changed_is_refused(place: Path) -> None:
    """What an element finds when it starts must be what was planned with."""
    from nbproof.score.asked import Asked
    from nbproof.score.partitions import carry_out_one
    from nbproof.score.scoring import described, prepare
    from nbproof.score.writing import Work

    _, module = expected()
    torch.save(module.state_dict(), place / "weights.pt")
    asked = Asked(features=("a", "b", "c"), partitions=2, module=f"{place / 'net'}:network", device="cpu")
    made = prepare(place / "weights.pt", place / "rows.parquet", asked, project=place, unsafe=DRAFT, planned_for="cpu")
    from nbproof.score import asked as asking

    told = {
        **described(made), "asked": asking.to_json(asked), "kind": "cpu", "project": str(place),
        "places": [str(place / "weights.pt"), str(place / "rows.parquet")], "unsafe": [DRAFT.by, DRAFT.why],
    }  # fmt: skip
    Work(place / "scores").begin(told, force=False)
    carry_out_one(place / "scores", 0, place)
    assert not (place / "scores").exists()
    written(place / "rows.parquet", table(250, seed=1), 40)

    with pytest.raises(ScoreRefused, match="another input and stamps and fingerprint than was planned with"):
        carry_out_one(place / "scores", 1, place)


def test_precision_is_the_contracts_to_lower(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a package whose contract has `precision` runs in less than its notebook's own, and only when it says so."""
    monkeypatch.syspath_prepend(str(place / "net/src"))
    layer, rows = torch.nn.Linear(3, 2), torch.zeros(4, 3)

    for arguments, kind in (([], torch.float32), (["--precision=bfloat16"], torch.bfloat16),
                            (["--precision", "float32"], torch.float32)):  # fmt: skip
        with on_gpu.precision("net_draft", "the processor", arguments):
            assert layer(rows).dtype == kind


def test_a_job_with_a_gpu_prepares_torch(place: Path) -> None:
    """Its command says where it runs, and falls back to the processor where torch sees no GPU; RAPIDS must be there."""
    from nbproof.jobs.job import Resources
    from nbproof.jobs.submitting import Asked, prepared

    job, _ = prepared(place / "net", Asked(parameters={}, resources=Resources(gpus=1)), project=place, unsafe=DRAFT)
    with_rapids = Asked(parameters={}, resources=Resources(gpus=1), accelerate=("cudf.pandas",))
    accelerated, _ = prepared(place / "net", with_rapids, project=place, unsafe=DRAFT)

    assert job.command[1:] == ("-m", "nbproof.jobs.on_gpu", "net_draft", "--out", "{work}")
    assert accelerated.command[3] == "--accelerate=cudf.pandas"
    ran = run_in(place, job.command_of(0, str(place / "work")))
    assert ran.returncode == 0, ran.stderr
    assert "nbproof: net_draft runs on " in ran.stderr
    on = "cuda" if torch.cuda.is_available() else "cpu"
    assert f"device = {on}" in ran.stdout
    lacking = run_in(place, accelerated.command_of(0, str(place / "work")))
    assert (lacking.returncode, lacking.stderr.splitlines()[0]) == (
        2, "error: found no `cudf`, which `cudf.pandas` belongs to; expected RAPIDS where the job runs"
    )  # fmt: skip


def run_in(place: Path, command: tuple[str, ...]) -> Any:
    import os
    import subprocess

    path = os.pathsep.join([str(place / "net/src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        command, cwd=place, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120
    )
