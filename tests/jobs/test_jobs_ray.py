"""What Ray is told over HTTP, and what it answers; `make test-engines` asks a real one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from submitted import refused, told

from nbproof.errors import JobRefused, SettingsInvalid
from nbproof.jobs.job import PYTHON, Job, Resources
from nbproof.jobs.target import Seen
from nbproof.jobs.targets.ray import Ray, _check, _seen
from ports import free_port

Caught = pytest.CaptureFixture[str]
PLACE = "/p/.nbproof/jobs/train-0a1b2c"
PLAIN = Job(name="train", command=(PYTHON, "-m", "train", "--out", "{work}"), folder="/p/exports/train")
FULL = replace(
    PLAIN,
    resources=Resources(cpus=4, memory_mb=2048, gpus=2, gpu_kind="H200"),
    elements=(("--month=1",), ("--month=2",)),
    is_array=True,
)


def test_an_array_is_a_ray_job_for_each_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its resources, and a name that tells whose it is."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    first, second = json.loads(Ray().render(FULL, PLACE)["ray.json"])

    assert first.pop("entrypoint").endswith(f"-m nbproof.jobs {PLACE} 0 --log --watch")
    assert first == {
        "submission_id": "train-0a1b2c-0", "entrypoint_num_cpus": 4, "entrypoint_num_gpus": 2,
        "entrypoint_memory": 2**31, "entrypoint_resources": {"accelerator_type:H200": 0.001},
        "metadata": {"nbproof": "train"},
    }  # fmt: skip
    assert second["submission_id"] == "train-0a1b2c-1"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"after": ("17",)}, "it waits for another job"), ({"at_once": 1}, "limits how many elements run at once")],
)
def test_what_ray_does_not_do_is_refused(change: Any, words: str) -> None:
    """Rather than left out in silence."""
    with pytest.raises(JobRefused, match=words):
        Ray().render(replace(FULL, **change), PLACE)


def nodes(*totals: dict[str, float], state: str = "ALIVE") -> Any:
    return {"data": {"result": {"result": [{"state": state, "resources_total": total} for total in totals]}}}


def test_what_no_node_has_is_refused() -> None:
    """Ray would wait for it without end: nodes that died, and what several have together, do not count."""
    enough = {"CPU": 8.0, "GPU": 2.0, "memory": 2.0**33, "accelerator_type:H200": 1.0}
    half = {**enough, "GPU": 1.0}

    _check(FULL, nodes(half, enough))
    for found in (nodes(half, half), nodes(enough, state="DEAD"), nodes()):
        with pytest.raises(JobRefused, match=r"it asks for 4 CPU, 2 GPU, .* on one node, and the most that one has"):
            _check(FULL, found)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "PENDING", "message": "waiting for resources"}, Seen("waiting", "waiting for resources")),
        ({"status": "RUNNING", "message": "running"}, Seen("running")),
        ({"status": "SUCCEEDED", "message": "fine"}, Seen("done")),
        ({"status": "FAILED", "message": "exit code 1\nlogs"}, Seen("failed", "exit code 1")),
        ({"status": "STOPPED", "message": None}, Seen("cancelled")),
        ({"status": "NEW", "message": "?"}, Seen("unknown", "?")),
        (None, Seen("lost", "Ray knows of no such job")),
    ],
)
def test_what_ray_says_of_an_element(answer: Any, expected: Seen) -> None:
    """In its own words where they are no matter of course."""
    assert _seen(answer) == expected


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "127.0.0.1:6379", "http://"])
def test_an_address_that_is_no_dashboard_is_refused(address: str) -> None:
    """Ray itself has others, for other doors."""
    with pytest.raises(SettingsInvalid, match="expected that of its dashboard"):
        Ray(address=address).recall("train-0a1b2c")


def test_a_dashboard_that_is_away_is_no_lost_job(package: Path, capsys: Caught) -> None:
    """The job is kept, and said not to have been heard of."""
    address = f"http://127.0.0.1:{free_port()}"

    code, line = refused(
        capsys, "submit", str(package), "--unsafe-draft", "a test", "--on", "ray", "-o", f"address={address}"
    )

    assert (code, "ray did not answer" in line) == (1, True), line
    (kept,) = told(capsys, "jobs", "list")
    assert (kept["state"], "Connection refused" in kept["note"]) == ("unknown", True)
