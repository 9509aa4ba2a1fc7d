"""Jobs of jupyter-scheduler on a real JupyterLab server, run by nbproof and shown as they are."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from lab_server import Lab, jupyter_lab

pytestmark = pytest.mark.slow
RUNS = "--Scheduler.execution_manager_class=nbproof.lab.scheduled.Runs"
LONGEST_S = 180


def notebook(lab: Lab, name: str, source: str) -> str:
    """A notebook with one parameter and one more cell."""
    lab.write(name, "python3", "rows: int = 1", source)
    content = json.loads((lab.root / name).read_text())
    content["cells"][0]["metadata"]["tags"] = ["parameters"]
    (lab.root / name).write_text(json.dumps(content))
    return name


def ended(lab: Lab, name: str) -> Any:
    """Post a job for a notebook, as the form does; the job once it has ended."""
    asked = {"input_uri": name, "name": name, "parameters": {"rows": 4}, "output_formats": ["ipynb", "html"],
             "runtime_environment_name": "python3"}  # fmt: skip
    job = lab.ask("jobs", asked, below="scheduler")["job_id"]
    end = time.monotonic() + LONGEST_S
    while True:
        found = lab.ask(f"jobs/{job}", below="scheduler")
        if found["status"] in ("COMPLETED", "FAILED"):
            return found
        assert time.monotonic() < end, (found, lab.log.read_text()[-3000:])
        time.sleep(0.5)


def output(lab: Lab, job: Any) -> str:
    """The notebook that a job has left."""
    found = next(each for each in lab.ask(f"jobs/{job['job_id']}", below="scheduler")["job_files"]
                 if each["file_format"] == "ipynb")  # fmt: skip
    staged = next((lab.root.parent / "data/scheduler_staging_area" / job["job_id"]).glob("*-*.ipynb"))
    assert found["display_name"]
    return staged.read_text()


def test_a_job_is_completed_when_its_run_is_and_failed_when_it_is_not(tmp_path: Path) -> None:
    """One that multiplies is COMPLETED with its output; one that raises is FAILED with the reason, outputs kept."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root/pyproject.toml").write_text("[tool.nbproof]\ntracking = false\nwarm = false\n")
    with jupyter_lab(tmp_path, RUNS, panels=False, scheduler=True) as lab:
        good = ended(lab, notebook(lab, "good.ipynb", "print('made', rows * 2)"))
        bad = ended(lab, notebook(lab, "bad.ipynb", "print('before')\nraise ValueError('no rows')"))
        told = (output(lab, good), output(lab, bad))

    assert (good["status"], bad["status"]) == ("COMPLETED", "FAILED"), lab.log.read_text()[-3000:]
    assert "made 8" in told[0]
    assert "no rows" in bad["status_message"]
    assert "before" in told[1]
    assert len(list((lab.root / ".nbproof/runs").glob("*"))) == 2
    assert list((lab.root / ".nbproof/scheduled").iterdir()) == []
