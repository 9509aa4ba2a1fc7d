"""What a run makes of the output of its notebooks: saved, told, logged; and a kernel's death is called what it is."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import papermill
import pytest

from nbproof import assemble
from nbproof.assemble import RunReport
from nbproof.notebook.secrets import MASK
from nbproof.records import CellOutput, Event
from nbproof.run.execute.engine import ENGINE
from nbproof.run.logs import folder_of, log_path

if TYPE_CHECKING:
    from conftest import Workspace

pytestmark = pytest.mark.slow

HEAD = '# %% tags=["parameters"]\nupstream = None\nproduct = None\n'
CAPS = "[tool.nbproof]\nworkers = 1\ntracking = false\ncell_output_bytes = 4000\n"


def carry_out(workspace: Workspace, *cells: str, head: str = HEAD, listeners: Any = ()) -> RunReport:
    workspace.write("says.py", "\n".join([head, *(f"# %%\n{cell}\n" for cell in cells)]))
    workspace.write("pipeline.yaml", "tasks:\n  - source: says.py\n    product: {nb: build/says/says.ipynb}\n")
    project = assemble.open_project(workspace.root)
    loaded = assemble.load_pipeline(project, workspace.root / "pipeline.yaml")
    return assemble.run(project, loaded, listeners=listeners)


def outputs_of(path: Path, cell: int) -> list[Any]:
    """What code cell `cell` put out; the cell of parameters and the injected one come first."""
    notebook = json.loads(path.read_bytes())
    code = [found for found in notebook["cells"] if found["cell_type"] == "code"]
    return [_short(output) for output in code[cell + 1]["outputs"]]


def _short(output: Any) -> Any:
    if output["output_type"] == "stream":
        return output["name"], "".join(output["text"])
    return "".join(output["data"]["text/plain"]) if "data" in output else (output["ename"], output["evalue"])


def executed(workspace: Workspace) -> Path:
    return workspace.root / "build/says/says.ipynb"


def kept(workspace: Workspace) -> Path:
    (path,) = (workspace.root / ".nbproof/failed").rglob("*.ipynb")
    return path


def log_of(workspace: Workspace, report: RunReport) -> str:
    return log_path(folder_of(workspace.root, report.run_id), "says").read_text(encoding="utf-8")


def test_the_executed_notebook_holds_what_the_cells_said(workspace: Workspace) -> None:
    """Bars in their last state, small prints joined, displays updated and cleared, a runaway cell bounded."""
    workspace.write("pyproject.toml", CAPS)

    report = carry_out(
        workspace,
        'import sys\nfor i in range(101): print(f"\\r{i} %", end="", file=sys.stderr, flush=True)',
        "for i in range(300): print(i, flush=True)",
        'handle = display("0 of 2", display_id=True)\nprint("then")',
        'handle.update("2 of 2")',
        'from IPython.display import clear_output\nprint("old")\nclear_output(wait=True)\nprint("new")',
        'for i in range(10_000): print("line", i)',
        'display({"image/png": "A" * 9000, "text/plain": "figure"}, raw=True)\n"result"',
    )

    assert report.outcome == "done"
    path = executed(workspace)
    assert outputs_of(path, 1) == [("stderr", "100 %")]
    assert outputs_of(path, 2) == [("stdout", "".join(f"{i}\n" for i in range(300)))]
    assert outputs_of(path, 3) == ["'2 of 2'", ("stdout", "then\n")]
    assert outputs_of(path, 5) == [("stdout", "new\n")]
    (_, first), note, (_, last) = outputs_of(path, 6)
    assert first.startswith("line 0\nline 1\n")
    assert last.endswith("line 9998\nline 9999\n")
    assert len(first) + len(last) <= 4000
    assert "bytes of this cell's output are left out here (cell_output_bytes=4000" in note
    image, result = outputs_of(path, 7)
    assert "bytes of this output are left out here" in image
    assert result == "'result'"
    metadata = json.loads(path.read_bytes())["metadata"]["papermill"]
    assert (metadata["input_path"], metadata["output_path"]) == ("says.py", "build/says/says.ipynb")


def test_output_is_told_while_the_cell_runs_and_kept_in_a_log(workspace: Workspace) -> None:
    """The cell ends only once the runner has heard it; the log holds the same text."""
    told: list[CellOutput] = []

    def listen(event: Event) -> None:
        if isinstance(event, CellOutput):
            told.append(event)
            (workspace.root / "heard").touch()

    report = carry_out(
        workspace,
        'import os, time\nprint("anybody there?", flush=True)\nuntil = time.monotonic() + 60\n'
        'while not os.path.exists("heard"):\n    assert time.monotonic() < until\n    time.sleep(0.05)\nprint("fine")',
        listeners=[listen],
    )

    assert report.outcome == "done"
    assert [(event.task, event.cell, event.stream, event.text) for event in told] == [
        ("says", 3, "stdout", "anybody there?\n"),
        ("says", 3, "stdout", "fine\n"),
    ]
    assert log_of(workspace, report) == "# cell 3\nanybody there?\nfine\n"


def test_a_long_cell_is_saved_while_it_runs(workspace: Workspace) -> None:
    """The clock saves even when the cell says nothing more."""
    report = carry_out(
        workspace,
        'import glob, time\nprint("mar" + "ker", flush=True)\nuntil = time.monotonic() + 90\n'
        "def saved():\n"
        '    return any("mar" + "ker" in open(path).read() for path in glob.glob("build/**/*.ipynb", recursive=True,'
        " include_hidden=True))\n"
        "while not saved():\n    assert time.monotonic() < until\n    time.sleep(0.2)",
    )

    assert report.outcome == "done", report.finished


def test_a_cell_that_fails_keeps_what_it_said(workspace: Workspace) -> None:
    """The reason, the notebook with Papermill's marks, and the log, whose name `runs show` tells."""
    report = carry_out(workspace, 'print("before")', 'print("so far")\nprint("half", end="")\nraise ValueError("no")')

    assert [task.reason for task in report.finished] == ["cell 4: ValueError: no"]
    assert outputs_of(kept(workspace), 2) == [("stdout", "so far\nhalf"), ("ValueError", "no")]
    notebook = json.loads(kept(workspace).read_bytes())
    tags = [cell["metadata"].get("tags", []) for cell in notebook["cells"]]
    assert [index for index, found in enumerate(tags) if "papermill-error-cell-tag" in found] == [0, 4]
    assert log_of(workspace, report).startswith("# cell 3\nbefore\n# cell 4\nso far\nhalf\n")
    assert "ValueError" in log_of(workspace, report)
    shown = workspace.nbproof("runs", "show").stdout
    assert f"log      .nbproof/logs/{report.run_id}/says.log" in shown


