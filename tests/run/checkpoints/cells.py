"""Cells run in forked children, each with a shell of its own: undisturbed, stored at a checkpoint, and resumed."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy

from nbproof.notebook import contract
from nbproof.notebook.document import Cell, Document
from nbproof.run.checkpoints.in_worker import kernel_source
from nbproof.run.checkpoints.plan import Checkpoint, plan_checkpoints

PARAMETERS = "upstream = None\nproduct = None\nrows: int = 3"
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Told:
    """What the cells below the checkpoint printed, or the error that ended them; else the `problem` above it."""

    printed: tuple[str, ...]
    problem: str = ""


def notebook(*cells: str, after: int) -> Document:
    """A notebook whose cell `after` (counted from 1, the parameters not counted) is tagged as a checkpoint."""
    made = [Cell("parameters", "code", PARAMETERS, ("parameters",))]
    for number, source in enumerate(cells, 1):
        made.append(Cell(f"cell-{number}", "code", source, ("checkpoint",) if number == after else ()))
    return Document(Path("long.ipynb"), tuple(made))


def plan(document: Document) -> Checkpoint:
    (found,) = plan_checkpoints(document, contract.read(document))
    return found


def undisturbed(document: Document, checkpoint: Checkpoint) -> Told:
    """Run every cell, as if nobody had heard of checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        return _in_child(document, checkpoint, Path(folder), "nothing")


def stored(document: Document, checkpoint: Checkpoint, folder: Path) -> Told:
    """Run every cell and store the checkpoint on the way."""
    return _in_child(document, checkpoint, folder, "store")


def resumed(document: Document, checkpoint: Checkpoint, folder: Path) -> Told:
    """Restore the checkpoint and run the cells below it."""
    return _in_child(document, checkpoint, folder, "restore")


def _ask(shell: Any, request: dict[str, Any], folder: Path) -> dict[str, Any]:
    answer = folder / "answer.json"
    given = json.loads(json.dumps({**request, "answer": str(answer), "project": str(folder)}))
    exec(compile(kernel_source(), "<checkpoint>", "exec", dont_inherit=True), {
        "__name__": "nbproof_checkpoint", "request": given, "shell": shell,
    })  # fmt: skip
    return json.loads(answer.read_text())


def _run(document: Document, checkpoint: Checkpoint, folder: Path, what: str) -> Told:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    home = Path(tempfile.gettempdir(), f"cells-{os.getppid()}")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    os.chdir(home)
    # A kernel begins with states of its own, so what is not restored shows.
    random.seed(what == "restore")
    numpy.random.seed(what == "restore")
    _ask(shell, {"do": "begin", "own": [str(folder)]}, folder)
    first, printed, problem = 0, [], ""
    if what == "restore":
        kept = json.loads((folder / "kept.json").read_text())
        answer = _ask(shell, {
            "do": "restore", "folder": str(folder), "replay": [asdict(one) for one in checkpoint.replay],
            **{name: kept[name] for name in ("modules", "hidden", "execution_count")},
        }, folder)  # fmt: skip
        if "error" in answer:
            return Told((), answer["error"])
        first = checkpoint.index + 1
    for index, cell in enumerate(document.cells[first:], first):
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(io.StringIO()):
            ran = shell.run_cell(cell.source, store_history=True)
        error = ran.error_before_exec or ran.error_in_exec
        if index > checkpoint.index:
            told = text.getvalue() if error is None else f"{type(error).__name__}: {error}"
            # Where an object lies in memory differs between any two runs.
            printed.append(re.sub(r"0x[0-9A-Fa-f]{8,}", "0x", told))
        if error is not None:
            problem = f"{type(error).__name__}: {error}" if index <= checkpoint.index else ""
            break
        if index == checkpoint.index and what == "store":
            answer = _ask(shell, {"do": "store", "folder": str(folder), "kinds": dict(checkpoint.kinds)}, folder)
            if "error" in answer:
                return Told((), answer["error"])
            (folder / "kept.json").write_text(json.dumps(answer))
    shutil.rmtree(home, ignore_errors=True)
    return Told(tuple(printed), problem)


def _in_child(document: Document, checkpoint: Checkpoint, folder: Path, what: str) -> Told:
    """Run cells in a forked child, so that nothing they do outlives it.

    The child is forked from a server that does nothing else: the process of the tests has threads, whose locks a fork
    would carry over for good, and must never go on twice.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["IPython.core.interactiveshell", "numpy", "pandas", __name__])
    receiver, sender = forks.Pipe(duplex=False)
    child = forks.Process(target=_tell, args=(sender, document, checkpoint, folder, what), daemon=True)
    child.start()
    sender.close()
    try:
        if not receiver.poll(PATIENCE_S):
            raise TimeoutError(f"the cells did not end within {PATIENCE_S} s")
        told: Told = receiver.recv()
        return told
    finally:
        receiver.close()
        child.kill()
        child.join()


def _tell(sender: Connection, document: Document, checkpoint: Checkpoint, folder: Path, what: str) -> None:
    try:
        told = _run(document, checkpoint, folder, what)
    except BaseException:
        told = Told((), traceback.format_exc())
    sender.send(told)


def outcomes(cells: Sequence[str], after: int) -> tuple[Told, Told, Told]:
    """The same notebook undisturbed, with its checkpoint stored, and resumed from there."""
    document = notebook(*cells, after=after)
    checkpoint = plan(document)
    folder = Path(tempfile.mkdtemp())
    try:
        whole = undisturbed(document, checkpoint)
        through = stored(document, checkpoint, folder)
        again = resumed(document, checkpoint, folder) if not through.problem else through
        return whole, through, again
    finally:
        shutil.rmtree(folder, ignore_errors=True)
