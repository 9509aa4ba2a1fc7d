"""What a notebook logs about itself: lines in the runner's file, and nothing at all where nobody runs it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof import track
from nbproof.errors import EntryInvalid
from nbproof.records import LOG_VARIABLE, ContentHash, LoggedEntry
from nbproof.track.kept import KEEP_VARIABLE


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a runner names for one notebook."""
    file = tmp_path / "notebook.log.jsonl"
    monkeypatch.setenv(LOG_VARIABLE, str(file))
    return file


def logged(log: Path) -> list[tuple[str, dict[str, Any], str | None, int]]:
    found = [LoggedEntry.from_json(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [entry.at for entry in found] == sorted({entry.at for entry in found}), "times must differ and grow"
    return [(entry.kind, dict(entry.values), entry.child, entry.step) for entry in found]


def test_what_a_notebook_says_is_written_line_by_line(log: Path) -> None:
    """Metrics, parameters and tags; of the notebook and of a child; by name or as a mapping."""
    track.metrics(auc=0.91, rows=30_000)
    track.metrics({"slice/women": 0.5}, step=3)
    track.parameters(depth=4, kinds=["a", "b"], path=Path("a/b"), deep=True)
    track.tags(gate="passed")
    with track.child("gradient_boosting") as run:
        run.metrics(auc=0.93)
        run.parameters(depth=6)
        run.tags(champion="yes")

    assert logged(log) == [
        ("metrics", {"auc": 0.91, "rows": 30_000.0}, None, 0),
        ("metrics", {"slice/women": 0.5}, None, 3),
        ("parameters", {"depth": "4", "kinds": '["a", "b"]', "path": "a/b", "deep": "true"}, None, 0),
        ("tags", {"gate": "passed"}, None, 0),
        ("metrics", {"auc": 0.93}, "gradient_boosting", 0),
        ("parameters", {"depth": "6"}, "gradient_boosting", 0),
        ("tags", {"champion": "yes"}, "gradient_boosting", 0),
    ]


@pytest.mark.parametrize(
    "value", [1, 0.5, np.float32(0.5), np.int64(2), np.array([0.5]), np.array(0.25), Fraction(1, 2)]
)
def test_whatever_is_one_real_number_is_a_metric(log: Path, value: Any) -> None:
    """NumPy's numbers too, and an array that holds one."""
    track.metrics(x=value)

    assert logged(log) == [("metrics", {"x": float(np.asarray(value, dtype=float).item())}, None, 0)]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        np.float64("nan"),
        10**400,
        "0.9",
        None,
        True,
        np.bool_(True),
        1j,
        [0.5],
        np.array([1.0, 2.0]),
        {"auc": 1.0},
    ],
)
def test_what_is_no_finite_number_is_no_metric(log: Path, value: Any) -> None:
    """The error names the metric; nothing is written, not even the good one beside it."""
    with pytest.raises(EntryInvalid, match=r"metric `auc`: found .*, expected a finite number"):
        track.metrics(rows=3, auc=value)

    assert not log.exists()


@pytest.mark.parametrize("name", ["", "a=b", "a//b", "../a", "/a", ".", "a/", "x" * 251, "a\nb", "ratio (%)"])
def test_a_name_that_a_tracker_cannot_hold_is_refused(log: Path, name: str) -> None:
    """At once, in the notebook, not when it is delivered."""
    with pytest.raises(EntryInvalid, match="expected letters"):
        track.metrics({name: 1.0})
    with pytest.raises(EntryInvalid, match="expected letters"), track.child(name):
        pass

    assert not log.exists()


@settings(deadline=None)
@given(st.text(max_size=20))
def test_every_name_that_is_taken_is_one_that_mlflow_takes(name: str) -> None:
    """MLflow's own check agrees with ours, so no record is ever stuck because of its name."""
    from mlflow.utils.validation import path_not_unique, validate_param_and_metric_name

    from nbproof.track.notebook import _name

    try:
        _name("name", name)
    except EntryInvalid:
        return

    assert validate_param_and_metric_name(name)
    assert not path_not_unique(name)


