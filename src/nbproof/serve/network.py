"""Models of torch, Keras and ONNX as a service asks them: numbers in, the probability of the positive class out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelRefused, ModelUnusable
from ..explain.keras_files import KERAS, read_network
from ..explain.onnx_files import ONNX, read_graph
from ..explain.steadiness import apart
from ..explain.torch_files import EXPORTED, SAFETENSORS, filled, floats_of, program, weights
from .rows import RowsRefused

TORCH = (EXPORTED, SAFETENSORS)
SUFFIXES = (*TORCH, KERAS, ONNX)
# What the file with the code of a module defines: a function, or a class, that makes the module.
MAKES = "make"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A function of a block of `dtype`, asked like a classifier of two classes that takes bare numbers."""

    ask: Callable[[NDArray[Any]], NDArray[Any]]
    dtype: Any
    features: tuple[str, ...] | None = None
    classes_: tuple[int, int] = (0, 1)

    def predict_proba(self, block: Floats) -> Floats:
        """Probabilities (rows, 2). Raises `RowsRefused` for a number that its type cannot hold."""
        with np.errstate(over="ignore"):
            given = block.astype(self.dtype)
        if np.isinf(given).any():
            raise RowsRefused(422, [("body.rows", f"a number too large for {self.dtype}, as which the model takes it")])
        found = np.asarray(self.ask(given), dtype=np.float64)
        if found.shape == (len(block), 2):
            return found
        if found.shape not in ((len(block),), (len(block), 1)):
            raise ValueError(f"answers of the shape {found.shape} for {len(block)} rows")
        score = found.reshape(len(block))
        return np.column_stack((1 - score, score))


def load_network(content: bytes, suffix: str, code: bytes | None, *, where: Path) -> Network:
    """The model in a file of torch, Keras or ONNX, of bytes that were read; `code` makes the module of weights.

    Raises `ModelRefused`. An exported program and `code` are carried out: whoever calls has an approval of both.
    """
    if suffix in TORCH:
        return _of_torch(torch_module(content, suffix, code, where=where))
    try:
        graph = read_graph(content, str(where), threads=1) if suffix == ONNX else read_network(content, str(where))
    except ModelUnusable as error:
        raise ModelRefused(where, error.found, error.expected) from error
    return Network(graph.ask, graph.dtype, graph.features)


def torch_module(content: bytes, suffix: str, code: bytes | None, *, where: Path) -> Any:
    """The module in a file of torch, as `load_network` loads it."""
    try:
        if suffix != SAFETENSORS:
            return program(content, str(where), suffix=suffix)
        if code is None:
            raise ModelRefused(where, "weights, which do not tell what to compute",
                               f"a further file `module` whose `{MAKES}()` makes their module")  # fmt: skip
        return filled(_made_by(code, where), weights(content, str(where), suffix=suffix), str(where))
    except ModelUnusable as error:
        raise ModelRefused(where, error.found, error.expected) from error


def refuse_odd(network: Network, names: tuple[str, ...], rows: Floats, *, where: Path) -> None:
    """Raise `ModelRefused` unless it answers these rows with probabilities, each whatever stands beside it."""
    if network.features is not None and network.features != names:
        raise ModelRefused(where, "a signature with other fields than the model", ", ".join(network.features))
    try:
        whole = network.predict_proba(rows)
        pieces = np.concatenate([network.predict_proba(rows[:85]), network.predict_proba(rows[85:])])
    except RowsRefused as error:
        raise ModelRefused(where, f"a signature that admits {error.problems[0][1]}", "a maximum and a minimum for each "
                           "field") from None  # fmt: skip
    except Exception as error:
        # Whatever a network raises about rows that its signature admits.
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelRefused(where, f"a signature that admits rows which it cannot answer: {said}",
                           "one that admits only what it can") from error  # fmt: skip
    if not ((whole >= 0) & (whole <= 1)).all() or np.abs(whole.sum(1) - 1).max() > 1e-5:
        raise ModelRefused(where, "answers that are no probabilities", "a last step that makes them such (a sigmoid), "
                           "and no field that may be null")  # fmt: skip
    differs = apart(whole.astype(np.float32), pieces.astype(np.float32))
    if differs:
        raise ModelRefused(where, f"answers that differ by {differs:.3g} when the same rows come in two batches",
                           "each row scored by itself: module.eval() before it is saved")  # fmt: skip


def _of_torch(module: Any) -> Network:
    import torch

    kind = floats_of(module)
    # What numpy cannot spell torch rounds to, on its way.
    dtype = torch.empty(0, dtype=kind if kind in (torch.float64, torch.float32, torch.float16) else torch.float32)

    def ask(block: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            found = module(torch.from_numpy(block).to(kind))
            answer: NDArray[Any] = (found.float() if found.dtype == torch.bfloat16 else found).numpy()
            return answer

    return Network(ask, dtype.numpy().dtype)


def _made_by(code: bytes, where: Path) -> Callable[[], Any]:
    """What the code of a package defines as `make`. It runs as a module of its own, which nothing else imports."""
    module = ModuleType("nbproof_served_module")
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, str(where / "module.py"), "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # these very bytes are approved
    except Exception as error:
        raise ModelRefused(
            where, f"a module that cannot be made: {type(error).__name__}: {error}", "one that can"
        ) from error
    make = module.__dict__.get(MAKES)
    if not callable(make):
        raise ModelRefused(where, f"no `{MAKES}` in the code of its module", "a function or a class that makes it")
    made: Callable[[], Any] = make
    return made
