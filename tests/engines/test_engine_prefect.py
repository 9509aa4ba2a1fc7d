"""A pipeline exported as a flow, run by a real Prefect with a server of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Record, environment

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]
NOTEBOOK = """\
# %% tags=["parameters"]
upstream = {upstream}
product = None
is_good: bool = True

# %%
from pathlib import Path
assert is_good, "told to fail"
Path("{name}.txt").write_text("ran")
"""
PIPELINE = {"top": None, "left": ["top"], "right": ["top"], "bottom": ["left", "right"]}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A diamond of four notebooks."""
    folder = tmp_path / "diamond"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    tasks = "".join(f"  - source: {name}.py\n    product: {{nb: build/{name}.ipynb}}\n" for name in PIPELINE)
    (folder / "pipeline.yaml").write_text(f"tasks:\n{tasks}")
    for name, upstream in PIPELINE.items():
        (folder / f"{name}.py").write_text(NOTEBOOK.format(upstream=upstream, name=name))
    return folder


def own(tmp_path: Path) -> dict[str, str]:
    """What keeps a Prefect to a folder of its own, and to itself."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "DO_NOT_TRACK": "1",
    }  # fmt: skip


def run(project: Path, tmp_path: Path, *parameters: str) -> subprocess.CompletedProcess[str]:
    """Export the pipeline and run what was written, by Prefect's Python."""
    program = environment("prefect") / "python"
    export = [sys.executable, "-m", "nbproof", "pipeline", "export", "--to", "prefect", "--out", "flow.py", *parameters]
    subprocess.run(export, cwd=project, check=True, capture_output=True)
    return subprocess.run([program, "flow.py"], cwd=project, env=own(tmp_path), capture_output=True, text=True)


def test_a_pipeline_in_prefect(project: Path, tmp_path: Path, record: Record) -> None:
    """It runs in its order and is fresh the next time; a failure fails the flow, and what is below does not run."""
    with record.row("Prefect 3.8", "`pipeline export --to prefect`, a diamond of four notebooks") as say:
        first = run(project, tmp_path)
        assert first.returncode == 0, first.stderr[-3000:]
        assert sorted(path.stem for path in project.glob("*.txt")) == ["bottom", "left", "right", "top"]
        times = [(project / f"{name}.txt").stat().st_mtime_ns for name in ("top", "left", "right", "bottom")]
        assert times[0] < min(times[1:3])
        assert max(times[1:3]) < times[3]

        second = run(project, tmp_path)
        assert second.returncode == 0, second.stderr[-3000:]
        assert [(project / f"{name}.txt").stat().st_mtime_ns for name in ("top", "left", "right", "bottom")] == times, (
            second.stderr
        )
        say("4 notebooks in their order; the second flow found all of them fresh")

        failing = run(project, tmp_path, "-p", "top.is_good=false")
        assert failing.returncode != 0
        assert "told to fail" in failing.stderr + failing.stdout
        assert (project / "left.txt").stat().st_mtime_ns == times[1]
        say("a notebook that fails fails the flow, in its own words, and nothing below it runs")
