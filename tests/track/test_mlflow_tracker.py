"""Records in a real MLflow store: what is held, and that it is held once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbproof.errors import TrackerUnavailable
from nbproof.records import ContentHash, Event, LoggedEntry, RunFinished, TaskFinished, TaskStarted
from nbproof.settings import Settings
from nbproof.track import kept
from nbproof.track.journal import entries
from nbproof.track.lines import Entry
from nbproof.track.mlflow_tracker import MlflowTracker, open_tracker
from nbproof.track.store import artifacts

Tell = Callable[..., list[Event]]
Write = Callable[[Path, list[Event]], Path]
Dump = Callable[..., dict[str, Any]]

SETTINGS = Settings(experiment="credit")


def deliver_all(tracker: MlflowTracker, project: Path, journal: Path) -> None:
    for entry, _ in entries(journal):
        tracker.deliver(entry, lambda content, path: kept.find(project, content, project / path))


@pytest.fixture
def journal(project: Path, give_store: Callable[[Path], str], tell: Tell, write: Write) -> Path:
    give_store(project)
    return write(project, tell(project, "r1"))


def test_a_run_is_a_parent_with_one_nested_run_an_attempt_and_their_children(
    project: Path, journal: Path, dump: Dump, tmp_path: Path
) -> None:
    """Everything that the events say is in the store, under the parent of its pipeline run."""
    deliver_all(open_tracker(project, SETTINGS), project, journal)

    held = dump(f"sqlite:///{project / 'mlflow.db'}", "credit", tmp_path / "files")

    assert sorted(held) == [
        "r1",
        "r1/training/1",
        "r1/training/2",
        "r1/training/2/gradient%20boosting%27s",
        "r1/training/2/logistic",
    ]
    parent, first, second = held["r1"], held["r1/training/1"], held["r1/training/2"]
    assert (parent["status"], parent["start"], parent["end"]) == ("FAILED", 1_700_000_000_000, 1_700_000_011_000)
    assert parent["params"] == {"rows": "2000", "kinds": '["a", "b"]'}
    assert parent["tags"] == {
        "mlflow.runName": "credit",
        "mlflow.source.git.commit": "c0ffee" * 6 + "beef",
        "mlflow.source.name": "pipelines/credit/pipeline.yaml",
        "mlflow.source.type": "PROJECT",
        "nbproof.count.blocked": "1",
        "nbproof.count.done": "1",
        "nbproof.count.fresh": "1",
        "nbproof.elapsed_s": "11.000",
        "nbproof.environment": str(ContentHash.of(b"environment")),
        "nbproof.git_dirty": "true",
        "nbproof.key": "r1",
        "nbproof.kind": "pipeline",
        "nbproof.outcome": "failed",
        "nbproof.pipeline": "credit",
        "nbproof.python": "3.11.9",
        "nbproof.run_id": "r1",
        "nbproof.task.audit": "fresh: nothing changed",
        "nbproof.task.cards": "blocked: monitoring failed",
        "nbproof.task.training": "done",
        "nbproof.tasks": "audit, training, cards",
        "nbproof.version": "0.1.0",
    }
    assert first["status"] == "FAILED"
    assert first["tags"]["nbproof.outcome"] == "failed: out of memory"
    assert first["tags"]["nbproof.reason"] == "its code changed"
    assert first["tags"]["mlflow.parentRunId"] == "r1"
    assert list(first["files"]) == ["notebook/r1.ipynb", "parameters.json"]
    assert (second["status"], second["start"], second["end"]) == ("FINISHED", 1_700_000_004_000, 1_700_000_009_000)
    assert second["latest"] == {"auc": 0.9, "brier": 0.25, "loss": 0.5}
    assert second["history"]["loss"] == [(0.75, 1_700_000_005_001, 1), (0.5, 1_700_000_005_002, 2)]
    assert second["tags"]["nbproof.product.model"] == "2" * 64
    assert second["tags"]["gate"] == "passed"
    assert list(second["files"]) == ["files/roc-r1.svg", "notebook/training.ipynb", "parameters.json", "products.json"]
    child = held["r1/training/2/gradient%20boosting%27s"]
    assert (child["name"], child["status"], child["latest"], child["params"]) == (
        "gradient boosting's",
        "FINISHED",
        {"auc": 0.775},
        {"trees": "100"},
    )
    assert child["tags"]["mlflow.parentRunId"] == "r1/training/2"


def test_a_long_parameter_is_cut_visibly_and_kept_whole(
    project: Path, journal: Path, dump: Dump, tmp_path: Path
) -> None:
    """MLflow takes 6000 characters; the rest is in a file, and the value says so."""
    deliver_all(open_tracker(project, SETTINGS), project, journal)

    held = dump(f"sqlite:///{project / 'mlflow.db'}", "credit", tmp_path / "files")["r1/training/2"]

    assert held["params"]["note"].endswith("xx … [cut; whole in parameters.json]")
    assert len(held["params"]["note"]) == 6000


def test_a_parameter_logged_with_another_value_is_told_and_changes_nothing(
    project: Path, journal: Path, dump: Dump, tmp_path: Path
) -> None:
    """The contract's parameter stands; what the notebook logged under its name is a tag."""
    deliver_all(open_tracker(project, SETTINGS), project, journal)

    held = dump(f"sqlite:///{project / 'mlflow.db'}", "credit", tmp_path / "files")["r1/training/2"]

    assert held["params"]["depth"] == "4"
    assert held["tags"]["nbproof.also.depth"] == "5"


