"""What `executor:` may say of resources."""

from __future__ import annotations

from typing import Any

import pytest

from nbproof.errors import SettingsInvalid
from nbproof.records import Limits, Resources, Task
from nbproof.run.pipeline.limits import checked_resources
from nbproof.run.remote.resources import BESIDE_S, whole


def test_a_task_is_given_what_is_said_of_it() -> None:
    """All else is left to the engine."""
    found = checked_resources({"a": {"gpus": 1, "gpu_kind": "h200"}, "b": {"memory_mb": 512}})

    assert found == {"a": Resources(gpus=1, gpu_kind="h200"), "b": Resources(memory_mb=512)}
    assert checked_resources(None) == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gpu": 1}, "`gpu`"),
        ({"gpus": -1}, "-1"),
        ({"gpus": True}, "True"),
        ({"cpus": 0}, "0"),
        ({"memory_mb": "4G"}, "'4G'"),
        ({"gpu_kind": "h200"}, "beside `gpus`"),
        ({"gpus": 1, "gpu_kind": "h200 --exclusive"}, "--exclusive"),
        ({"time_s": 5}, "`time_s`"),
    ],
)
def test_what_means_nothing_is_refused(given: dict[str, Any], words: str) -> None:
    """With what could be said instead."""
    with pytest.raises(SettingsInvalid, match=r"executor\.resources\.a") as caught:
        checked_resources({"a": given})
    assert words in str(caught.value)


def test_an_engine_is_asked_for_the_time_of_all_attempts(tmp_path: Any) -> None:
    """And of the pauses between them; without a limit, for none."""
    limits = Limits(timeout_s=100, retries=2, backoff_s=10)
    task = Task("t", tmp_path, {}, (), {}, limits=limits)

    assert whole(task).time_s == 3 * (100 + BESIDE_S) + 10 + 20 + 1
    assert whole(Task("t", tmp_path, {}, (), {})).time_s is None