def test_a_tag_cannot_pass_for_nbproofs_own(log: Path) -> None:
    """Tags of nbproof and MLflow say what a run is."""
    for name in ("nbproof.run_id", "mlflow.parentRunId"):
        with pytest.raises(EntryInvalid, match="a reserved name"):
            track.tags({name: "x"})


def test_a_parameter_does_not_change(log: Path) -> None:
    """The same value again is fine; another one is refused, for each run on its own."""
    track.parameters(depth=4)
    track.parameters(depth=4)
    with track.child("other") as run:
        run.parameters(depth=5)

    with pytest.raises(EntryInvalid, match="parameter `depth`: found '5', expected '4', as logged before"):
        track.parameters(depth=5)


def test_a_file_is_kept_as_it_was(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to it later does not change the record."""
    monkeypatch.setenv(KEEP_VARIABLE, str(tmp_path / "kept"))
    file = tmp_path / "roc.svg"
    file.write_text("first")
    track.artifact(file)
    file.write_text("second")

    content = ContentHash.of(b"first").hex
    assert logged(log) == [
        (
            "artifact",
            {"name": "roc.svg", "path": str(file), "sha256": content, "kept": str(tmp_path / "kept" / content)},
            None,
            0,
        )
    ]
    assert (tmp_path / "kept" / content).read_text() == "first"


def test_a_file_that_is_not_there_is_refused(log: Path, tmp_path: Path) -> None:
    """And so is a folder."""
    with pytest.raises(EntryInvalid, match="found nothing there, expected a file"):
        track.artifact(tmp_path / "gone.svg")
    with pytest.raises(EntryInvalid, match="found a folder, expected a file"):
        track.artifact(tmp_path)


def test_nothing_said_writes_nothing(log: Path) -> None:
    """An empty call leaves no empty line."""
    track.metrics()
    track.tags({})

    assert not log.exists()


def test_where_nobody_runs_it_a_notebook_is_told_once(tmp_path: Path) -> None:
    """One warning in a process, arguments still checked, nothing written."""
    program = """
import warnings
from nbproof import track
from nbproof.errors import EntryInvalid
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    track.metrics(auc=0.9)
    track.parameters(depth=1)
    track.parameters(depth=2)
    with track.child("x") as run:
        run.metrics(auc=0.9)
    try:
        track.metrics(auc="good")
    except EntryInvalid:
        print("refused")
print([(str(warning.message)[:24], warning.category.__name__) for warning in told])
"""
    answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert answer.stdout == "refused\n[('no run is being recorded', 'UserWarning')]\n"
    assert list(tmp_path.iterdir()) == []


def test_lines_of_several_processes_do_not_mix(log: Path) -> None:
    """A notebook's worker processes may log too."""
    program = "from nbproof import track\nfor step in range(200): track.metrics({'x' * 200: step}, step=step)"
    workers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]

    found = [LoggedEntry.from_json(line) for line in log.read_text().splitlines()]

    assert sorted(entry.step for entry in found) == sorted([*range(200)] * 3)


def test_the_tracker_is_the_runners_or_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook that needs the registry finds it headless and in JupyterLab."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\n")
    (tmp_path / "pipelines").mkdir()
    monkeypatch.chdir(tmp_path / "pipelines")

    interactive = track.tracking_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")

    assert interactive == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    assert track.tracking_uri() == "http://127.0.0.1:5000"


def test_importing_it_loads_nothing_heavy() -> None:
    """A notebook that logs a number does not pay for MLflow."""
    heavy = {"mlflow", "numpy", "pandas", "ploomber", "sqlalchemy"}
    program = f"import sys, nbproof.track; print(sorted({heavy!r} & sys.modules.keys()))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert answer.stdout == "[]\n"


def test_it_offers_what_it_says() -> None:
    """The names that notebooks rely on."""
    assert track.__all__ == ["artifact", "child", "metrics", "parameters", "tags", "tracking_uri"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(callable(getattr(track, name)) for name in track.__all__)
