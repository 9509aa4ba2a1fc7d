"""What the journal of a run tells, and how two runs differ."""

from __future__ import annotations

from typing import Any

from nbproof.cli.story import Difference, differences, made_by, told
from nbproof.records import (
    ContentHash,
    Event,
    LoggedEntry,
    Provenance,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
)

ENVIRONMENT = ContentHash("1" * 64)


def started(run_id: str, commit: str = "abc", **parameters: dict[str, Any]) -> RunStarted:
    provenance = Provenance(commit, False, ENVIRONMENT, "3.11.7", "0.1.0")
    return RunStarted(
        run_id, 10.0, "credit", "pipelines/credit/pipeline.yaml", ("load", "train"), parameters, provenance
    )


def trained(run_id: str, auc: float = 0.88, model: str = "a" * 64) -> list[Event]:
    logged = (
        LoggedEntry("metrics", {"auc": 0.5}, step=0),
        LoggedEntry("metrics", {"auc": auc}, step=1),
        LoggedEntry("metrics", {"auc": 0.1}, child="challenger"),
    )
    return [
        TaskStarted(run_id, 11.0, "train", 1, "code cell 2 changed", {}),
        TaskFinished(
            run_id,
            14.0,
            "train",
            "done",
            1,
            3.0,
            products={"nb": ("build/nb", run_id), "model": ("build/model", model)},
            logged=logged,
        ),
    ]


def test_a_journal_tells_its_run() -> None:
    """Outcome, time, reason, last value of each metric of the notebook itself, products: all from the events."""
    events = [
        started("r1", train={"seed": 1}),
        TaskFinished("r1", 10.5, "load", "fresh"),
        *trained("r1"),
        RunFinished("r1", 14.0, "done", 4.0, {}),
    ]

    story = told(events)

    assert story is not None
    assert (story.outcome, story.elapsed_s, story.git_commit) == ("done", 4.0, "abc")
    load, train = story.tasks
    assert load.outcome == "fresh"
    assert (train.outcome, train.reason, train.parameters) == ("done", "code cell 2 changed", {"seed": 1})
    assert train.metrics == {"auc": 0.88}
    assert train.products["model"] == ("build/model", "a" * 64)


def test_a_run_without_an_end_is_not_shown_as_done() -> None:
    """Killed in the middle, a run is interrupted, and so is the task it was at; what never began says so."""
    story = told([started("r1"), TaskStarted("r1", 13.0, "load", 1, "it has not run yet", {})])

    assert story is not None
    assert (story.outcome, story.elapsed_s) == ("interrupted", 3.0)
    assert [task.outcome for task in story.tasks] == ["interrupted", "not started"]


def test_a_run_that_goes_on_is_running() -> None:
    """While its journal is being written, a run without an end is running."""
    story = told([started("r1"), TaskStarted("r1", 13.0, "load", 1, "", {})], is_running=True)

    assert story is not None
    assert [story.outcome, story.tasks[0].outcome] == ["running", "running"]


def test_the_last_attempt_counts() -> None:
    """A task that failed once and then succeeded is done."""
    events = [started("r1"), TaskFinished("r1", 11.0, "train", "failed", 1, 1.0, "boom"), *trained("r1")]

    story = told(events)

    assert story is not None
    assert story.tasks[1].outcome == "done"


def test_nothing_tells_nothing() -> None:
    """A journal without the start of its run tells of no run."""
    assert told([]) is None


def test_a_fresh_task_is_traced_to_the_run_that_made_it() -> None:
    """The newest run that carried the task out is found; runs that failed at it or skipped it are passed over."""
    fresh = told([started("r3"), TaskFinished("r3", 11.0, "train", "fresh")])
    failed = told([started("r2"), TaskFinished("r2", 11.0, "train", "failed")])
    done = told([started("r1"), *trained("r1")])
    assert fresh is not None
    assert failed is not None
    assert done is not None

    assert made_by("train", [fresh, failed, done]) == (done, done.tasks[1])
    assert made_by("load", [fresh, failed, done]) is None


def test_equal_runs_differ_in_nothing() -> None:
    """Two runs with the same content have no difference, though executed notebooks hold the times of their cells."""
    first, second = told([started("r1"), *trained("r1")]), told([started("r2"), *trained("r2")])
    assert first is not None
    assert second is not None

    assert list(differences(first, second)) == []


def test_every_difference_is_named() -> None:
    """Parameters, metrics, products and the commit are each told with both values."""
    first = told([started("r1", train={"seed": 1}), *trained("r1")])
    second = told([started("r2", commit="def", train={"seed": 2}), *trained("r2", auc=0.9, model="b" * 64)])
    assert first is not None
    assert second is not None

    assert list(differences(first, second)) == [
        Difference("train", "parameter seed", "1", "2"),
        Difference("train", "metric auc", "0.88", "0.9"),
        Difference("train", "product model", "a" * 12, "b" * 12),
        Difference("(run)", "git commit", "abc", "def"),
    ]
