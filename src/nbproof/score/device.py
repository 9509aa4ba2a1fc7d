"""Where a model answers, as a value: the same calls move batches to a GPU, and on the processor move nothing."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import AskedWrongly
from ..extras import is_installed, require
from .scorer import Pending

Asked = Literal["auto", "cpu", "cuda"]
Kind = Literal["cpu", "cuda"]


# What glibc's malloc.h calls M_TRIM_THRESHOLD and M_MMAP_THRESHOLD; older versions take at most 32 MiB for the latter.
_TRIM, _MAP = -1, -3
_LARGE, _LARGE_BEFORE = 1 << 30, 32 << 20


def prepare_process() -> None:
    """Make a process that does nothing but score ready for it, before it imports torch.

    Threads that torch computes with sleep while they wait. By default they spin, on the very cores that rows are read
    and written with: on two cores that others used, too, the same scoring took more than twice as long. Whoever has set
    `OMP_WAIT_POLICY` knows better.

    Memory that is freed is kept for the next batch, which takes as much. By default glibc hands large pieces back to
    the system, which clears each page of them anew: a third of the processor time of a network with wide layers.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is not None:
        set_option(_TRIM, _LARGE)
        if not set_option(_MAP, _LARGE):
            set_option(_MAP, _LARGE_BEFORE)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Do not look for garbage while libraries are imported, which leaves hardly any: that is a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def on_one_core_each() -> Iterator[int]:
    """Let each thread of this process compute with torch on one core; told how many cores torch would have taken."""
    import torch

    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield cores
    finally:
        torch.set_num_threads(cores)


@dataclass(frozen=True, slots=True)
class Device:
    """The processor, or the first GPU that this process may see; `name` is for people."""

    kind: Kind
    name: str


CPU = Device("cpu", "the processor")


def choose(asked: Asked) -> Device:
    """The device that is meant; `auto` takes a GPU where torch sees one. Raises `AskedWrongly` when there is none."""
    if asked == "cpu" or (asked == "auto" and not is_installed("torch")):
        return CPU
    require("torch")
    import torch

    if torch.cuda.is_available():
        return Device("cuda", torch.cuda.get_device_name(0))
    if asked == "cuda":
        raise AskedWrongly("found no GPU that torch sees, expected one for --device cuda", hint="--device cpu")
    return CPU


class Transfers:
    """Moves batches to a device, and answers back.

    On a GPU the memory that batches are written into is pinned, so that the copies run beside the model: the next batch
    travels while the last one is being scored. On the processor each call does the same to the same kind of tensors,
    without streams.
    """

    def __init__(self, device: Device) -> None:
        import torch

        self.device = torch.device(device.kind)
        self.is_cuda = device.kind == "cuda"
        self._up = torch.cuda.Stream() if self.is_cuda else None  # type: ignore[no-untyped-call]

    def memory(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A tensor of this machine's memory that the device can read from, or write to."""
        import torch

        return torch.empty(shape, dtype=dtype, pin_memory=self.is_cuda)

    def block(self, rows: int, features: int, dtype: Any) -> Any:
        """Memory for rows on their way to the device, (rows, features).

        For a GPU it lies column by column, as Parquet does: it is filled in long strokes, and turned over there.
        """
        return self.memory((features, rows), dtype).T if self.is_cuda else self.memory((rows, features), dtype)

    def to_device(self, rows: Any) -> Any:
        """Rows on the device, row by row; on a GPU they are on their way, and who computes with them waits there."""
        import torch

        with self._copying():
            moved = rows.to(self.device, non_blocking=True).contiguous()
        if self._up is not None:
            now = torch.cuda.current_stream()
            now.wait_stream(self._up)
            moved.record_stream(now)
        return moved

    def to_host(self, answers: Any) -> Pending:
        """Answers on their way back, in memory that belongs to nobody else."""
        import torch

        host = self.memory(tuple(answers.shape), answers.dtype)
        host.copy_(answers, non_blocking=True)
        if not self.is_cuda:
            return Pending(host.numpy)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()

        def wait() -> Any:
            arrived.synchronize()
            return host.numpy()

        return Pending(wait)

    def _copying(self) -> AbstractContextManager[Any]:
        import torch

        return nullcontext() if self._up is None else torch.cuda.stream(self._up)


@contextmanager
def exact(device: Device) -> Iterator[None]:
    """Single precision is single precision: a GPU's shortcuts (TF32) are off for as long as the block runs."""
    if device.kind == "cpu":
        yield
        return
    import torch

    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
