"""A notebook that was written for the processor, on a GPU: the same draws, and numbers that cross between two memories.

On the processor a tensor and the array that it was made of, or that was read from it, share their memory; across a GPU
each is a copy. Whether that can have made a difference is watched: a run in which one of the two was changed while the
other could still be seen is refused. Random numbers are drawn where the notebook drew them, on the processor, and
moved, so that a seed means what it meant there.
"""

from __future__ import annotations

import sys
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..errors import GpuDiffers

_MAKING = {
    torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial,
    torch.poisson, torch.rand_like, torch.randn_like, torch.randint_like,
}  # fmt: skip
_FILLING = {
    torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.random_, torch.Tensor.bernoulli_,
    torch.Tensor.exponential_, torch.Tensor.geometric_, torch.Tensor.cauchy_, torch.Tensor.log_normal_,
}  # fmt: skip
_SHARING = {torch.as_tensor, torch.asarray}
_READING: set[Any] = {torch.Tensor.numpy, torch.Tensor.__array__}
_GOING = {torch.Tensor.cpu, torch.Tensor.to}
_SETTING = {"__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__", "__iand__", "__ior__"}
# So many pairs are kept before those are looked for of which one is gone.
_FEW = 256
_ARRAY_CHANGED = "an array was changed after a tensor had been made of it"
_TENSOR_CHANGED = "a tensor was changed that was made of an array which is still in use"
_READ_CHANGED = "a tensor was changed while an array that was read from it was in use"


@dataclass(frozen=True, slots=True)
class _Made:
    """A tensor that was made of `array`, which is held for as long, as on the processor, and its content then."""

    array: NDArray[Any]
    tensor: weakref.ref[torch.Tensor]
    storage: StorageWeakRef
    holders: int
    content: int

    @property
    def is_gone(self) -> bool:
        """Whether the tensor and all parts of it are gone."""
        return bool(self.storage.expired())  # type: ignore[no-untyped-call]

    @property
    def is_seen(self) -> bool:
        """Whether anybody but this pair can look at the array: it is a part of another, or has another name."""
        # The pair's own field, and the argument of the call that counts.
        return self.array.base is not None or sys.getrefcount(self.array) > 2


@dataclass(frozen=True, slots=True)
class _Read:
    """Host memory that was read from `tensor`, which is held for as long, and the content of both then."""

    tensor: torch.Tensor
    host: weakref.ref[Any]
    content: int


