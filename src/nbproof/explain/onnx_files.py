"""Models in ONNX: a graph of sums and products without code of its own, answered by ONNX Runtime on the processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelUnusable
from ..extras import require

ONNX = ".onnx"
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_HINT = "scikit-learn: to_onnx(model, X[:1], options={'zipmap': False}); torch: torch.onnx.export(...)"
# Of `onnx.proto3`: which fields of a message lead, by which messages, to a tensor.
_TENSOR = "tensor"
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
}
_EXTERNAL = (13, 14)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A loaded model. `features` are the names of its inputs where each column is one, else None; `width` their number.

    It takes rows of `dtype`; its answer is `output`.
    """

    session: Any
    features: tuple[str, ...] | None
    width: int | None
    dtype: Any
    output: str

    def ask(self, block: NDArray[Any]) -> NDArray[Any]:
        """Answers for a block (rows, columns) of `dtype`."""
        if self.features is None:
            given = {self.session.get_inputs()[0].name: np.ascontiguousarray(block)}
        else:
            columns = {each.name: len(each.shape) for each in self.session.get_inputs()}
            given = {
                name: np.ascontiguousarray(block[:, at : at + 1] if rank == 2 else block[:, at])
                for at, (name, rank) in enumerate(columns.items())
            }
        found: NDArray[Any] = self.session.run([self.output], given)[0]
        return found


def read_graph(content: bytes, model: str, *, threads: int = 0) -> Graph:
    """The model in an ONNX file, answering on so many threads (0: as many as there are processors).

    Raises `ModelUnusable` for a file that is none, that has its numbers in other files, or whose inputs and outputs are
    not rows of numbers.
    """
    require("onnxruntime")
    import onnxruntime

    # What lies beside the file was neither hashed nor approved.
    try:
        has_external = _has_external(content, "model")
    except ValueError as error:
        raise ModelUnusable(model, f"no ONNX that can be read ({error})", "an .onnx file", hint=_HINT) from None
    if has_external:
        raise ModelUnusable(model, "numbers that lie in other files", "one file with all of them", hint=_HINT)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    options.use_deterministic_compute = True
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # Its errors have nothing in common but this.
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelUnusable(model, f"no ONNX that can be read ({said[0][:200]})", "an .onnx file", hint=_HINT) from None
    return _graph(session, model)


def _graph(session: Any, model: str) -> Graph:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    kinds = {each.type for each in inputs}
    if len(kinds) != 1 or not kinds <= set(_TYPES):
        raise ModelUnusable(model, f"inputs of the types {', '.join(sorted(kinds))}", "one type of floats", hint=_HINT)
    answers = [each.name for each in outputs if each.type in _TYPES and len(each.shape or ()) in (1, 2)]
    if len(answers) != 1:
        found = ", ".join(f"{each.name}: {each.type}" for each in outputs)
        raise ModelUnusable(model, f"the outputs {found}", "one of floats, a row for each row", hint=_HINT)
    shapes = [list(each.shape) for each in inputs]
    dtype = np.dtype(_TYPES[kinds.pop()])
    if any(shape and isinstance(shape[0], int) for shape in shapes):
        raise ModelUnusable(model, f"inputs of the shape {shapes[0]}", "any number of rows", hint=_HINT)
    if len(inputs) == 1 and len(shapes[0]) == 2 and shapes[0][1] != 1:
        width = shapes[0][1] if isinstance(shapes[0][1], int) else None
        return Graph(session, None, width, dtype, answers[0])
    if any(len(shape) not in (1, 2) or shape[1:] not in ([], [1]) for shape in shapes):
        raise ModelUnusable(model, f"inputs of the shapes {shapes}", "one of rows, or one for each column", hint=_HINT)
    return Graph(session, tuple(each.name for each in inputs), len(inputs), dtype, answers[0])


def _has_external(content: bytes | memoryview, kind: str) -> bool:
    """Whether a tensor somewhere within says that its numbers are elsewhere. Raises `ValueError` for other bytes."""
    inner = _FIELDS.get(kind, {})
    for number, value in _fields(memoryview(content)):
        if kind == _TENSOR:
            if number == _EXTERNAL[0] or (number == _EXTERNAL[1] and value == 1):
                return True
        elif number in inner and isinstance(value, memoryview) and _has_external(value, inner[number]):
            return True
    return False


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a protobuf message: their numbers, with a number or the bytes of each."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(content, at)
            yield number, value
        elif kind == 2:
            length, at = _varint(content, at)
            if length > len(content) - at:
                raise ValueError("a field that is longer than the file")
            yield number, content[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            # Whoever skipped it would read on, and find what was not looked at.
            raise ValueError("a field of an unknown kind")


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number without an end")
