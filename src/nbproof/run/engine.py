"""The Papermill engine: saves on a clock, masks secrets before every save, tells which cell has begun."""

from __future__ import annotations

import ctypes
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Protocol

import nbformat
from nbclient.exceptions import CellExecutionError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

from ..files import write_atomically
from ..notebook.secrets import mask
from .processes import PR_SET_PDEATHSIG

ENGINE = "nbproof"
SAVE_EVERY_S = 2.0
# A save may take at most this share of the time.
SAVE_SHARE = 0.05
TAIL_BYTES = 4000

CellListener = Callable[[int, int], None]

# Loaded ahead: between fork and exec nothing but a plain call is safe.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_worker() -> None:
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class NotebookLog(NotebookExecutionManager):  # type: ignore[misc]
    """The executed notebook on disk, as it grows: what Papermill promises to be the log of a run."""

    def __init__(self, nb: Any, *, output_path: str, secrets: Iterable[str], on_cell: CellListener) -> None:
        super().__init__(nb, output_path=output_path, progress_bar=False)
        self.secrets, self.on_cell = tuple(secrets), on_cell
        self.code_cells = [index for index, cell in enumerate(nb.cells) if cell.cell_type == "code"]
        self.next_save, self.is_forced = 0.0, True

    def save(self, **_: Any) -> None:
        began = time.monotonic()
        if began < self.next_save and not self.is_forced:
            return
        write_atomically(Path(self.output_path), nbformat.writes(self.nb).encode())
        ended = time.monotonic()
        self.next_save = ended + max(SAVE_EVERY_S, (ended - began) / SAVE_SHARE)
        self.is_forced = False

    def autosave_cell(self) -> None:
        # A half-printed secret cannot be recognised, so a notebook that has secrets is saved between cells only.
        if not self.secrets:
            self.save()

    def cell_start(self, cell: Any, cell_index: int, **options: Any) -> None:
        if cell_index in self.code_cells:
            self.on_cell(self.code_cells.index(cell_index) + 1, len(self.code_cells))
        super().cell_start(cell, cell_index, **options)

    def cell_exception(self, cell: Any, cell_index: int, **options: Any) -> None:
        self.is_forced = True
        super().cell_exception(cell, cell_index, **options)

    def cell_complete(self, cell: Any, cell_index: int, **options: Any) -> None:
        self._mask(cell)
        super().cell_complete(cell, cell_index, **options)

    def notebook_complete(self, **options: Any) -> None:
        for cell in self.nb.cells:
            self._mask(cell)
        # Widgets leave their state, and so whatever they show, in the notebook's metadata.
        self.nb.metadata = nbformat.from_dict(mask(dict(self.nb.metadata), self.secrets))
        self.is_forced = True
        super().notebook_complete(**options)

    def _mask(self, cell: Any) -> None:
        if self.secrets and cell.cell_type == "code":
            whole = _joined_streams(cell.outputs)
            cell.outputs = [nbformat.from_dict(mask(dict(output), self.secrets)) for output in whole]


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


class HookedClient(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, with hooks around its cells where there are any."""

    hooks: CellHooks | None = None

    def papermill_execute_cells(self) -> None:
        if self.hooks is None:
            super().papermill_execute_cells()
            return
        begin = self.hooks.before(self, self.nb)
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
    """nbclient behind Papermill, with our log and a kernel that dies with its worker."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str,
        *,
        secrets: Iterable[str],
        on_cell: CellListener,
        kernel_stderr: IO[bytes],
        checkpoints: CellHooks | None = None,
        start_timeout: int = 120,
        **_: Any,
    ) -> Any:
        log = NotebookLog(nb, output_path=output_path, secrets=secrets, on_cell=on_cell)
        log.notebook_start()
        try:
            client = HookedClient(log, timeout=None, startup_timeout=start_timeout, kernel_name=kernel_name)
            client.hooks = checkpoints
            client.execute(preexec_fn=_die_with_worker, stdout=kernel_stderr, stderr=kernel_stderr)
        finally:
            log.notebook_complete()
        return log.nb


def kernel_stderr() -> IO[bytes]:
    """A file without a name for what a kernel writes past Jupyter; it is gone with the worker."""
    return tempfile.TemporaryFile()


def tail(file: IO[bytes]) -> str:
    """The last lines of `file`, for the message about a kernel that died."""
    file.seek(0, 2)
    file.seek(max(0, file.tell() - TAIL_BYTES))
    return file.read().decode(errors="replace").strip()


papermill_engines.register(ENGINE, NotebookEngine)
