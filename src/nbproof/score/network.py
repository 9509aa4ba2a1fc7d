"""Torch modules as scorers: they answer blocks of numbers, on the processor or on a GPU."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelUnusable
from ..explain.torch_files import floats_of
from .columns import Form, Missing
from .device import Device, Transfers
from .scorer import Pending, named
from .stateless import is_stateless

# The most rows that one core answers at a time: what lies between two layers stays in its own cache.
_PIECE_ROWS = 4096


class Network:
    """A torch module on a device, asked without gradients."""

    form: Form = "matrix"
    missing: Missing = "refuse"

    def __init__(self, module: Any, features: tuple[str, ...], device: Device, *, name: str, model: str) -> None:
        import torch

        self.features = features
        self._transfers = Transfers(device)
        self._module = module.to(self._transfers.device)
        # A GPU answers whole batches, one after the other.
        self.is_stateless = not self._transfers.is_cuda and is_stateless(self._module)
        self._dtype = floats_of(self._module)
        # What a block of numbers cannot spell is rounded by torch, on its way.
        self._staged = self._dtype if self._dtype in (torch.float64, torch.float32, torch.float16) else torch.float32
        self.dtype = torch.empty(0, dtype=self._staged).numpy().dtype
        tried = self._tried(model)
        self.answer_dtype, self._shape = tried.dtype, tried.shape[1:]
        width = 1 if tried.ndim == 1 else tried.shape[1]
        self.outputs = named([str(at) for at in range(width)], name)

    def block(self, rows: int) -> NDArray[Any]:
        found: NDArray[Any] = self._transfers.block(rows, len(self.features), self._staged).numpy()
        return found

    def begin(self, rows: Any) -> Pending:
        import torch

        with torch.inference_mode():
            moved = self._transfers.to_device(torch.from_numpy(rows))
            if not self.is_stateless or len(moved) <= _PIECE_ROWS:
                return self._transfers.to_host(self._answers(moved))
            found = self._in_pieces(moved)
        return Pending(lambda: found)

    def _in_pieces(self, rows: Any) -> NDArray[Any]:
        """The answers to one piece of the rows after the other, all of about one size.

        Memory for all of them is taken first, and what belongs to a piece is let go before the next one: what stayed in
        between would leave holes in the layers' memory that the next layer does not fit.
        """
        found = np.empty((len(rows), *self._shape), self.answer_dtype)
        pieces = math.ceil(len(rows) / _PIECE_ROWS)
        for start, end in pairwise(len(rows) * at // pieces for at in range(pieces + 1)):
            answers = self._answers(rows[start:end]).numpy()
            piece = found[start:end]
            if answers.shape != piece.shape or answers.dtype != piece.dtype:
                raise ModelUnusable(
                    "the module", f"answers of the shape {answers.shape} and type {answers.dtype}",
                    f"{piece.shape} and {piece.dtype}, as it answered first",
                )  # fmt: skip
            piece[...] = answers
            del answers
        return found

    def _answers(self, rows: Any) -> Any:
        import torch

        answers = self._module(rows if rows.dtype == self._dtype else rows.to(self._dtype))
        if not isinstance(answers, torch.Tensor):
            raise ModelUnusable("the module", f"a {type(answers).__name__} as its answer", "one tensor")
        return answers.float() if answers.dtype == torch.bfloat16 else answers

    def _tried(self, model: str) -> NDArray[Any]:
        """What it answers to two rows of zeros: nothing else tells how many columns there will be, and of which type.

        Raises `ModelUnusable` where it does not take that many features.
        """
        rows = self.block(2)
        rows[:] = 0
        try:
            tried = self.begin(rows).wait()
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelUnusable(
                model, f"that it takes no rows of {len(self.features)} features ({said[0][:200]})",
                "a module that takes (rows, features)", hint="name the features in its order: --features a,b,c",
            ) from error  # fmt: skip
        if tried.ndim not in (1, 2) or tried.shape[0] != 2 or tried.dtype.kind not in "fiub":
            raise ModelUnusable(model, f"answers of the shape {tried.shape}", "a number, or several, for each row")
        return tried
