"""What a recorded kernel writes: every cell that ran, in order, before it runs; and nothing that it should not."""

from __future__ import annotations

import ast
import hashlib
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbproof.track.capture import boot, place
from nbproof.track.journal import is_live

Start = Callable[..., Any]


def outcomes(kernel: Any) -> list[tuple[str | None, str, str | None]]:
    return [(each.cell_id, each.outcome, each.error) for each in kernel.session.executions]


def wait_for_end(kernel: Any) -> None:
    kernel.manager.provisioner.process.wait(timeout=60)


def test_every_way_a_cell_can_end(kernel: Any) -> None:
    """A value, an error, code that cannot be parsed, an await, a magic that is not there: each is one execution."""
    kernel.run("x = 1", cellId="a")
    kernel.run("1/0", cellId="b")
    kernel.run("def (", cellId="c")
    kernel.run("import asyncio\nawait asyncio.sleep(0)", cellId="d")
    kernel.run("%nosuchmagic", cellId="e")
    kernel.run("raise SystemExit(3)", cellId="f")
    kernel.run("x = 1", cellId="a")

    assert outcomes(kernel) == [
        ("a", "ok", None),
        ("b", "error", "ZeroDivisionError"),
        ("c", "error", "SyntaxError"),
        ("d", "ok", None),
        ("e", "error", "UsageError"),
        ("f", "error", "SystemExit"),
        ("a", "ok", None),
    ]
    assert [each.count for each in kernel.session.executions] == [1, 2, 3, 4, 5, 6, 7]
    assert [each.number for each in kernel.session.executions] == [1, 2, 3, 4, 5, 6, 7]


def test_with_metadata_neither_code_nor_messages_are_written(kernel: Any) -> None:
    """The hash of the code stands for it, and of an error its kind alone is told."""
    kernel.run("secret = 'hunter2'\nraise ValueError(secret)", cellId="a")

    (execution,) = kernel.session.executions
    assert execution.code_sha256 == hashlib.sha256(b"secret = 'hunter2'\nraise ValueError(secret)").hexdigest()
    assert (execution.code, execution.error) == (None, "ValueError")
    assert "hunter2" not in kernel.place.lines.read_text()


def test_in_full_the_code_and_the_message_are_written(start: Start) -> None:
    """Whoever asks for it gets what ran, half a surrogate pair included."""
    kernel = start()
    kernel.inject("full")
    kernel.run("raise ValueError('é')", cellId="a")
    kernel.run("get_ipython().run_cell('half = ' + repr(chr(0xD800)).replace(chr(92) + 'ud800', chr(0xD800)))")

    first, _, third = kernel.session.executions
    assert (first.code, first.error) == ("raise ValueError('é')", "ValueError: é")
    assert third.code == "half = '\ud800'"


def test_of_a_cell_tagged_nolog_nothing_but_that_it_ran_is_written(kernel: Any) -> None:
    """Neither which cell, nor its hash, nor how it ended, nor what it ran in its turn."""
    kernel.run("1/0", cellId="private", tags=["nolog"])
    kernel.run("get_ipython().run_cell('y = 2')", cellId="private", tags=["nolog"])

    assert [set(line) for line in kernel.lines[1:]] == [{"kind", "exec_id", "number", "at", "unlogged"}] * 3
    assert [each.outcome for each in kernel.session.executions] == ["unlogged"] * 3
    assert "private" not in kernel.place.lines.read_text()


def test_a_cell_run_by_a_cell_knows_its_parent(kernel: Any) -> None:
    """Both are written, and the inner one is no more than a part of the outer one."""
    kernel.run("get_ipython().run_cell('y = 2')", cellId="a")

    outer, inner = kernel.session.executions
    assert (outer.parent, inner.parent) == (None, outer.exec_id)
    assert inner.is_quiet


def test_silent_cells_are_none_of_ours(kernel: Any) -> None:
    """What a front end asks behind the user's back is not recorded; what it asks aloud, without history, is."""
    kernel.run("x = 1", silent=True)
    kernel.run("x = 2", store_history=False)
    kernel.run("")
    kernel.run("  \n ")

    (execution,) = kernel.session.executions
    assert execution.is_quiet


