"""A process that runs notebooks on request: `python driver.py MODE [--import A,B] [--once ORDER]`.

It stands alone, so that it has loaded what its mode needs and nothing else. Orders come as lines of JSON on standard
input, answers go as lines of JSON to standard output: how long it took, and the CPU time that this process alone used.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

Notebooks = list[tuple[str, str]]
Execute = Callable[[Notebooks], None]


def papermill_mode() -> Execute:
    import papermill

    def execute(notebooks: Notebooks) -> None:
        for source, executed in notebooks:
            papermill.execute_notebook(source, executed, progress_bar=False)

    return execute


def nbproof_mode() -> Execute:
    """Notebooks through nbproof's engine, in a process that runs already."""
    import papermill

    from nbproof.run.execute import engine

    def execute(notebooks: Notebooks) -> None:
        for source, executed in notebooks:
            with engine.kernel_stderr() as stderr:
                papermill.execute_notebook(
                    source,
                    executed,
                    engine_name=engine.ENGINE,
                    kernel_name="python3",
                    progress_bar=False,
                    kernel_stderr=stderr,
                )

    return execute


def nbproof_pipeline_mode() -> Execute:
    """The pipeline of the working directory through nbproof's own interface, in a process that runs already."""
    from pathlib import Path

    from nbproof import assemble

    def execute(_: Notebooks) -> None:
        project = assemble.open_project(Path.cwd())
        report = assemble.run(project, assemble.load_pipeline(project, Path("pipeline.yaml")))
        if report.outcome != "done":
            raise RuntimeError(f"the run ended as {report.outcome}")

    return execute


def nbclient_mode() -> Execute:
    import nbformat
    from nbclient import NotebookClient

    def execute(notebooks: Notebooks) -> None:
        for source, executed in notebooks:
            notebook = nbformat.read(source, as_version=4)
            NotebookClient(notebook).execute()
            nbformat.write(notebook, executed)

    return execute


def exec_mode() -> Execute:
    """No kernel at all: every cell in one IPython shell, one notebook after the other."""
    from IPython.core.interactiveshell import InteractiveShell

    def execute(notebooks: Notebooks) -> None:
        shell: Any = InteractiveShell.instance()
        for source, _ in notebooks:
            shell.reset(new_session=False)
            _run_cells(shell, source)

    return execute


def ideal_mode() -> Execute:
    """What cannot be left out: a fork and one start of a kernel's IPython a notebook, as many at once as cores."""
    from ipykernel.zmqshell import ZMQInteractiveShell

    def start(source: str) -> int:
        child = os.fork()
        if child:
            return child
        failed = 1
        try:
            _run_cells(ZMQInteractiveShell.instance(), source)
            failed = 0
        except BaseException:
            traceback.print_exc()
        os._exit(failed)

    def execute(notebooks: Notebooks) -> None:
        waiting, running = [source for source, _ in notebooks], set[int]()
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                running.add(start(waiting.pop(0)))
            child, status = os.wait()
            running.remove(child)
            if status:
                raise RuntimeError("a notebook failed")

    # Shared pages stay shared only as long as no collection writes to them.
    gc.collect()
    gc.freeze()
    return execute


def start_kernels(kernel: str, count: int, source: str) -> list[Any]:
    """`count` kernels, each of which has executed `source`, with their clients."""
    from jupyter_client.manager import KernelManager

    started = []
    for _ in range(count):
        manager: Any = KernelManager(kernel_name="python3")
        if kernel != "python3":
            manager.kernel_spec.metadata["kernel_provisioner"] = _warm(kernel, source)
        manager.start_kernel()
        client: Any = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=120)
        reply = client.execute_interactive(source, timeout=120, output_hook=lambda message: None)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(reply["content"])
        started.append((manager, client))
    return started


def _warm(provisioner: str, source: str) -> dict[str, Any]:
    """What lets a kernel be forked from a process that has imported what `source` imports."""
    from pathlib import Path

    from nbproof.run.warm.preload import preload

    ahead = preload([source], cwd=Path.cwd(), search=[path for path in sys.path if path])
    return {"provisioner_name": provisioner, "config": {"imports": list(ahead.modules), "is_patient": True}}


MODES = {
    "papermill": papermill_mode,
    "nbproof": nbproof_mode,
    "nbproof-pipeline": nbproof_pipeline_mode,
    "nbclient": nbclient_mode,
    "exec": exec_mode,
    "ideal": ideal_mode,
}


def _run_cells(shell: Any, source: str) -> None:
    with open(source, encoding="utf-8") as file:  # noqa: PTH123 (pathlib would be loaded for nothing else)
        cells = json.load(file)["cells"]
    for cell in cells:
        shell.run_cell(cell["source"], store_history=True).raise_error()


def _carry_out(execute: Execute, order: dict[str, Any]) -> dict[str, Any]:
    os.chdir(order["folder"])
    cpu, began = _own_cpu_s(), time.perf_counter()
    execute(order["notebooks"])
    return {"wall_s": time.perf_counter() - began, "parent_cpu_s": _own_cpu_s() - cpu}


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--import", dest="imports", default="")
    parser.add_argument("--once", type=json.loads)
    asked = parser.parse_args()
    for name in filter(None, asked.imports.split(",")):
        importlib.import_module(name)
    execute = MODES[asked.mode]()
    if asked.once:
        _carry_out(execute, asked.once)
        return
    # What a notebook prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    kernels: list[Any] = []
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "kernels" in order:
                kernels += start_kernels(order["kernel"], order["kernels"], order["source"])
                answer: dict[str, Any] = {}
            else:
                answer = _carry_out(execute, order)
        except BaseException:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)
    for manager, client in kernels:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
