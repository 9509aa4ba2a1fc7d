"""The doors of the panel of experiments, through a real server: listed, looked at, compared, noted, restored."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_server import Lab, jupyter_lab
from many_runs import BEGAN_MS, fill

COUNT = 300
EVIL = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'
DECLARED = {"cell_type": "code", "id": "a", "metadata": {"tags": ["parameters"]}, "source": "rows: int = 1",
            "outputs": [], "execution_count": 1}  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server over four projects: one with many runs, one with hostile ones, one with none and one that is away."""
    with jupyter_lab(tmp_path_factory.mktemp("experiments")) as server:
        for name in ("many", "hostile", "none", "away"):
            (server.root / name).mkdir()
            away = '\ntracking_uri = "http://127.0.0.1:1"' if name == "away" else ""
            (server.root / name / "pyproject.toml").write_text(f'[tool.nbproof]\nexperiment = "credit"{away}\n')
        yield server


@pytest.fixture(scope="module")
def many(lab: Lab) -> list[str]:
    """The ids of many runs; the last two have executed notebooks."""
    project = lab.root / "many"
    ids = fill(project / "mlflow.db", "credit", COUNT)
    for rows, run in enumerate(ids[-2:], start=10):
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [DECLARED, {**DECLARED, "id": "b", "metadata": {}, "source": f"rows * {rows}"}]
        notebook = {"nbformat": 4, "nbformat_minor": 5, "cells": cells,
                    "metadata": {"kernelspec": spec, "papermill": {"parameters": {"rows": rows}}}}  # fmt: skip
        folder = project / "mlruns" / run / "artifacts/notebook"
        folder.mkdir(parents=True)
        (folder / "training.ipynb").write_text(json.dumps(notebook))
    return ids


@pytest.fixture(scope="module")
def hostile(lab: Lab) -> str:
    """A run whose every text is hostile, written behind MLflow's back, which would refuse some of it."""
    ids = fill(lab.root / "hostile/mlflow.db", "credit", 1)
    with sqlite3.connect(lab.root / "hostile/mlflow.db") as store:
        store.execute("UPDATE runs SET name = ?", (EVIL + "x" * 1_000_000,))
        store.execute("DELETE FROM tags WHERE key = 'mlflow.runName'")
        store.execute("INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.note.content', ?, ?)", (EVIL, ids[0]))
        store.execute("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", (EVIL, "x" * 1_000_000, ids[0]))
        store.execute("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", (EVIL, "x" * 1_000_000, ids[0]))
        store.execute("UPDATE latest_metrics SET is_nan = 1 WHERE key = 'metric_0'")
        store.execute("UPDATE latest_metrics SET value = 1.7976931348623157e308 WHERE key = 'metric_1'")
        store.execute("UPDATE metrics SET is_nan = 1 WHERE key = 'metric_0' AND step = 0")
    store.close()
    return ids[0]


def get(lab: Lab, path: str, project: str = "many", **asked: Any) -> Any:
    query = urllib.parse.urlencode({"path": project, **asked})
    return lab.ask(f"experiments/{path}?{query}", below="nbproof")


def post(lab: Lab, path: str, project: str = "many", **body: Any) -> Any:
    return lab.ask(f"experiments/{path}", {"path": project, **body}, method="POST", below="nbproof")


def refused(lab: Lab, path: str, *, is_change: bool = False, **asked: Any) -> tuple[int, dict[str, str]]:
    """The status and the words of a request that is not carried out."""
    with pytest.raises(urllib.error.HTTPError) as raised:
        post(lab, path, **asked) if is_change else get(lab, path, **asked)
    return raised.value.code, json.loads(raised.value.read())


def test_all_runs_come_page_by_page(lab: Lab, many: list[str]) -> None:
    """Each once, newest first; the first page names the experiments."""
    first = get(lab, "runs", rows=200)
    second = get(lab, "runs", rows=200, after=first["next"])

    assert [row[0] for row in first["rows"] + second["rows"]] == many[::-1]
    assert (first["experiments"], second["next"], "experiments" in second) == (["Default", "credit"], "", False)
    assert first["rows"][0][1:6] == ["training 00299", "task", "stopped", BEGAN_MS + 299 * 60_000, first["rows"][0][5]]
    assert dict(first["rows"][0][11])["seed"] == "299"


def test_only_what_changed_comes_again(lab: Lab, many: list[str]) -> None:
    """Asked with the time of the last answer there is next to nothing to send."""
    since = BEGAN_MS + 297 * 60_000

    assert {row[0] for row in get(lab, "runs", since=since)["rows"]} >= set(many[-3:])
    assert get(lab, "runs", since=get(lab, "runs", rows=1)["now"])["rows"] == []


def test_the_store_is_searched(lab: Lab, many: list[str]) -> None:
    """By words in parameters and tags, together with a state."""
    found = get(lab, "runs", search="depth=3 team=risk", status="failed", rows=1000)

    numbers = [n for n in range(COUNT) if n % 12 == 3 and n % 2 and n % 5 == 3]
    assert [row[0] for row in found["rows"]] == [many[n] for n in reversed(numbers)]


def test_a_project_without_runs_has_an_empty_list_and_gets_no_store(lab: Lab) -> None:
    """Looking makes nothing."""
    assert get(lab, "runs", project="none")["rows"] == []
    assert [file.name for file in (lab.root / "none").iterdir()] == ["pyproject.toml"]


