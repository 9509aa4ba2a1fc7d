"""The Papermill engine: saves on a clock, masks secrets before every save, tells what happens as it happens."""

from __future__ import annotations

import ctypes
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

from ...files import write_atomically
from ...notebook.code import INJECTED
from ...notebook.secrets import masker
from ...records import OutputCaps
from ..lean import read_dates_quickly
from ..warm.learning import recall, remember
from ..warm.preload import Preload, preload
from .client import Client, know_provisioner
from .death import own_words
from .hearing import KernelDied
from .listening import Secrets
from .writing import cell_bytes, notebook_bytes

__all__ = ["ENGINE", "KernelDied", "NotebookEngine", "NotebookLog", "Published", "kernel_stderr", "tail"]

ENGINE = "nbproof"
SAVE_EVERY_S = 2.0
# A save may take at most this share of the time.
SAVE_SHARE = 0.05
TAIL_BYTES = 4000
PR_SET_PDEATHSIG = 1

CellListener = Callable[[int, int], None]
# The number of the cell, the stream, whole lines, and the line that has not ended yet.
OutputListener = Callable[[int, str, str, str], None]

# Loaded ahead: between fork and exec nothing but a plain call is safe.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_worker() -> None:
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class NotebookLog(NotebookExecutionManager):  # type: ignore[misc]
    """The executed notebook on disk, as it grows: what Papermill promises to be the log of a run.

    A cell is written out as text once it has changed, and not again with every save.
    """

    def __init__(
        self,
        nb: Any,
        *,
        output_path: str | None,
        secrets: Iterable[str] = (),
        on_cell: CellListener = lambda cell, cells: None,
        is_last_word: bool = True,
        published: Published | None = None,
    ) -> None:
        super().__init__(nb, output_path=output_path, progress_bar=False)
        self.secrets, self.on_cell = tuple(secrets), on_cell
        # Whether nobody writes the notebook after us: then it is we who mark an error and name what is published.
        self.is_last_word, self.published = is_last_word, published
        self.mask = masker(self.secrets)
        self.code_cells = [index for index, cell in enumerate(nb.cells) if cell.cell_type == "code"]
        self.next_save, self.is_forced = 0.0, True
        # Set while a cell runs: lets the cell say what its streams have said so far.
        self.settle: Callable[[], None] = lambda: None
        self._running: int | None = None
        self._written: list[bytes | None] = [None] * len(nb.cells)
        if output_path is not None:
            nb.metadata.papermill["output_path"] = output_path

    def number_of(self, cell_index: int) -> int:
        """Which code cell this is, counted from 1."""
        return self.code_cells.index(cell_index) + 1

    def touch(self, cell_index: int) -> None:
        """Note that a cell has changed since it was written out."""
        self._written[cell_index] = None

    def save(self, **_: Any) -> None:
        began = time.monotonic()
        if self.output_path is None:
            return
        if began < self.next_save and not self.is_forced:
            return
        write_atomically(Path(self.output_path), self.content())
        ended = time.monotonic()
        self.next_save = ended + max(SAVE_EVERY_S, (ended - began) / SAVE_SHARE)
        self.is_forced = False

    def content(self) -> bytes:
        """The notebook as it stands now, as the bytes of its file."""
        if self._running is not None:
            self.settle()
            self.touch(self._running)
        written = [known or cell_bytes(cell) for known, cell in zip(self._written, self.nb.cells, strict=True)]
        self._written = [*written]
        return notebook_bytes(self.nb, written)

    def autosave_cell(self) -> None:
        # A half-printed secret cannot be recognised, so a notebook that has secrets is saved between cells only.
        if not self.secrets:
            self.save()

    def notebook_start(self, **options: Any) -> None:
        self._written = [None] * len(self.nb.cells)
        super().notebook_start(**options)

    def cell_start(self, cell: Any, cell_index: int, **options: Any) -> None:
        if cell_index in self.code_cells:
            self.on_cell(self.number_of(cell_index), len(self.code_cells))
        self._running = cell_index
        super().cell_start(cell, cell_index, **options)

    def cell_exception(self, cell: Any, cell_index: int, **options: Any) -> None:
        self.is_forced = True
        super().cell_exception(cell, cell_index, **options)

    def cell_complete(self, cell: Any, cell_index: int, **options: Any) -> None:
        self._mask(cell)
        super().cell_complete(cell, cell_index, **options)
        self.touch(cell_index)
        self._running = None

    def notebook_complete(self, **options: Any) -> None:
        if self.secrets:
            for index, cell in enumerate(self.nb.cells):
                self._mask(cell)
                self.touch(index)
            # Widgets leave their state, and so whatever they show, in the notebook's metadata.
            self.nb.metadata = nbformat.from_dict(self.mask(dict(self.nb.metadata)))
        if self.is_last_word:
            self._say_last()
        self.is_forced = True
        super().notebook_complete(**options)

    def _say_last(self) -> None:
        failed = self.first_error()
        if failed is not None:
            self._mark(failed)
        elif self.published is not None:
            self._name(self.published)

    def first_error(self) -> int | None:
        """The index of the first cell that failed: an error among its outputs, or an error that left none."""
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type != "code":
                continue
            errors = [output for output in cell.outputs if output.output_type == "error"]
            if any(not _is_plain_exit(output) for output in errors):
                return index
            if not errors and cell.metadata.papermill["exception"] is True:
                return index
        return None

    def outcome(self) -> Any:
        """A notebook that tells Papermill how it went and no more: Papermill writes it out again, whatever it holds."""
        told = NotebookNode({**self.nb, "cells": []})
        if self.first_error() is not None:
            told.cells = [NotebookNode({**cell, **_errors_only(cell)}) for cell in self.nb.cells]
        return told

    def _mask(self, cell: Any) -> None:
        if self.secrets and cell.cell_type == "code":
            whole = _joined_streams(cell.outputs)
            cell.outputs = [nbformat.from_dict(self.mask(dict(output))) for output in whole]

    def _mark(self, failed: int) -> None:
        """Point at the cell that failed, as Papermill does."""
        # Papermill imports this module, as an engine, before it has those.
        from papermill.execute import ERROR_ANCHOR_MSG, ERROR_MARKER_TAG, ERROR_MESSAGE_TEMPLATE

        message = ERROR_MESSAGE_TEMPLATE % str(self.nb.cells[failed].execution_count)
        for place, text in ((failed, ERROR_ANCHOR_MSG), (0, message)):
            marker = nbformat.v4.new_markdown_cell(text, metadata={"tags": [ERROR_MARKER_TAG]})
            marker.metadata.papermill = {"exception": None, "status": self.COMPLETED}
            self.nb.cells.insert(place, marker)
            self._written.insert(place, None)

    def _name(self, published: Published) -> None:
        """Let the notebook name the products as they will be called, not where they were staged."""
        staged, final = published.rename
        for index, cell in enumerate(self.nb.cells):
            if INJECTED in cell.metadata.get("tags", []):
                cell.source = cell.source.replace(staged, final)
                self.touch(index)
        self.nb.metadata.papermill["input_path"] = published.notebook
        self.nb.metadata.papermill["output_path"] = str(self.output_path).replace(staged, final)


