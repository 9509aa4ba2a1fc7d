"""What Slurm is told of a task of a pipeline, and what it says of them: no cluster is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbproof.errors import UnknownName
from nbproof.jobs.pipelines import engines
from nbproof.jobs.pipelines.slurm import options, queued
from nbproof.records import Resources
from nbproof.run.remote.engine import Asked, Seen

PLAIN = Asked(
    name="train-0a1b2c", mark="nbproof:ab/20260301/train", command=("python",), folder=Path("/p"),
    log=Path("/p/100%/train.log"), resources=Resources(),
)  # fmt: skip


def test_a_task_waits_for_those_above_it_and_for_itself() -> None:
    """Of one task no two jobs run at once; one whose upstream has failed is taken away."""
    found = options(Asked(**{**{name: getattr(PLAIN, name) for name in PLAIN.__slots__}, "after": ("7", "9")}))

    assert "--dependency=afterok:7:9,singleton" in found
    assert {"--kill-on-invalid-dep=yes", "--requeue", "--job-name=train-0a1b2c"} < {*found}
    assert "--output=/p/100%%/train.log" in found
    assert "--dependency=singleton" in options(PLAIN)
    assert not [each for each in found if each.startswith(("--mem", "--gres", "--time"))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("12|RUNNING|None|m", Seen("running", "m", "RUNNING")),
        ("12|PENDING|Dependency|m", Seen("waiting", "m", "PENDING: Dependency")),
        ("12|PENDING|DependencyNeverSatisfied|m", Seen("ended", "m", "a job that it waits for has not ended well")),
        ("12|COMPLETED|None|a|b", Seen("ended", "a|b", "COMPLETED")),
        ("12|TIMEOUT|TimeLimit|m", Seen("ended", "m", "TIMEOUT: TimeLimit")),
        ("12|NODE_FAIL|None|m", Seen("ended", "m", "NODE_FAIL")),
        ("12|SOMETHING_NEW|None|m", Seen("waiting", "m", "SOMETHING_NEW")),
    ],
)
def test_what_the_queue_says_of_a_job(line: str, expected: Seen) -> None:
    """A state that nobody knows is no end."""
    assert queued([line]) == {"12": expected}


def test_an_engine_that_runs_no_pipelines_is_refused() -> None:
    """With those that do."""
    with pytest.raises(UnknownName, match="ray"):
        engines.load("ray", {})