class Crossing(TorchFunctionMode):
    """Torch's functions as they are called, with what a device of its own makes different put right."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.drew_there = False
        self._made_of: dict[int, _Made] = {}
        self._read_from: dict[int, _Read] = {}
        self._found = ""
        self._number = 0
        self._own = torch.from_numpy, torch.manual_seed

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        told = dict(kwargs or {})
        self._refuse_what_was_found()
        if _changes(func, told):
            self._look_at_changed(told.get("out", args[0] if args else None))
        if func in _READING and self._is_here(args[0]):
            return self._read(func, args, told)
        if func in _GOING and self._is_here(args[0]):
            return self._gone(args[0], func(*args, **told))
        if func in _SHARING and isinstance(args[0], np.ndarray) and told.get("device") is None:
            return self._made(args[0], func(*args, **told, device=self.device))
        if "generator" in told and _is_elsewhere(told["generator"]):
            return func(*args, **told)
        if func in _MAKING and told.get("device") is None:
            return self._drawn(func, args, told)
        if _is_initial(func) and not args:
            # Torch hands these their tensor by name.
            args = (told.pop("tensor"),)
        if args and self._is_here(args[0]):
            if func in _FILLING or _is_initial(func):
                return self._filled(func, args, told)
            if func is functional.dropout:
                return self._dropped(*args, **told)
        return func(*args, **told)

    @contextmanager
    def crossed(self) -> Iterator[None]:
        """Be in force for the block; raises `GpuDiffers` where a copy should have been the same memory."""
        torch.from_numpy, torch.manual_seed = self._from_numpy, self._seed  # type: ignore[assignment]
        try:
            with self:
                yield
        finally:
            torch.from_numpy, torch.manual_seed = self._own
        self._look_at_draws()
        for number in list(self._made_of):
            self._end_made(number)
        for number in list(self._read_from):
            self._end_read(number)
        self._refuse_what_was_found()

    def _from_numpy(self, array: NDArray[Any]) -> torch.Tensor:
        with _plainly():
            tensor = self._own[0](array).to(self.device, copy=True)
        return self._made(array, tensor)

    def _made(self, array: NDArray[Any], tensor: torch.Tensor) -> torch.Tensor:
        """Watch a tensor and the array that it was made of, until the tensor and all parts of it are gone."""
        number = self._next()
        seen = weakref.ref(tensor, lambda _: self._let_go(number))
        with _plainly():
            storage = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._made_of[number] = _Made(array, seen, storage, _holders(storage), _content(array))
        return tensor

    def _let_go(self, number: int) -> None:
        """The tensor goes; where a part of it lives on, it is looked at with later ones, or at the end."""
        made = self._made_of.get(number)
        if made is not None and _holders(made.storage) <= made.holders:
            self._end_made(number)

    def _end_made(self, number: int) -> None:
        made = self._made_of.pop(number, None)
        if made is not None and _content(made.array) != made.content:
            self._found = _ARRAY_CHANGED

    def _read(self, func: Callable[..., Any], args: tuple[Any, ...], told: dict[str, Any]) -> NDArray[Any]:
        """What a tensor holds, as an array that nobody can write to, since the tensor would not know."""
        tensor: torch.Tensor = args[0]
        if tensor.requires_grad and not told.get("force"):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        with _plainly():
            found: NDArray[Any] = func(tensor.detach().to("cpu", copy=True), *args[1:], **told)
        found.setflags(write=False)
        self._watch(tensor, found)
        return found

    def _gone(self, tensor: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        """A tensor that is asked onto the processor, where it would have been itself."""
        if found.device.type == "cpu" and found is not tensor and found.dtype == tensor.dtype:
            self._watch(tensor, found)
        return found

    def _watch(self, tensor: torch.Tensor, host: Any) -> None:
        """Watch a tensor and what was read from it, until that is gone."""
        number = self._next()
        seen = weakref.ref(host, lambda _: self._end_read(number))
        with _plainly():
            self._read_from[number] = _Read(tensor.detach(), seen, _content(tensor))

    def _end_read(self, number: int) -> None:
        read = self._read_from.pop(number, None)
        if read is not None and _content(read.tensor) != read.content:
            self._found = _READ_CHANGED

    def _look_at_changed(self, value: Any) -> None:
        """Refuse to change a tensor alone that was made of an array which somebody can still look at."""
        for each in value if isinstance(value, list | tuple) else (value,):
            if not (self._made_of and self._is_here(each)):
                continue
            with _plainly():
                place = each.untyped_storage()._cdata
            for made in self._made_of.values():
                if made.storage.cdata == place and made.is_seen:
                    raise GpuDiffers(_TENSOR_CHANGED)

    def _refuse_what_was_found(self) -> None:
        if self._found:
            raise GpuDiffers(self._found)

    def _drawn(self, func: Callable[..., Any], args: tuple[Any, ...], told: dict[str, Any]) -> torch.Tensor:
        there = [each.cpu() if isinstance(each, torch.Tensor) else each for each in args]
        place = {} if any(isinstance(each, torch.Tensor) for each in args) else {"device": "cpu"}
        drawn: torch.Tensor = func(*there, **told, **place)
        return drawn.detach().to(self.device).requires_grad_(drawn.requires_grad)

    def _filled(self, func: Callable[..., Any], args: tuple[Any, ...], told: dict[str, Any]) -> torch.Tensor:
        tensor: torch.Tensor = args[0]
        drawn = tensor.detach().to("cpu", copy=True)
        func(drawn, *args[1:], **told)
        with torch.no_grad():
            tensor.copy_(drawn)
        return tensor

    def _dropped(
        self, tensor: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> torch.Tensor:
        """Dropout as the processor carries it out: noise of the tensor's own type, then one product."""
        if not training or not 0.0 < p < 1.0 or tensor.numel() == 0:
            return functional.dropout(tensor, p, training, inplace)
        noise = torch.empty_like(tensor, device="cpu", requires_grad=False).bernoulli_(1 - p).div_(1 - p)
        there = noise.to(self.device)
        return tensor.mul_(there) if inplace else tensor * there

    def _next(self) -> int:
        self._number += 1
        if self._number % _FEW == 0:
            for number in [number for number, made in self._made_of.items() if made.is_gone]:
                self._end_made(number)
        return self._number

    def _is_here(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.device.type == self.device.type

    def _seed(self, seed: int) -> torch.Generator:
        self._look_at_draws()
        return self._own[1](seed)

    def _look_at_draws(self) -> None:
        """Whether anything drew on the GPU itself: inside of a layer, where torch does not ask us."""
        if self.device.type == "cuda" and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            self.drew_there |= any(_offset(each) > 0 for each in torch.cuda.default_generators)


def _plainly() -> Any:
    """Torch's functions without us, for our own needs: a look may fall into anybody's call."""
    return torch._C.DisableTorchFunction()


def _changes(func: Callable[..., Any], told: dict[str, Any]) -> bool:
    """Whether a function writes into its first argument, as far as its name says, or into `out`."""
    name = getattr(func, "__name__", "")
    return (
        (name.endswith("_") and not name.endswith("__")) or name in _SETTING
        or told.get("out") is not None or bool(told.get("inplace"))
    )  # fmt: skip


def _is_initial(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    return getattr(func, "__module__", "") == "torch.nn.init" and name.endswith("_") and not name.startswith("_")


def _is_elsewhere(generator: Any) -> bool:
    return isinstance(generator, torch.Generator) and generator.device.type != "cpu"


def _offset(generator: torch.Generator) -> int:
    """How many numbers a generator of CUDA has given since its seed: the second word of its state."""
    return int.from_bytes(generator.get_state()[8:16].numpy().tobytes(), "little")


def _holders(storage: StorageWeakRef) -> int:
    """How many hold the memory of a tensor that is still there: itself, and its parts."""
    return int(torch._C._storage_Use_Count(storage.cdata))


def _content(values: Any) -> int:
    """A checksum of an array, or of a tensor wherever it lies."""
    with _plainly():
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
