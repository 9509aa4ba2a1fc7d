"""The credit training package on a real Slurm: a GPU that is counted, an array of eight, and what waits for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, cluster, is_installed
from submitted import submit, told, until

from conftest import Credit, Record, is_missing

Caught = pytest.CaptureFixture[str]
pytestmark = [pytest.mark.engines, pytest.mark.timeout(2400)]
QUICK = ("-p", "epochs=2", "-p", "replicates=100", "-p", "explained_rows=50")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    """A cluster of two nodes."""
    if not is_installed():
        is_missing("Slurm is not installed")
    with cluster() as made:
        yield made


def test_training_on_slurm(
    slurm: Cluster, in_project: Credit, capsys: Caught, monkeypatch: pytest.MonkeyPatch, record: Record, tmp_path: Path
) -> None:
    """With a GPU, the products are those of the notebook; then eight seeds, and a job that starts after all of them."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    package = in_project.package
    with record.row("Slurm 22.05, two nodes", "`submit --on slurm --gpus 1 --time 20min`") as say:
        job = submit(capsys, package, "--on", "slurm", "--gpus", "1", "--memory", "1500M", "--time", "20min")
        found = until(capsys, job, "done", "failed", longest_s=1200)
        assert found["state"] == "done", found
        said = slurm.asked("scontrol", "show", "job", found["number"])
        assert "gres:gpu:1" in said
        told(capsys, "jobs", "fetch", job, "--to", str(tmp_path / "one"))
        say(f"done on {found['elements'][0]['host']}, `gres:gpu:1` counted")
        say(in_project.same_as_notebook(tmp_path / "one"))
    with record.row("Slurm 22.05, two nodes", "`--array seeds.csv` of 8, then `--after` it") as say:
        Path("seeds.csv").write_text("seed\n" + "".join(f"{seed}\n" for seed in range(8)))
        array = submit(capsys, package, "--on", "slurm", "--array", "seeds.csv", "--memory", "1500M", *QUICK)
        last = submit(capsys, package, "--on", "slurm", "--after", array, "--memory", "1500M", *QUICK)
        ended = until(capsys, last, "done", "failed", "cancelled", longest_s=2000)["elements"][0]
        elements = told(capsys, "jobs", "show", array)["elements"]
        assert [element["state"] for element in elements] == ["done"] * 8
        assert ended["began"] >= max(element["ended"] for element in elements)
        told(capsys, "jobs", "fetch", array, "--to", str(tmp_path / "eight"))
        told(capsys, "jobs", "fetch", last, "--to", str(tmp_path / "last"))
        trained = [
            json.loads(next((tmp_path / "eight" / str(seed)).rglob("metrics.json")).read_text()) for seed in range(8)
        ]
        assert json.loads(next((tmp_path / "last").rglob("metrics.json")).read_text()) == trained[0]
        assert all(other != trained[0] for other in trained[1:])
        say("8 of 8 done, each with the metrics of its own seed")
        say("the last began once all had ended, and gives what the element with its seed gave")
