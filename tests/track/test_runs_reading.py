"""Runs read from a real store: listed, found, looked at, compared, noted."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbproof.errors import EntryInvalid, RecordUnusable, RequestInvalid, TrackerUnavailable, UnknownName
from nbproof.records import Event
from nbproof.settings import Settings
from nbproof.track import kept
from nbproof.track.delivery import deliver
from nbproof.track.journal import entries
from nbproof.track.mlflow_tracker import open_tracker
from nbproof.track.runs.artifacts import executed_notebook, fetched, listed
from nbproof.track.runs.comparing import environment_of
from nbproof.track.runs.reading import Query, RunStore, open_runs
from nbproof.track.runs.summary import Summary

Tell = Callable[..., list[Event]]
Write = Callable[[Path, list[Event]], Path]

SETTINGS = Settings(experiment="credit")


@pytest.fixture
def store(project: Path, give_store: Callable[[Path], str], tell: Tell, write: Write) -> RunStore:
    """A store with one run of a pipeline: an attempt that failed, one that did not, and two nested runs."""
    give_store(project)
    tracker = open_tracker(project, SETTINGS)
    for entry, _ in entries(write(project, tell(project, "r1"))):
        tracker.deliver(entry, lambda content, path: kept.find(project, content, project / path))
    opened = open_runs(project, SETTINGS)
    assert opened is not None
    return opened


def found(store: RunStore, **asked: Any) -> list[str]:
    return sorted(run.name for run in store.page(Query(**asked)).runs)


def one(store: RunStore, name: str, kind: str, status: str = "done") -> Summary:
    (run,) = [
        run for run in store.page(Query()).runs if (run.name, run.kind, run.status) == (name, kind, status)
    ]  # fmt: skip
    return run


def test_a_project_without_a_store_has_no_runs_and_gets_none(project: Path) -> None:
    """Looking makes nothing."""
    assert open_runs(project, SETTINGS) is None
    assert list(project.iterdir()) == []

    (project / "mlflow.db").touch()

    assert open_runs(project, SETTINGS) is None
    assert (project / "mlflow.db").stat().st_size == 0


def test_reading_leaves_the_process_as_it_was(store: RunStore, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels inherit the variables of the server: no tracking URI, no folder and no impatience reaches them."""
    before = {name: value for name, value in os.environ.items() if name.lstrip("_").startswith("MLFLOW")}
    monkeypatch.chdir(project)

    opened = open_runs(project, SETTINGS)
    assert opened is not None
    opened.page(Query())

    import mlflow

    assert {name: value for name, value in os.environ.items() if name.lstrip("_").startswith("MLFLOW")} == before
    assert mlflow.active_run() is None
    assert sorted(path.name for path in project.iterdir() if path.name != "failed" and path.name != "build") == [
        ".nbproof", "mlflow.db", "mlruns",
    ]  # fmt: skip


def test_a_list_says_who_began_each_run_and_how_it_ended(store: RunStore) -> None:
    """Kinds and states are in nbproof's words, newest first."""
    listed_runs = store.page(Query()).runs

    assert [(run.name, run.kind, run.status) for run in listed_runs] == [
        ("logistic", "child", "done"),
        ("gradient boosting's", "child", "done"),
        ("training", "task", "done"),
        ("training", "task", "failed"),
        ("credit", "pipeline", "failed"),
    ]
    assert listed_runs[2].metrics == {"auc": 0.9, "brier": 0.25, "loss": 0.5}
    assert listed_runs[2].tags == {"gate": "passed"}
    assert listed_runs[4].source == "pipelines/credit/pipeline.yaml"


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"kind": "child"}, ["gradient boosting's", "logistic"]),
        ({"kind": "own"}, []),
        ({"status": "failed"}, ["credit", "training"]),
        ({"kind": "task", "status": "done"}, ["training"]),
        ({"words": ("gate=passed",)}, ["training"]),
        ({"words": ("trees=100", "boosting")}, ["gradient boosting's"]),
        ({"words": ("trees=100", "logistic")}, []),
        ({"words": ("solver=lbfgs",)}, ["training"]),
        ({"tasks": frozenset({"training"}), "kind": "task", "status": "failed"}, ["training"]),
        ({"experiment": "credit", "kind": "pipeline"}, ["credit"]),
        ({"experiment": "Default"}, []),
    ],
)
def test_runs_are_found_by_what_they_are(store: RunStore, asked: dict[str, Any], names: list[str]) -> None:
    """Whether the store or the reader decides, the answer is the same."""
    assert found(store, **asked) == names


def test_the_store_sorts(store: RunStore) -> None:
    """By a column, either way."""
    rising = [run.name for run in store.page(Query(sort="name", is_rising=True)).runs]

    assert rising == ["credit", "gradient boosting's", "logistic", "training", "training"]
    assert [run.name for run in store.page(Query(sort="name")).runs] == rising[::-1]


