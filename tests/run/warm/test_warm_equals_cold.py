"""The same notebooks say the same warm and cold: public ones, and the reference engagement with all its products."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill
import pytest

from nbproof.run.execute.engine import ENGINE, KernelDied
from nbproof.run.warm import pool

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[3]
PUBLIC = REPOSITORY / "tests" / "notebooks" / "public"
NOTEBOOKS = sorted(path.stem for path in PUBLIC.glob("*.ipynb"))
# They draw from chance and seed nothing, so their numbers and figures differ between any two runs.
UNSEEDED = {"basic_interpreter", "custom_display_logic", "exploring_graphs", "simple_rnn"}

ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
IDENTITY = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f])")
KERNEL_FOLDER = re.compile(r"/ipykernel_\d+/")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")


@dataclass(slots=True)
class Told:
    """What a run told: outputs of code cells, models that widgets left, how it ended, how many kernels were forked."""

    cells: list[list[Any]]
    models: dict[str, Any]
    ended: str
    forks: int


def _execute(notebook: Path, folder: Path, *, warm: bool) -> Told:
    """Run a notebook in `folder`, which holds the data that it may need."""
    shutil.copytree(PUBLIC / "data", folder)
    executed = folder.with_suffix(".ipynb")
    before = _forks()
    ended = ""
    try:
        papermill.execute_notebook(
            notebook, executed, engine_name=ENGINE, kernel_name="python3", progress_bar=False, cwd=folder,
            **({} if warm else {"search": None}),
        )  # fmt: skip
    except (papermill.PapermillExecutionError, KernelDied) as error:
        ended = f"{type(error).__name__}: {error}"
    forks = sum(max(0, count - before.get(pid, 0)) for pid, count in _forks().items())
    document = json.loads(executed.read_bytes())
    cells = [cell["outputs"] for cell in document["cells"] if cell["cell_type"] == "code"]
    left = document["metadata"].get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return Told(cells, left.get("state", {}), ended, forks)


def _forks() -> dict[int, int]:
    return {zygote["pid"]: zygote["forks"] for zygote in pool.zygotes()}


def _same_in_any_run(told: Told, folder: Path, *, seeded: bool = True) -> Any:
    """What was told, without what differs between two cold runs, too.

    Addresses are where the system put things, identities (of widgets, displays, elements) are drawn for each, the
    folder is that of the run, and warnings name a cell by the number of the kernel's process. Identities are counted,
    so that what names another thing still names the same.
    """
    seen: dict[str, str] = {}

    def count(match: re.Match[str]) -> str:
        return seen.setdefault(match[0], f"identity {len(seen) + 1}")

    def normal(value: Any) -> Any:
        if isinstance(value, str):
            text = ADDRESS.sub("0x…", IDENTITY.sub(count, value.replace(str(folder), "FOLDER")))
            text = KERNEL_FOLDER.sub("/ipykernel_PID/", text)
            return text if seeded else re.sub(r"\s+", "", NUMBER.sub("#", text))
        if isinstance(value, list):
            return [normal(each) for each in value]
        if isinstance(value, dict):
            return {
                normal(key): "a figure" if key == "image/png" and not seeded else normal(each)
                for key, each in value.items()
            }
        return value

    said = normal([told.cells, told.ended])
    models, widgets = dict(told.models), []
    while models:
        # As they are named by what came before; the notebook has them in the order of their identities, which is none.
        chosen = next((each for each in seen if each in models), None) or min(
            models, key=lambda each: IDENTITY.sub("", json.dumps(models[each]))
        )
        widgets.append([normal(chosen), normal(models.pop(chosen))])
    return [*said, widgets]


@pytest.fixture(autouse=True)
def _alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets iterate alike in every run, as `nbproof run` has it."""
    monkeypatch.setenv("PYTHONHASHSEED", "0")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_are_the_same(name: str, tmp_path: Path) -> None:
    """Streams, results, displays, widgets, errors and the end of a run are the same; the one was forked, one not."""
    notebook, seeded = PUBLIC / f"{name}.ipynb", name not in UNSEEDED

    cold, warm = (_execute(notebook, tmp_path / way, warm=way == "warm") for way in ("cold", "warm"))

    assert (cold.forks, warm.forks) == (0, 1)
    assert _same_in_any_run(warm, tmp_path / "warm", seeded=seeded) == _same_in_any_run(
        cold, tmp_path / "cold", seeded=seeded
    )


@pytest.mark.parametrize("name", ["background_jobs", "factoring", "importing_notebooks", "widget_events"])
def test_what_is_left_out_differs_between_two_cold_runs(name: str, tmp_path: Path) -> None:
    """Addresses, identities, folders and process numbers differ between any two runs; nothing else is left out."""
    first, second = (_execute(PUBLIC / f"{name}.ipynb", tmp_path / each, warm=False) for each in ("first", "second"))

    assert first.cells != second.cells
    assert _same_in_any_run(first, tmp_path / "first") == _same_in_any_run(second, tmp_path / "second")


def test_every_notebook_names_its_source() -> None:
    """Repository, path and licence of each are written down, and nothing is listed that is not there."""
    listed = re.findall(r"^\| `([a-z_0-9]+)\.ipynb` \|", (PUBLIC / "SOURCES.md").read_text(), re.MULTILINE)

    assert sorted(listed) == NOTEBOOKS
    assert len(NOTEBOOKS) >= 20


@pytest.mark.engagement
@pytest.mark.timeout(1500)
def test_the_engagement_leaves_the_same_products(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All eleven phases, run cold and then warm in the same folder: no product differs by a byte."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "tests" / "engagement"))
    import engagement_project

    made = engagement_project.start(tmp_path / "project")
    products = {}
    command = [*engagement_project.COMMAND, "run", str(engagement_project.PIPELINE), "-p", engagement_project.CUT]
    for way in ("cold", "warm"):
        before, forks = _forks(), dict[int, int]()
        environ = {
            **engagement_project.environment(),
            pool.RUNTIME_VARIABLE: os.environ[pool.RUNTIME_VARIABLE],
            "NBPROOF_WARM": str(way == "warm").lower(),
        }
        with (
            (tmp_path / f"{way}.log").open("wb") as log,
            subprocess.Popen(
                [*command, "--force"], cwd=made.root, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            ) as run,
        ):
            # A zygote that is no longer needed ends with its count.
            while run.poll() is None:
                forks |= {each["pid"]: each["forks"] for each in pool.zygotes() if each["kind"] == "kernel"}
                time.sleep(0.2)
        assert run.returncode == 0, (tmp_path / f"{way}.log").read_text()
        products[way] = made.hashes()
        assert sum(count - before.get(pid, 0) for pid, count in forks.items()) == (11 if way == "warm" else 0)

    assert products["warm"] == products["cold"]
    assert len(products["cold"]) == 48
