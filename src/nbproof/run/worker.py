"""One attempt at one notebook, in a process of its own: `python -m nbproof.run.worker`.

The order comes as one line of JSON on standard input, which stays open: when it ends, the runner is gone, and this
process ends its kernel and itself. What happens is told as lines of JSON on standard output.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import shutil
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..files import write_atomically
from ..notebook.secrets import mask, masker, reveal
from ..records import LoggedEntry, OutputCaps
from .lean import skip_foreign_engines, skip_idle_imports
from .pipeline.exporters import EXPORTERS
from .processes import LEASE_VARIABLE, end_lease


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker needs to know. Paths are relative to its working directory.

    `prepared` is the notebook to run, parameters injected; `notebook` the one it was made from; `executed` where it
    goes; `staged` where each product is to be written; `rename` what of these paths is replaced by what on publication.
    `is_warm` says that the kernel may be forked from one that has imported what the notebook imports, which is looked
    up along `search`, the module search path of the kernel's interpreter; `learnt` is the file that remembers what else
    it was seen to import.
    """

    prepared: str
    notebook: str
    kernel: str
    secrets: Mapping[str, str]
    executed: str
    staged: Mapping[str, str]
    rename: tuple[str, str]
    log: str
    is_warm: bool = True
    search: tuple[str, ...] = ()
    learnt: str = ""
    caps: tuple[int, int] = (OutputCaps().cell_bytes, OutputCaps().notebook_bytes)
    checkpoints: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        found = json.loads(text)
        lists = {name: tuple(found[name]) for name in ("rename", "search", "caps")}
        return cls(**{**found, **lists})


@dataclass(slots=True)
class Worker:
    """Carries out one order and tells its runner how it went."""

    order: Order
    events: Any
    revealed: dict[str, str] = field(default_factory=dict)
    masked: Callable[[Any], Any] = lambda value: value

    def tell(self, **event: Any) -> None:
        print(json.dumps(self.masked(event)), file=self.events, flush=True)

    def work(self) -> None:
        logged: list[LoggedEntry] = []
        try:
            self.revealed = {name: reveal(reference) for name, reference in self.order.secrets.items()}
            self.masked = masker(self.revealed.values())
            failure = self._execute()
            logged, leak = self._without_leaks(self._logged())
            failure = failure or leak or self._find_leak()
            if failure is None:
                self._export()
        except Exception as error:
            failure = f"{type(error).__name__}: {error}".splitlines()[0]
            self.tell(kind="detail", text=traceback.format_exc())
        self.tell(
            kind="finished",
            outcome="failed" if failure else "done",
            reason=failure or "",
            logged=[entry.to_json() for entry in logged],
        )

    def _execute(self) -> str | None:
        """Run the notebook, from its checkpoint if there is one; return why it failed, in one line, or None."""
        try:
            if self.order.checkpoints is None:
                return self._execute_with(None)
            return self._execute_from_checkpoint(self.order.checkpoints)
        finally:
            Path(self.order.prepared).unlink(missing_ok=True)

    def _execute_from_checkpoint(self, planned: Mapping[str, Any]) -> str | None:
        from .checkpoints import in_worker as checkpoints

        wanted = checkpoints.order_from(planned)
        passed_over = self.order.prepared, self.order.executed
        try:
            return self._execute_with(checkpoints.Checkpoints(wanted, passed_over))
        except checkpoints.CheckpointUnusableError as error:
            self.tell(kind="restarted", reason=f"ran from its start: after its checkpoint {error}")
            return self._execute_with(checkpoints.from_start(wanted, passed_over, self.order.prepared))

    def _execute_with(self, hooks: Any) -> str | None:
        import papermill
        from nbclient.exceptions import DeadKernelError

        from ..errors import CheckpointFailed
        from .execute import engine

        with engine.kernel_stderr() as stderr:
            try:
                papermill.execute_notebook(
                    self.order.prepared,
                    None,
                    executed=self.order.executed,
                    engine_name=engine.ENGINE,
                    kernel_name=self.order.kernel,
                    progress_bar=False,
                    secrets=tuple(self.revealed.values()),
                    on_cell=lambda cell, cells: self.tell(kind="cell", cell=cell, cells=cells),
                    on_output=self._tell_output,
                    kernel_stderr=stderr,
                    search=self.order.search if self.order.is_warm else None,
                    learnt=Path(self.order.learnt) if self.order.learnt else None,
                    caps=OutputCaps(*self.order.caps),
                    published=engine.Published(self.order.notebook, self.order.rename),
                    checkpoints=hooks,
                )
            except CheckpointFailed as error:
                return str(error)
            except papermill.PapermillExecutionError as error:
                return f"cell {error.exec_count}: {error.ename}: {error.evalue}".strip().splitlines()[0]
            except engine.KernelDied as error:
                return str(error)
            except DeadKernelError:
                last = engine.tail(stderr).splitlines()
                return "its kernel died" + (f": {last[-1]}" if last else "")
        return None

    def _tell_output(self, cell: int, stream: str, text: str, line: str) -> None:
        self.tell(kind="output", cell=cell, stream=stream, text=text, line=line)

    def _export(self) -> None:
        """Turn the executed notebook into HTML, Markdown, … where the pipeline asks for that."""
        wanted = Path(self.order.staged["nb"])
        if wanted.suffix == ".ipynb":
            return
        from nbconvert import get_exporter

        body, _ = get_exporter(EXPORTERS[wanted.suffix])().from_filename(self.order.executed)
        write_atomically(wanted, body.encode())
        Path(self.order.executed).unlink()

    def _find_leak(self) -> str | None:
        """Name the first file that would be published although it holds the value of a secret."""
        product_of = {Path(staged): f"its product `{key}`" for key, staged in self.order.staged.items()}
        for folder in sorted({path.parent for path in product_of}):
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = self._secret_in(file)
                if name is not None:
                    top = folder / file.relative_to(folder).parts[0]
                    file.unlink()
                    what = product_of.get(top, f"its file `{file.relative_to(folder)}`")
                    return f"{what} holds the secret `{name}`; it was not published"
        return None

    def _without_leaks(self, logged: list[LoggedEntry]) -> tuple[list[LoggedEntry], str | None]:
        """The entries without artifacts that hold the value of a secret, and the name of the first of these."""
        whole, leak = [], None
        for entry in logged:
            name = None
            if entry.kind == "artifact":
                kept = entry.values.get("kept")
                name = self._secret_in(Path(kept or entry.values["path"]))
            if name is None:
                whole.append(entry)
                continue
            if kept:
                Path(kept).unlink(missing_ok=True)
            leak = leak or f"its artifact `{entry.values['name']}` holds the secret `{name}`; it was not recorded"
        return whole, leak

    def _secret_in(self, file: Path) -> str | None:
        """The name of a secret whose value `file` holds in any spelling."""
        if not self.revealed or not file.is_file():
            return None
        content = file.read_bytes().decode(errors="replace")
        return next((name for name, value in self.revealed.items() if mask(content, [value]) != content), None)

    def _logged(self) -> list[LoggedEntry]:
        """What the notebook logged about itself; a line cut short by the death of its kernel is left out."""
        path = Path(self.order.log)
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        path.unlink()
        entries = []
        for line in lines:
            with contextlib.suppress(ValueError):
                masked = mask(json.loads(line), self.revealed.values())
                entries.append(LoggedEntry.from_json(json.dumps(masked)))
        return entries