def test_a_running_cell_is_written_before_it_runs(kernel: Any) -> None:
    """Killed in the middle of a cell, the kernel has lost nothing but the end of that cell."""
    kernel.run("x = 1", cellId="a")
    kernel.client.execute("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    wait_for_end(kernel)

    session = kernel.session
    assert [each.outcome for each in session.executions] == ["ok", "lost"]
    assert (session.is_live, session.outcome) == (False, "died")


def test_a_kernel_that_ends_says_so(kernel: Any) -> None:
    """Its last line is its own word; from then on nobody holds its file."""
    kernel.run("x = 1")
    lived = kernel.session.outcome
    kernel.manager.shutdown_kernel()

    assert (lived, kernel.session.outcome) == ("running", "done")
    assert kernel.lines[-1]["kind"] == "closed"
    assert not is_live(kernel.place.lines)


def test_nothing_is_left_in_the_namespace_and_the_first_cell_is_the_first(kernel: Any) -> None:
    """The user sees nothing of the recording: no name, no number, no history."""
    said = kernel.run("print([name for name in dir() if 'nbproof' in name], len(In), Out)")

    assert said == "[] 2 {}\n"
    assert kernel.session.executions[0].count == 1


def test_sent_again_it_goes_on_with_the_same_session(kernel: Any) -> None:
    """No cell is written twice, and the level that comes with the text counts from then on."""
    kernel.run("x = 1")
    answer = kernel.inject("full")
    kernel.run("x = 2")

    assert answer == boot.KernelAnswer(kernel.place.session_id, "full", None)
    assert [each.code for each in kernel.session.executions] == [None, "x = 2"]
    assert kernel.session.level == "full"


@pytest.mark.parametrize("is_new", [True, False])
def test_cells_that_were_quicker_count(start: Start, is_new: bool) -> None:
    """That they ran is written, and no more; not so where the recording was not wanted from the beginning."""
    kernel = start()
    kernel.run("x = 1", cellId="a", tags=["nolog"])
    kernel.run("1/0", cellId="b")
    kernel.inject(is_new=is_new)
    kernel.run("x = 3", cellId="c")

    late = [(None, "lost", "it ran before the recording began")] * 2
    assert outcomes(kernel) == [*(late if is_new else []), ("c", "ok", None)]
    assert [each.count for each in kernel.session.executions] == ([1, 2, 3] if is_new else [3])
    assert kernel.session.executions[0].code_sha256 is None or not is_new


def test_the_level_changes_with_a_file_and_no_cell_of_ours(kernel: Any) -> None:
    """The kernel looks before each cell; off means that nothing is written."""
    kernel.run("x = 1")
    place.tell_kernel(kernel.place, "off", "a.ipynb")
    kernel.run("x = 2")
    place.tell_kernel(kernel.place, "full", "renamed.ipynb")
    kernel.run("x = 3")

    assert [each.code for each in kernel.session.executions] == [None, "x = 3"]
    assert [line["level"] for line in kernel.lines if line["kind"] == "level"] == ["off", "full"]


def test_a_control_file_that_cannot_be_read_changes_nothing(kernel: Any) -> None:
    """Half a file, or none of ours, is no word of the server's."""
    kernel.run("x = 1")
    kernel.place.control.write_text('{"level": "of')
    kernel.run("x = 2")
    kernel.place.control.write_text('{"level": "everything"}')
    kernel.run("x = 3")

    assert len(kernel.session.executions) == 3


def test_off_from_the_beginning_makes_no_file(start: Start) -> None:
    """Nor does a kernel in which nothing was run."""
    kernel = start()
    kernel.inject("off")
    kernel.run("x = 1")

    assert not kernel.place.lines.parent.exists()


def test_the_files_are_for_their_owner(kernel: Any) -> None:
    """What one runs is nobody else's business on a shared machine."""
    kernel.run("x = 1")

    assert stat.S_IMODE(kernel.place.lines.stat().st_mode) == 0o600
    assert stat.S_IMODE(kernel.place.lines.parent.stat().st_mode) == 0o700


def test_children_of_the_kernel_write_nothing_and_do_not_keep_it_alive(kernel: Any) -> None:
    """A forked child that outlives the kernel does not hold the kernel's lock."""
    said = kernel.run(
        "import os, time\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    get_ipython().run_cell('inner = 1')\n"
        "    time.sleep(600)\n"
        "    os._exit(0)\n"
        "print(pid)"
    )
    child = int(said)
    try:
        kernel.manager.shutdown_kernel()

        assert [each.outcome for each in kernel.session.executions] == ["ok"]
        assert not kernel.session.is_live
    finally:
        os.kill(child, signal.SIGKILL)


def test_what_cannot_be_written_is_told_once_and_the_cells_go_on(start: Start, tmp_path: Path) -> None:
    """A file where the folder should be: one line on the error stream, in the first cell."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p/.nbproof").write_text("in the way")
    kernel = start(project=tmp_path / "p")
    kernel.inject()

    first, second = kernel.run("print('one')"), kernel.run("print('two')")

    assert first.count("nbproof: executions of this notebook cannot be recorded") == 1
    assert "one\n" in first
    assert second == "two\n"


def test_what_waited_for_the_disk_is_written_once_it_can_be(start: Start, tmp_path: Path) -> None:
    """Nothing is lost by a folder that could not be written for a while."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p/.nbproof").write_text("in the way")
    kernel = start(project=tmp_path / "p")
    kernel.inject()
    kernel.run("x = 1", cellId="a")
    kernel.run("1/0", cellId="b")
    (tmp_path / "p/.nbproof").unlink()
    kernel.run("x = 3", cellId="c")

    assert outcomes(kernel) == [("a", "ok", None), ("b", "error", "ZeroDivisionError"), ("c", "ok", None)]