def test_every_page_is_bounded_and_together_they_are_all(store: RunStore) -> None:
    """Each run is on one page, and the last page says that it is."""
    pages, after = [], ""
    while True:
        page = store.page(Query(), rows=2, after=after)
        pages.append([run.run_id for run in page.runs])
        after = page.next_page
        assert isinstance(after, str)
        if not after:
            break

    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({run for page in pages for run in page}) == 5


def test_a_search_reads_on_while_nothing_is_found_and_stops(store: RunStore) -> None:
    """Five pages at most are read through for one answer; the answer says where to go on."""
    page = store.page(Query(words=("nothing says this",)), rows=1)

    assert (page.runs, page.looked) == ((), 5)


@pytest.mark.parametrize("asked", [{"kind": "x"}, {"status": "x' or '"}, {"sort": "metrics.`a`"}])
def test_what_no_list_can_be_asked_for_is_refused(asked: dict[str, Any]) -> None:
    """Nothing of a request reaches the store's own language."""
    with pytest.raises(RequestInvalid, match="expected one of"):
        Query(**asked)


def test_an_unknown_experiment_is_told(store: RunStore) -> None:
    """An empty list would say that it has no runs."""
    with pytest.raises(UnknownName, match="no experiment is called `nowhere`"):
        store.page(Query(experiment="nowhere"))


def test_what_changed_is_what_began_ended_or_runs(store: RunStore) -> None:
    """A run from long ago that is still running is among them, one that ended long ago is not."""
    at = 1_700_000_000_000
    client = store.client
    experiment = next(id_ for id_, name in store.experiments().items() if name == "credit")
    running = client.create_run(experiment, start_time=1000, run_name="long").info.run_id

    assert {run.name for run in store.changed(at + 8000).runs} == {"credit", "training", "long"}
    assert {run.run_id for run in store.changed(at + 60_000).runs} == {running}

    client.set_terminated(running, "FINISHED", at + 70_000)

    assert {(run.run_id, run.status) for run in store.changed(at + 60_000).runs} == {(running, "done")}


def test_a_record_that_arrived_late_has_changed(
    project: Path, give_store: Callable[[Path], str], tell: Tell, write: Write
) -> None:
    """A run of yesterday whose record waited for the tracker is news today."""
    give_store(project)
    write(project, tell(project, "late"))
    opened = open_runs(project, SETTINGS)
    assert opened is not None
    asked_ms = 1_750_000_000_000
    assert opened.changed(asked_ms).runs == ()

    assert deliver(project, SETTINGS).waiting == 0

    later = open_runs(project, SETTINGS)
    assert later is not None
    assert {run.name for run in later.changed(asked_ms).runs} >= {"credit", "training"}


def test_one_run_is_told_whole(store: RunStore) -> None:
    """Its experiment, every tag, the runs nested in it, and from its pipeline's run where it ran."""
    task = one(store, "training", "task")

    run = store.run(task.run_id)

    assert (run.experiment, run.note) == ("credit", "")
    assert run.all_tags["nbproof.product.model"] == "2" * 64
    assert [child.name for child in run.children] == ["gradient boosting's", "logistic"]
    tags: dict[str, str] = {}
    for held in store.lineage(run.children[0].run_id):
        tags = {**environment_of(held.data.tags), **tags}
    assert tags["git commit"] == "c0ffee" * 6 + "beef"
    assert tags["Python"] == "3.11.9"


@pytest.mark.parametrize("run_id", ["0" * 32, "../../etc", "' or 1=1", ""])
def test_an_unknown_run_is_told(store: RunStore, run_id: str) -> None:
    """Whatever the id looks like."""
    with pytest.raises(UnknownName, match="no run is called"):
        store.run(run_id)


def test_a_history_keeps_what_is_no_number(store: RunStore) -> None:
    """A loss that became NaN, or infinite, is told as such."""
    run = one(store, "training", "task").run_id
    for step, value in enumerate((1.0, math.inf, -math.inf, math.nan, 0.5)):
        store.client.log_metric(run, "wild", value, step=step)

    history = store.history(run, "wild")

    assert [point.value for point in history[:3]] == [1.0, math.inf, -math.inf]
    assert math.isnan(history[3].value)
    assert history[4].value == 0.5


def test_notes_and_tags_are_written(store: RunStore) -> None:
    """What a user writes is in the store, where MLflow's own page shows it; a tag can be taken away again."""
    run = one(store, "training", "task").run_id

    store.set_note(run, "the *good* one")
    store.set_tag(run, "team", "risk")
    store.set_tag(run, "gate", None)
    store.set_tag(run, "never there", None)

    tags = store.client.get_run(run).data.tags
    assert (tags["mlflow.note.content"], tags["team"], "gate" in tags) == ("the *good* one", "risk", False)