@dataclass(frozen=True, slots=True)
class Published:
    """What the executed notebook says of itself once it is published: where it came from, and its products' names.

    `rename` is what of a staged path is replaced by what.
    """

    notebook: str
    rename: tuple[str, str]


def _is_plain_exit(output: Any) -> bool:
    return output.ename == "SystemExit" and output.evalue in ("", "0")


def _errors_only(cell: Any) -> dict[str, Any]:
    if cell.cell_type != "code":
        return {}
    return {"outputs": [output for output in cell.outputs if output.output_type == "error"]}


def _joined_streams(outputs: Iterable[Any]) -> list[Any]:
    """One output a stream: a secret that was printed in two halves can be recognised only as a whole."""
    joined: list[Any] = []
    streams: dict[str, Any] = {}
    for output in outputs:
        if output.output_type != "stream":
            joined.append(output)
        elif output.name in streams:
            streams[output.name].text += output.text
        else:
            streams[output.name] = output
            joined.append(output)
    return joined


class CellHooks(Protocol):
    """What is done around cells, in the kernel that runs them."""

    def before(self, client: Any, nb: Any) -> int:
        """Make the kernel ready; return how many cells at the beginning need not run."""

    def after_cell(self, client: Any, index: int) -> None:
        """Called when a cell has run without an error."""


