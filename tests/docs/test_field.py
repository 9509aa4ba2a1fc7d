"""The page on the systems of the field: each has its row, and each row its running test or its honest reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from named_tests import is_there
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/field.md"
NAMED = """
    JupyterLab, Papermill, Ploomber, nbconvert, ipywidgets, pandas, NumPy, scikit-learn, PyTorch, Keras, TensorFlow,
    XGBoost, LightGBM, CatBoost,
    MLflow, Weights & Biases, Neptune, DVC, Delta Lake, Apache Airflow, Prefect, Apache Spark, Apache Beam, Feast,
    Tecton, Great Expectations, Pandera, TorchServe, TensorFlow Serving, FastAPI, gRPC, BentoML, Apache Kafka,
    ONNX Runtime, TensorFlow Lite, Evidently, WhyLabs, Prometheus, SHAP, LIME, Bandit, Safety, pip-audit, CycloneDX,
    Docker, pyenv, conda, requirements.txt, pyproject.toml, SageMaker, Vertex AI, Azure ML, Serverless, CUDA, OpenAI,
    Anthropic, Cohere, OpenLineage, Dask, Slurm, Ray, Kubernetes
"""
UNSUPPORTED = "not supported, because "


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: `systems` are the names in its first cell."""

    systems: tuple[str, ...]
    role: str
    extra: str
    tried: str
    test: str

    @property
    def is_supported(self) -> bool:
        return not self.role.startswith(UNSUPPORTED)


def rows(text: str) -> Iterator[Row]:
    """The rows of all tables of the page."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0] != "system":
            assert len(cells) == 5, line
            yield Row(tuple(cells[0].split(", ")), *cells[1:])


def pinned() -> dict[str, str]:
    """The version of each package that the tests, or an engine's own environment, run with."""
    files = [ROOT / "constraints.txt", *(ROOT / "tests/engines/requirements").glob("*.txt")]
    lines = [line.strip() for file in files for line in file.read_text().splitlines() if "==" in line]
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name.partition("[")[0]): version.split(" ")[0] for name, version in pins.items()}


def problem_of(row: Row) -> str:
    """What is wrong with a row, or ""."""
    if not row.is_supported:
        return "" if (row.extra, row.tried, row.test) == ("–", "–", "–") else "it is not supported and has a test"
    tests = re.findall(r"`(tests/[^`]+)`", row.test)
    if not tests:
        return "no test"
    return next((f"no {test}" for test in tests if not is_there(test)), "") or versions_of(row) or extras_of(row)


def versions_of(row: Row) -> str:
    for name, version in re.findall(r"`([^`=]+)==([^`]+)`", row.tried):
        if pinned().get(canonicalize_name(name.partition("[")[0])) != version:
            return f"{name} is not pinned as {version}"
    # A program that no index serves was run by `make test-engines`, which says its version.
    engines = (ROOT / "docs/reference/engines-tested.md").read_text()
    programs = [part.strip() for part in re.sub(r"`[^`]*`", "", row.tried).split(",")]
    return next((f"{name} was not run" for name in programs if name not in ("", "–") and name not in engines), "")


def extras_of(row: Row) -> str:
    known = {*re.findall(r"^([a-z-]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)}
    named = re.findall(r"`([^`]+)`", row.extra)
    if not named and row.extra not in ("core", "own environment"):
        return f"no extra: {row.extra}"
    return next((f"there is no extra {name}" for name in named if name not in known), "")


ALL = [*rows(PAGE.read_text())]


def test_every_system_has_its_row() -> None:
    """Each system that a service is usually built of is named once."""
    named = [system.strip() for system in NAMED.split(",")]
    found = [system for row in ALL for system in row.systems]

    assert [system for system in named if system not in found] == []
    assert sorted(found) == sorted(set(found))


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.systems[0])
def test_every_row_is_held(row: Row) -> None:
    """Its tests are there and its versions are those that they run with; or it says why not."""
    assert problem_of(row) == ""


@pytest.mark.parametrize(
    ("role", "extra", "tried", "test", "problem"),
    [
        ("a role", "core", "–", "–", "no test"),
        ("a role", "core", "–", "`tests/none.py`", "no tests/none.py"),
        ("a role", "core", "–", "`tests/test_house.py::test_nothing`", "no tests/test_house.py::test_nothing"),
        ("a role", "core", "`numpy==1.0`", "`tests/test_house.py`", "numpy is not pinned as 1.0"),
        ("a role", "core", "Slurm 1.0", "`tests/test_house.py`", "Slurm 1.0 was not run"),
        ("a role", "`none`", "–", "`tests/test_house.py`", "there is no extra none"),
        (f"{UNSUPPORTED}it is", "–", "–", "`tests/test_house.py`", "it is not supported and has a test"),
        ("a role", "core", "–", "`tests/test_house.py`", ""),
    ],
)
def test_what_is_wrong_with_a_row_is_seen(role: str, extra: str, tried: str, test: str, problem: str) -> None:
    """The test above can fail."""
    assert problem_of(Row(("a",), role, extra, tried, test)) == problem