def test_a_tracker_that_is_away_is_said_in_one_line(lab: Lab) -> None:
    """With what to type; the server goes on."""
    status, said = refused(lab, "runs", project="away")

    assert (status, said["error"], said["hint"]) == (500, "TrackerUnavailable", "nbproof doctor")
    assert "\n" not in said["message"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"path": "run", "run": "0" * 32}, 400),
        ({"path": "run"}, 400),
        ({"path": "compare", "runs": "a"}, 400),
        ({"path": "runs", "experiment": "nowhere"}, 400),
        ({"path": "runs", "kind": "' or"}, 400),
        ({"path": "runs", "rows": "1001"}, 400),
        ({"path": "runs", "project": "../.."}, 409),
    ],
)
def test_what_cannot_be_answered_is_refused(lab: Lab, many: list[str], asked: dict[str, str], status: int) -> None:
    """With a status that says whose fault it is."""
    assert refused(lab, asked.pop("path"), **asked)[0] == status


def test_runs_are_compared_with_curves_and_sources(lab: Lab, many: list[str]) -> None:
    """What differs is marked; curves have their points; sources differ in the one cell that does."""
    left, right = many[-2:]
    compared = get(lab, "compare", runs=f"{left},{right}")
    curves = get(lab, "history", runs=f"{left},{right}", metric="metric_1")["curves"]
    source = get(lab, "source", left=left, right=right)

    table = {name: (differs, values) for name, differs, values in compared["parameters"]}
    assert table["depth"] == (True, ["10", "11"])
    assert compared["packages"] is None
    assert [[step for step, _, _ in curve] for curve in curves] == [[0, 1, 2], [0, 1, 2]]
    assert [(cell["change"], cell["lines"]) for cell in source["cells"]] == [
        ("same", []),
        ("changed", [["-", "rows * 10"], ["+", "rows * 11"]]),
    ]


def test_hostile_records_are_sent_cut_and_as_text(lab: Lab, hostile: str) -> None:
    """A megabyte stays where it is, and what is no number travels by its name."""
    listed = get(lab, "runs", project="hostile")
    run = get(lab, "run", project="hostile", run=hostile)
    (curve,) = get(lab, "history", project="hostile", runs=hostile, metric="metric_0")["curves"]

    for said in (listed, run):
        assert len(json.dumps(said)) < 50_000
    (row,) = listed["rows"]
    assert (row[1][:30], row[13]) == (EVIL[:30], True)
    metrics = dict(run["metrics"])
    assert (metrics["metric_0"], metrics["metric_1"]) == ("NaN", "Infinity")
    assert next(value for _, _, value in curve) == "NaN"
    assert run["note"] == EVIL


def test_notes_and_tags_are_written_and_told(lab: Lab, many: list[str]) -> None:
    """They are there when the run is looked at again."""
    run = many[0]

    post(lab, "note", run=run, text="the good one")
    post(lab, "tag", run=run, name="owner", value="ana")
    post(lab, "tag", run=run, name="team", value=None)

    found = get(lab, "run", run=run)
    assert (found["note"], dict(found["tags"])) == ("the good one", {"owner": "ana"})


def test_tags_that_are_not_the_users_are_refused(lab: Lab, many: list[str]) -> None:
    """A run cannot be made to look like another's."""
    status, said = refused(lab, "tag", is_change=True, run=many[0], name="nbproof.kind", value="pipeline")

    assert (status, said["error"]) == (400, "EntryInvalid")


def test_the_executed_notebook_is_opened_where_jupyterlab_can_go(lab: Lab, many: list[str]) -> None:
    """The path that comes back is one that its file browser opens."""
    path = post(lab, "notebook", run=many[-1])["path"]

    assert path == f"many/opened/training-{many[-1][:8]}.ipynb"
    content = lab.ask(f"contents/{path}")["content"]
    assert content["cells"][1]["source"] == "rows * 11"


def test_a_restored_notebook_is_new_and_has_the_parameters(lab: Lab, many: list[str]) -> None:
    """It lies in the folder that was asked for, and never on top of another."""
    (lab.root / "many/again").mkdir(exist_ok=True)

    first = post(lab, "restore", run=many[-1], into="many/again")
    second = post(lab, "restore", run=many[-1], into="many/again")

    assert (first["put"], first["left"]) == (["rows"], [])
    assert first["path"] != second["path"]
    assert lab.ask(f"contents/{first['path']}")["content"]["cells"][0]["source"] == "rows: int = 11"


@pytest.mark.parametrize("into", ["..", "../..", "many/../../x", "/etc"])
def test_nothing_is_restored_outside_of_the_root(lab: Lab, many: list[str], into: str) -> None:
    """Whatever the page asks for."""
    status, _ = refused(lab, "restore", is_change=True, run=many[-1], into=into)

    assert status in (400, 409)


def test_a_run_without_a_notebook_is_told(lab: Lab, many: list[str]) -> None:
    """Instead of an empty one."""
    status, said = refused(lab, "notebook", is_change=True, run=many[0])

    assert (status, said["error"]) == (409, "RecordUnusable")


def test_a_notebook_is_known_as_the_task_of_its_pipeline(lab: Lab, tmp_path: Path) -> None:
    """By the name that the pipeline gives it, and as a run of itself alone."""
    project = lab.root / "none"
    (project / "fit.ipynb").write_text("{}")
    (project / "pipe").mkdir()
    (project / "pipe/pipeline.yaml").write_text(
        "tasks:\n- {source: ../fit.ipynb, name: training, product: a.ipynb}\n"
        "- {source: ../other.ipynb, product: b.ipynb}\n"
    )
    try:
        found = get(lab, "tasks", project="none/fit.ipynb")
    finally:
        (project / "fit.ipynb").unlink()
        (project / "pipe/pipeline.yaml").unlink()
        (project / "pipe").rmdir()

    assert found == {"notebook": "fit.ipynb", "tasks": [["fit.ipynb", "fit"], ["pipe/pipeline.yaml", "training"]]}