class HookedClient(Client):
    """Our client, with hooks around its cells where there are any."""

    hooks: CellHooks | None = None

    def papermill_execute_cells(self) -> None:
        if self.hooks is None:
            super().papermill_execute_cells()
            return
        begin = self.hooks.before(self, self.nb)
        for index in range(begin):
            self.nb_man.touch(index)
        for index, cell in enumerate(self.nb.cells[begin:], begin):
            try:
                self.nb_man.cell_start(cell, index)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                break
            finally:
                self.nb_man.cell_complete(cell, cell_index=index)
            self.hooks.after_cell(self, index)


class NotebookEngine(NBClientEngine):  # type: ignore[misc]
    """nbclient behind Papermill, with our log and our listening, a kernel that is warm where it may be, and never left.

    Papermill calls it by `engine_name="nbproof"`, too; then the kernel is warm if its interpreter is this one.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        *,
        executed: str | None = None,
        secrets: Iterable[str] = (),
        on_cell: CellListener = lambda cell, cells: None,
        on_output: OutputListener = lambda cell, stream, text, line: None,
        kernel_stderr: IO[bytes] | None = None,
        caps: OutputCaps = OutputCaps(),  # noqa: B008 (frozen)
        published: Published | None = None,
        search: Sequence[str] | None = (),
        learnt: Path | None = None,
        checkpoints: CellHooks | None = None,
        start_timeout: int = 120,
        execution_timeout: int | None = None,
        **_: Any,
    ) -> Any:
        """Run `nb` in a kernel called `kernel_name` and save it as `executed`, or as Papermill's own `output_path`.

        With `executed` nothing is left for Papermill to write, and what it gets back says only how it went. `search` is
        the module search path of the kernel's interpreter (empty: that of this process); None asks for a cold start.
        `learnt` is the file that remembers what the notebook was seen to import.
        """
        read_dates_quickly()
        secrets = tuple(secrets)
        log = NotebookLog(
            nb,
            output_path=executed or output_path,
            is_last_word=executed is not None,
            secrets=secrets,
            on_cell=on_cell,
            published=published,
        )
        log.notebook_start()
        try:
            know_provisioner()
            client = HookedClient(
                log,
                ahead=None if search is None else _ahead(nb, search or tuple(sys.path), learnt),
                secrets=Secrets.of(secrets),
                caps=caps,
                tell=on_output,
                last_words=lambda: tail(kernel_stderr) if kernel_stderr else "",
                timeout=execution_timeout,
                startup_timeout=start_timeout,
                kernel_name=kernel_name,
            )
            client.hooks = checkpoints
            options = {} if kernel_stderr is None else {"stdout": kernel_stderr, "stderr": kernel_stderr}
            client.execute(preexec_fn=_die_with_worker, **options)
            if learnt is not None:
                remember(learnt, _sources(nb), client.brought)
        finally:
            log.notebook_complete()
        return log.nb if executed is None else log.outcome()


def _ahead(nb: Any, search: Sequence[str], learnt: Path | None) -> Preload:
    sources = _sources(nb)
    seen = recall(learnt, sources) if learnt is not None else ()
    return preload(sources, cwd=Path.cwd(), search=[path for path in search if path], learnt=seen)


def _sources(nb: Any) -> list[str]:
    """The code of a notebook, but for what was injected: the values of parameters import nothing."""
    return [
        cell.source
        for cell in nb.cells
        if cell.cell_type == "code" and INJECTED not in cell.metadata.get("tags", [])
    ]  # fmt: skip


def kernel_stderr() -> IO[bytes]:
    """A file without a name for what a kernel writes past Jupyter; it is gone with the worker."""
    return tempfile.TemporaryFile()


def tail(file: IO[bytes]) -> str:
    """The last lines of `file`, for the message about a kernel that died."""
    file.seek(0, 2)
    file.seek(max(0, file.tell() - TAIL_BYTES))
    return own_words(file.read().decode(errors="replace")).strip()


papermill_engines.register(ENGINE, NotebookEngine)