@pytest.mark.parametrize(
    ("dies", "said"),
    [
        ("os.kill(os.getpid(), 9)", "its kernel was killed (signal 9) in cell 4"),
        ("import ctypes\nctypes.string_at(0)", "its kernel crashed: segmentation fault (signal 11) in cell 4"),
        (
            'os.write(2, b"last words\\n")\nos._exit(3)',
            "its kernel ended in cell 4 with status 3: last words",
        ),
    ],
)
def test_a_dead_kernel_leaves_what_it_said_and_how_it_died(workspace: Workspace, dies: str, said: str) -> None:
    """The kept notebook holds the text of the cell so far, then the death as an error."""
    report = carry_out(
        workspace, 'print("before")', f'import os, time\nprint("so far", flush=True)\ntime.sleep(1)\n{dies}'
    )

    (task,) = report.finished
    assert task.reason.startswith(said)
    assert outputs_of(kept(workspace), 2) == [("stdout", "so far\n"), ("KernelDied", task.reason)]
    assert "so far\n" in log_of(workspace, report)
    assert task.reason in log_of(workspace, report)


def test_a_process_that_limits_its_own_memory_gets_an_ordinary_error(workspace: Workspace) -> None:
    """`RLIMIT_AS` ends in a MemoryError of the cell, not in a dead kernel."""
    report = carry_out(
        workspace, "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2 * 10**9,) * 2)\nx = bytearray(3 * 10**9)"
    )

    assert [task.reason for task in report.finished] == ["cell 3: MemoryError:"]