def _end_with_runner(order: Order, is_done: threading.Event) -> None:
    """Wait for the end of standard input: the runner has died, and nobody will read what we make.

    Once all is told, it ends because the runner has what it wanted, and publishes it.
    """
    while os.read(0, 4096):
        pass
    if is_done.is_set():
        return
    end_lease(os.environ[LEASE_VARIABLE])
    # What a notebook wrote and logged itself may hold a secret in the open; the executed notebook does not.
    for path in {order.log, *order.staged.values()} - {order.executed}:
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            Path(path).unlink()
    os._exit(1)


def load() -> None:
    """Import what every worker needs, and find out what every worker asks for."""
    skip_idle_imports()
    skip_foreign_engines()
    importlib.import_module("papermill")
    importlib.import_module("nbformat.v4")
    for name in ("IPython.core.inputtransformer2", "ipykernel.kernelspec", "concurrent.futures.thread", "pwd"):
        importlib.import_module(name)
    client = importlib.import_module(f"{__package__}.execute.client")
    client.know_provisioner()
    importlib.import_module(f"{__package__}.execute.engine")
    # A validator is a program that is written and compiled when it is first asked for.
    validator = importlib.import_module("nbformat.validator")
    for minor in (4, 5):
        validator.get_validator(4, minor)
    # To find out which addresses are those of this machine starts a process.
    importlib.import_module("jupyter_client.localinterfaces").localhost()


def main() -> None:
    logging.disable(logging.CRITICAL)
    # What anybody prints is no event.
    events = os.dup(1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)
    # Byte by byte, so that nothing of what follows the order is lost in a buffer.
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(1)
        line += byte
    order = Order.from_json(line.decode())
    is_done = threading.Event()
    threading.Thread(target=_end_with_runner, args=(order, is_done), daemon=True).start()
    load()
    with os.fdopen(events, "w") as file:
        Worker(order, file).work()
        is_done.set()
    # Kernels and helpers that the notebook left behind end here, not later.
    end_lease(os.environ[LEASE_VARIABLE])


if __name__ == "__main__":
    main()
