"""The warm kernelspec on a real JupyterLab server, without a browser: sessions by REST, cells by the websocket."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from lab_kernels import answers, channels, run, send, start, started
from lab_server import SPEC, USUAL, WARM, Lab, is_gone, is_warm, jupyter_lab, process_of, stop, wait_until

pytestmark = pytest.mark.slow

SPECS = pytest.mark.parametrize("spec", [USUAL, WARM])
READ_PID = "import os\nprint(os.getpid())"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server for the tests that leave it as it was."""
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


def test_the_spec_starts_what_the_usual_one_starts(lab: Lab) -> None:
    """Only its name and who starts it differ from the spec that ipykernel installs."""
    specs = lab.ask("kernelspecs")["kernelspecs"]
    usual, warm = specs[USUAL]["spec"], specs[WARM]["spec"]

    assert warm["display_name"] == "Python 3 (nbproof, warm)"
    assert warm["metadata"] == {
        **usual["metadata"], "kernel_provisioner": {"provisioner_name": WARM, "config": {}},
    }  # fmt: skip
    assert {**warm, "display_name": "", "metadata": {}} == {**usual, "display_name": "", "metadata": {}}
    assert set(specs[WARM]["resources"]) == set(specs[USUAL]["resources"])
    assert json.loads((SPEC / "kernel.json").read_text())["argv"][0] == "python"


@SPECS
def test_a_session_runs_a_cell(lab: Lab, spec: str) -> None:
    """A session started by REST answers; with the warm spec, its kernel is a fork."""
    with started(lab, spec) as kernel_id:
        pid = int(run(lab, kernel_id, READ_PID))

        assert pid == process_of(kernel_id).pid
        assert is_warm(psutil.Process(pid)) == (spec == WARM)


@SPECS
def test_interrupt_restart_and_end_by_rest(lab: Lab, spec: str) -> None:
    """A running cell is interrupted, the kernel is replaced by another, and its process ends with its session."""
    with started(lab, spec) as kernel_id:
        with channels(lab, kernel_id) as connection:
            question = send(connection, "import time\nvalue = 1\nprint('asleep')\ntime.sleep(600)")
            said = answers(connection, question)
            assert any(message["content"].get("text") == "asleep\n" for message in said)
            lab.ask(f"kernels/{kernel_id}/interrupt", {})
            assert "KeyboardInterrupt" in [message["content"].get("ename") for message in said]
        first = process_of(kernel_id)
        assert run(lab, kernel_id, "print(value)") == "1\n"
        lab.ask(f"kernels/{kernel_id}/restart", {})
        assert run(lab, kernel_id, "print(value)") == "NameError"
        second = process_of(kernel_id)

    assert first.pid != second.pid
    assert is_gone(first)
    wait_until(lambda: is_gone(second), "the kernel has ended with its session")


@SPECS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_kernel_outlives_its_server(tmp_path: Path, spec: str, number: signal.Signals) -> None:
    """Closed or killed, a server leaves no kernel behind, not even one that is busy."""
    with jupyter_lab(tmp_path) as lab:
        idle, busy = start(lab, spec, "idle.ipynb"), start(lab, spec, "busy.ipynb")
        run(lab, idle, READ_PID)
        run(lab, busy, READ_PID)
        kernels = [process_of(idle), process_of(busy)]
        with channels(lab, busy) as connection:
            send(connection, "import time\ntime.sleep(600)")
            os.kill(lab.process.pid, number)
            stop(lab, may_hang_with_kernels=False)

    for kernel in kernels:
        wait_until(lambda kernel=kernel: is_gone(kernel), f"kernel {kernel.pid} has ended")  # type: ignore[misc]