def test_papermill_alone_gets_the_whole_notebook(tmp_path: Path) -> None:
    """Called by its name, with nothing of a run around it, the engine writes and returns what Papermill would."""
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell('print("one")\ndisplay({"application/json": {"a": [1]}}, raw=True)'),
            nbformat.v4.new_code_cell("1 / 0"),
        ]
    )
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")

    with pytest.raises(papermill.PapermillExecutionError):
        papermill.execute_notebook(
            tmp_path / "in.ipynb", tmp_path / "out.ipynb", engine_name=ENGINE, progress_bar=False
        )

    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(executed)
    kinds = [cell.cell_type for cell in executed.cells]
    assert kinds == ["markdown", "code", "markdown", "code"]
    assert [output.output_type for output in executed.cells[1].outputs] == ["stream", "display_data"]
    assert executed.cells[1].outputs[1].data["application/json"] == {"a": [1]}
    assert executed.cells[3].outputs[0].ename == "ZeroDivisionError"


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of the machine that may use 700 MB."""
    mounted = Path("/sys/fs/cgroup")
    version_1 = (mounted / "memory/memory.limit_in_bytes").exists()
    group = (mounted / "memory" if version_1 else mounted) / f"nbproof-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(700_000_000))
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group can be made here: {error}")
    yield group
    deadline = time.monotonic() + 10
    while group.exists() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            group.rmdir()
        time.sleep(0.1)


def test_a_kernel_that_ran_out_of_memory_is_called_so(workspace: Workspace, small_group: Path) -> None:
    """A real limit, and the system's own counter says who killed it."""
    workspace.write(
        "says.py", HEAD + '# %%\nprint("so far", flush=True)\nhoard = [bytearray(b"x" * 10**7) for _ in range(300)]\n'
    )
    workspace.write("pipeline.yaml", "tasks:\n  - source: says.py\n    product: {nb: build/says/says.ipynb}\n")
    program = [Path(sys.executable).parent / "nbproof", "run", "pipeline.yaml"]

    answer = subprocess.run(
        ["sh", "-c", f'echo $$ > {small_group}/cgroup.procs && exec "$@"', "sh", *program],
        cwd=workspace.root,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert answer.returncode == 1, answer.stderr
    assert "its kernel was ended by the system for want of memory in cell 3 (peak " in answer.stderr
    assert outputs_of(kept(workspace), 1)[0] == ("stdout", "so far\n")


def test_who_follows_sees_the_text_and_no_secret(workspace: Workspace) -> None:
    """`--follow` prints what comes, masked even where a secret was printed in two pieces."""
    workspace.write(
        "says.py",
        '# %% tags=["parameters"]\nfrom nbproof.notebook.secrets import Secret\nupstream = None\nproduct = None\n'
        'token: Secret = "env:BUREAU_TOKEN"\n\n# %%\nimport time\nfrom nbproof.notebook.secrets import reveal\n\n'
        'value = reveal(token)\nprint("the token is " + value[:6], end="", flush=True)\ntime.sleep(0.5)\n'
        'print(value[6:], flush=True)\nprint("done")\n',
    )
    workspace.write("pipeline.yaml", "tasks:\n  - source: says.py\n    product: {nb: build/says/says.ipynb}\n")

    answer = workspace.nbproof("run", "--follow", env={"BUREAU_TOKEN": "zebra-quartz"})

    lines = answer.stderr.splitlines()
    assert f"the token is {MASK}" in lines
    assert "done" in lines
    logs = list((workspace.root / ".nbproof/logs").rglob("says.log"))
    assert [log.read_text(encoding="utf-8") for log in logs] == [f"# cell 3\nthe token is {MASK}\ndone\n"]
    for path in workspace.root.rglob("*"):
        assert not path.is_file() or b"zebra" not in path.read_bytes()