def test_a_full_disk_cuts_no_line_for_good(kernel: Any) -> None:
    """The system refuses in the middle of a line; once there is room, the line is written whole, on a line of its own.

    A limit on the size of files stands for the full disk.
    """
    kernel.run("x = 1", cellId="a")
    size = kernel.place.lines.stat().st_size
    kernel.run(
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 250}, resource.RLIM_INFINITY))",
        cellId="b",
    )
    kernel.run("x = 3", cellId="c")
    kernel.run("resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)", cellId="d")
    kernel.run("x = 5", cellId="e")

    assert [cell for cell, _, _ in outcomes(kernel)] == ["a", "b", "c", "d", "e"]
    assert {outcome for _, outcome, _ in outcomes(kernel)} == {"ok"}


def test_a_file_that_somebody_removes_is_begun_again(kernel: Any) -> None:
    """`git clean` under a running kernel costs what was there, and nothing that comes."""
    kernel.run("x = 1", cellId="a")
    kernel.place.lines.unlink()
    kernel.run("x = 2", cellId="b")

    assert [each.cell_id for each in kernel.session.executions] == ["b"]
    assert kernel.session.session_id == kernel.place.session_id


def interrupt(kernel: Any, code: str) -> None:
    """Run a cell that says `now`, and interrupt it then."""
    # What comes right behind a cell that failed is turned down otherwise.
    kernel.client.execute(code, stop_on_error=False)
    while kernel.client.get_iopub_msg(timeout=60)["content"].get("text") != "now\n":
        pass
    kernel.manager.interrupt_kernel()


def test_an_interrupted_cell_ends_with_its_interrupt(kernel: Any) -> None:
    """The cell is over when the user stops it, and the next one is an execution of its own."""
    interrupt(kernel, "import time\nprint('now', flush=True)\ntime.sleep(600)")
    kernel.client.get_shell_msg(timeout=60)
    kernel.run("x = 1")

    assert [(each.outcome, each.error) for each in kernel.session.executions] == [
        ("error", "KeyboardInterrupt"),
        ("ok", None),
    ]


def test_a_cell_that_awaits_is_cancelled_and_over(kernel: Any) -> None:
    """IPython gives no result for it; it has ended all the same."""
    interrupt(kernel, "import asyncio\nprint('now', flush=True)\nawait asyncio.sleep(600)")
    # The loop of the kernel may sleep on until somebody speaks to it.
    kernel.client.kernel_info()
    deadline = time.monotonic() + 60
    while kernel.session.executions[0].outcome == "running" and time.monotonic() < deadline:
        time.sleep(0.05)

    (execution,) = kernel.session.executions
    assert (execution.outcome, execution.error) == ("error", "CancelledError")


def test_a_fault_in_the_recording_reaches_no_cell(kernel: Any) -> None:
    """Whatever breaks inside, the user's cell runs, and its output is its own."""
    kernel.run("import sys\nsys.modules['_nbproof_capture'].CAPTURE.write = None")
    first, second = kernel.run("print('one')"), kernel.run("print('two')")

    assert first.endswith("one\n")
    assert second == "two\n"


def test_what_runs_in_kernels_is_python_3_8_and_needs_nothing() -> None:
    """It may meet an older Python than ours, and no package at all but IPython, which is there in any case."""
    tree = ast.parse(boot.source(), feature_version=(3, 8))
    imported = {
        name.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    } | {node.module.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}

    assert imported - set(sys.stdlib_module_names) == {"IPython", "mlflow"}


@pytest.mark.parametrize("reply", [{}, {"user_expressions": {"nbproof": {"status": "error", "ename": "KeyError"}}}])
def test_a_kernel_that_does_not_understand_is_told_of(reply: dict[str, Any]) -> None:
    """A reply without an answer is a reason, and no crash."""
    with pytest.raises(ValueError, match=r"KeyError|no answer"):
        boot.answer(reply)