@pytest.mark.parametrize("name", ["nbproof.kind", "mlflow.parentRunId", "mlflow.note.content", "a`b", "", "x" * 251])
def test_names_that_are_not_the_users_are_refused(store: RunStore, name: str) -> None:
    """A run cannot be made to look like another, neither by a new tag nor by taking one away."""
    run = one(store, "training", "task").run_id
    before = store.client.get_run(run).data.tags

    for value in ("x", None):
        with pytest.raises(EntryInvalid):
            store.set_tag(run, name, value)

    assert store.client.get_run(run).data.tags == before


def test_too_long_a_note_is_refused(store: RunStore) -> None:
    """It would be cut in silence."""
    with pytest.raises(EntryInvalid, match="8001 characters"):
        store.set_note(one(store, "training", "task").run_id, "x" * 8001)


def test_a_tracker_that_is_away_is_told_at_once(project: Path, closed_port: int) -> None:
    """In one line, with what to look at."""
    settings = Settings(experiment="credit", tracking_uri=f"http://ana:secret@127.0.0.1:{closed_port}")

    with pytest.raises(TrackerUnavailable) as raised:
        open_runs(project, settings)

    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.hint == "nbproof doctor"


def test_a_store_that_is_damaged_is_told(project: Path) -> None:
    """A file that is no database is no empty list."""
    (project / "mlflow.db").write_bytes(b"no database" * 1000)

    with pytest.raises(TrackerUnavailable, match="file is not a database"):
        open_runs(project, SETTINGS)


def test_the_files_of_a_run_are_listed_and_fetched(store: RunStore) -> None:
    """By their paths within the run; the executed notebook is the one in `notebook`."""
    run = one(store, "training", "task").run_id

    assert [file.path for file in listed(store, run)] == [
        "files/roc-r1.svg", "notebook/training.ipynb", "parameters.json", "products.json",
    ]  # fmt: skip
    assert executed_notebook(store, run) == "notebook/training.ipynb"
    assert fetched(store, run, "files/roc-r1.svg") == b"<svg>r1</svg>"


@pytest.mark.parametrize(
    "path", ["../../mlflow.db", "/etc/passwd", "files/../../x", "files//x", "a\\b", "a\0b", "", "link.txt", "inner/a"]
)
def test_no_file_outside_of_the_run_is_fetched(store: RunStore, path: str, project: Path, tmp_path: Path) -> None:
    """Neither by dots, nor by a link to a file or to a folder."""
    run = one(store, "training", "task").run_id
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a").write_text("secret")
    folder = Path(store.client.get_run(run).info.artifact_uri.removeprefix("file://"))
    (folder / "link.txt").symlink_to(secret / "a")
    (folder / "inner").symlink_to(secret)

    with pytest.raises(RecordUnusable):
        fetched(store, run, path)

    assert not any("link" in file.path or "inner" in file.path for file in listed(store, run))


def test_a_run_that_claims_another_folder_for_its_own_is_not_believed(store: RunStore, tmp_path: Path) -> None:
    """Whoever can write into the store cannot make nbproof hand out files of the machine."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a.ipynb").write_text("{}")
    experiment = store.client.create_experiment("elsewhere", artifact_location=f"file://{secret}")
    run = store.client.create_run(experiment).info.run_id
    shutil.copytree(secret, secret / run / "artifacts")

    with pytest.raises(RecordUnusable, match="files in the project or beside its store"):
        listed(store, run)


def test_runs_of_a_server_are_read_like_those_of_a_file(project: Path, server: Any) -> None:
    """Listing, files and notes go through the server; its experiments of other projects are left alone."""
    server.start()
    settings = Settings(experiment="credit", tracking_uri=server.uri)
    opened = open_runs(project, settings)
    assert opened is not None
    other = opened.client.create_run(opened.client.create_experiment("other"), run_name="other's").info.run_id
    assert open_runs(project, settings).page(Query()).runs == ()  # type: ignore[union-attr]
    ours = opened.client.create_run(opened.client.create_experiment("credit"), run_name="ours").info.run_id
    opened.client.log_text(ours, "{}", "notebook/a.ipynb")

    again = open_runs(project, settings)
    assert again is not None
    assert [run.name for run in again.page(Query()).runs] == ["ours"]
    assert [run.run_id for run in again.page(Query(experiment="other")).runs] == [other]
    assert executed_notebook(again, ours) == "notebook/a.ipynb"
    assert fetched(again, ours, "notebook/a.ipynb") == b"{}"
    with pytest.raises(RecordUnusable):
        fetched(again, ours, "notebook/b.ipynb")