def test_delivering_twice_holds_it_once(project: Path, journal: Path, dump: Dump, tmp_path: Path) -> None:
    """The second delivery, by another courier, changes nothing."""
    deliver_all(open_tracker(project, SETTINGS), project, journal)
    once = dump(f"sqlite:///{project / 'mlflow.db'}", "credit", tmp_path / "once")

    deliver_all(open_tracker(project, SETTINGS), project, journal)

    assert dump(f"sqlite:///{project / 'mlflow.db'}", "credit", tmp_path / "twice") == once
    assert len(runs_ever_made(f"sqlite:///{project / 'mlflow.db'}")) == len(once) == 5


def runs_ever_made(uri: str) -> list[Any]:
    """All runs of the store, deleted ones too."""
    from mlflow.entities import ViewType
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, run_view_type=ViewType.ALL, max_results=1000))


def test_a_metric_is_held_once_where_the_store_itself_holds_it_twice(
    project: Path, journal: Path, dump: Dump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's folder store appends every value that it is given; we look at the history first."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    settings = Settings(experiment="credit", tracking_uri=str(project / "folder"))

    deliver_all(open_tracker(project, settings), project, journal)
    once = dump(str(project / "folder"), "credit", tmp_path / "once")
    deliver_all(open_tracker(project, settings), project, journal)

    assert once["r1/training/2"]["history"]["loss"] == [(0.75, 1_700_000_005_001, 1), (0.5, 1_700_000_005_002, 2)]
    assert dump(str(project / "folder"), "credit", tmp_path / "twice") == once


class Fragile:
    """A client of a store whose owner dies right after (or right before) its n-th request."""

    class Died(BaseException):
        pass

    def __init__(self, client: Any, dies_at: int, *, after: bool) -> None:
        self._client, self._left, self._after = client, dies_at, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left < 0 and not self._after:
                raise self.Died
            answer = method(*arguments, **options)
            if self._left < 0:
                raise self.Died
            return answer

        return call


@pytest.mark.slow
def test_dying_at_any_request_loses_and_doubles_nothing(
    tmp_path: Path, give_store: Callable[[Path], str], tell: Tell, write: Write, dump: Dump
) -> None:
    """Whichever request was the last, before or after the store took it, the next courier completes the record."""
    from mlflow.tracking import MlflowClient

    def start(name: str) -> tuple[Path, Path, str]:
        project = tmp_path / name
        project.mkdir()
        return project, write(project, tell(project, "r1")), give_store(project)

    project, journal, uri = start("undisturbed")
    deliver_all(MlflowTracker(MlflowClient(uri), "credit", artifacts=artifacts(project)), project, journal)
    expected = dump(uri, "credit", tmp_path / "files")
    points = 0
    for after in (False, True):
        project, journal, uri = start(f"disturbed-{after}")
        for point in range(1000):
            client = Fragile(MlflowClient(uri), point, after=after)
            try:
                deliver_all(MlflowTracker(client, "credit", artifacts=artifacts(project)), project, journal)
            except Fragile.Died:
                points += 1
                continue
            break

        assert dump(uri, "credit", tmp_path / f"files-{after}") == expected
    assert points > 60


def test_a_request_that_arrives_late_makes_no_second_run(
    project: Path, journal: Path, dump: Dump, tmp_path: Path
) -> None:
    """A bare double, made by a request that was given up and carried out later, is taken away at the run's end."""
    from mlflow.tracking import MlflowClient

    class Late:
        """Carries out the first request to make a nested run a second time, just before the run ends."""

        def __init__(self, client: Any) -> None:
            self._client, self._request = client, None

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        def create_run(self, *arguments: Any, **options: Any) -> Any:
            if options["run_name"] == "training" and self._request is None:
                self._request = arguments, options
            return self._client.create_run(*arguments, **options)

        def arrive(self) -> None:
            arguments, options = self._request
            self._client.create_run(*arguments, **options)

    uri = f"sqlite:///{project / 'mlflow.db'}"
    client = Late(MlflowClient(uri))
    tracker = MlflowTracker(client, "credit", artifacts=artifacts(project))
    for entry, _ in entries(journal):
        if isinstance(entry.event, RunFinished):
            client.arrive()
        tracker.deliver(entry, lambda content, path: kept.find(project, content, project / path))

    held = dump(uri, "credit", tmp_path / "files")

    assert held["r1/training/1"]["tags"]["nbproof.outcome"] == "failed: out of memory"


def test_a_notebook_that_was_replaced_is_not_passed_off_as_the_old_one(
    project: Path, give_store: Callable[[Path], str], dump: Dump, tmp_path: Path
) -> None:
    """Another content under the recorded name is told as missing, never uploaded."""
    uri = give_store(project)
    (project / "a.ipynb").write_text("new")
    old = ContentHash.of(b"old")
    tracker = open_tracker(project, SETTINGS)

    tracker.deliver(
        Entry(TaskFinished("r1", 5.0, "a", "done", 1, 1.0, "", "a.ipynb"), old),
        lambda content, path: kept.find(project, content, project / path),
    )

    held = dump(uri, "credit", tmp_path / "files")["r1/a/1"]
    assert held["files"] == {}
    assert held["tags"]["nbproof.missing.a.ipynb"] == "a.ipynb: changed or gone before it could be delivered"


def test_an_interrupted_run_is_marked_killed(
    project: Path, give_store: Callable[[Path], str], tell: Tell, dump: Dump, tmp_path: Path
) -> None:
    """What was running when the runner died does not look as if it still ran."""
    uri = give_store(project)
    tracker = open_tracker(project, SETTINGS)
    began, *_ = tell(project, "r1")
    tracker.deliver(Entry(began), lambda content, path: None)
    tracker.deliver(Entry(TaskStarted("r1", 1_700_000_002.0, "a", 1, "new", {})), lambda content, path: None)

    tracker.interrupt("r1", 1_700_000_003.0)

    held = dump(uri, "credit", tmp_path / "files")
    assert {key: (run["status"], run["end"]) for key, run in held.items()} == {
        "r1": ("KILLED", 1_700_000_003_000),
        "r1/a/1": ("KILLED", 1_700_000_003_000),
    }


def test_many_values_are_delivered_in_batches(
    project: Path, give_store: Callable[[Path], str], dump: Dump, tmp_path: Path
) -> None:
    """MLflow takes 1000 metrics and 100 parameters or tags at once; more arrive all the same."""
    uri = give_store(project)
    logged = (
        *(LoggedEntry("metrics", {"loss": float(step)}, None, step, 10.0 + step / 1000) for step in range(1500)),
        LoggedEntry("parameters", {f"p{number}": str(number) for number in range(250)}),
        LoggedEntry("tags", {f"t{number}": str(number) for number in range(250)}),
    )

    open_tracker(project, SETTINGS).deliver(
        Entry(TaskFinished("r1", 20.0, "a", "done", 1, 10.0, logged=logged)), lambda content, path: None
    )

    held = dump(uri, "credit", tmp_path / "files")["r1/a/1"]
    assert len(held["history"]["loss"]) == 1500
    assert len(held["params"]) == 250
    assert {f"t{number}" for number in range(250)} <= set(held["tags"])


def test_a_deleted_experiment_is_told_and_the_records_wait(project: Path, give_store: Callable[[Path], str]) -> None:
    """nbproof does not write into an experiment that somebody deleted."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(give_store(project))
    client.delete_experiment(client.create_experiment("credit"))

    with pytest.raises(TrackerUnavailable, match="the experiment `credit` was deleted there"):
        open_tracker(project, SETTINGS)
