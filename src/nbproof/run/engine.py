"""The Papermill engine: saves on a clock, masks secrets before every save, tells which cell has begun."""

from __future__ import annotations

import ctypes
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import nbformat
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

from ..files import write_atomically
from ..notebook.secrets import mask
from .client import Client, know_provisioner
from .processes import PR_SET_PDEATHSIG
from .warm.preload import Preload, preload

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

    def __init__(self, nb: Any, *, output_path: str | None, secrets: Iterable[str], on_cell: CellListener) -> None:
        super().__init__(nb, output_path=output_path, progress_bar=False)
        self.secrets, self.on_cell = tuple(secrets), on_cell
        self.code_cells = [index for index, cell in enumerate(nb.cells) if cell.cell_type == "code"]
        self.next_save, self.is_forced = 0.0, True

    def save(self, **_: Any) -> None:
        began = time.monotonic()
        if self.output_path is None:
            return
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


class NotebookEngine(NBClientEngine):  # type: ignore[misc]
    """nbclient behind Papermill, with our log, a warm kernel where there may be one, and no kernel left behind.

    Papermill calls it by `engine_name="nbproof"`, too; then the kernel is warm if its interpreter is this one.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        *,
        secrets: Iterable[str] = (),
        on_cell: CellListener = lambda cell, cells: None,
        kernel_stderr: IO[bytes] | None = None,
        search: Sequence[str] | None = (),
        start_timeout: int = 120,
        execution_timeout: int | None = None,
        **_: Any,
    ) -> Any:
        """Run `nb` in a kernel called `kernel_name`.

        `search` is the module search path of its interpreter (empty: that of this process), None asks for a cold start.
        """
        log = NotebookLog(nb, output_path=output_path, secrets=secrets, on_cell=on_cell)
        log.notebook_start()
        try:
            know_provisioner()
            ahead = None if search is None else _ahead(nb, search or tuple(sys.path))
            client = Client(
                log, ahead=ahead, timeout=execution_timeout, startup_timeout=start_timeout, kernel_name=kernel_name
            )
            options = {} if kernel_stderr is None else {"stdout": kernel_stderr, "stderr": kernel_stderr}
            client.execute(preexec_fn=_die_with_worker, **options)
        finally:
            log.notebook_complete()
        return log.nb


def _ahead(nb: Any, search: Sequence[str]) -> Preload:
    sources = [cell.source for cell in nb.cells if cell.cell_type == "code"]
    return preload(sources, cwd=Path.cwd(), search=[path for path in search if path])


def kernel_stderr() -> IO[bytes]:
    """A file without a name for what a kernel writes past Jupyter; it is gone with the worker."""
    return tempfile.TemporaryFile()


def tail(file: IO[bytes]) -> str:
    """The last lines of `file`, for the message about a kernel that died."""
    file.seek(0, 2)
    file.seek(max(0, file.tell() - TAIL_BYTES))
    return file.read().decode(errors="replace").strip()


papermill_engines.register(ENGINE, NotebookEngine)
