"""Models in ONNX and of Keras as scorers: they answer blocks of numbers, on the processor."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelUnusable
from .columns import Form, Missing
from .scorer import Pending, named


class Graph(Protocol):
    """A loaded model; `features` are the names of its inputs, where it has any."""

    @property
    def features(self) -> tuple[str, ...] | None: ...

    @property
    def dtype(self) -> Any: ...

    def ask(self, block: NDArray[Any]) -> NDArray[Any]: ...


class GraphScorer:
    """A graph that answers at once; missing values are refused, since a graph turns them into something."""

    form: Form = "matrix"
    missing: Missing = "refuse"
    is_stateless = False

    def __init__(self, graph: Graph, features: tuple[str, ...], *, name: str, model: str) -> None:
        if graph.features is not None and graph.features != features:
            raise ModelUnusable(model, f"the features {', '.join(graph.features)[:200]}", "those of --features")
        self.features, self.dtype = features, graph.dtype
        self._graph, self._model = graph, model
        tried = self._tried(graph)
        self.answer_dtype = tried.dtype
        width = 1 if tried.ndim == 1 else tried.shape[1]
        self.outputs = named([str(at) for at in range(width)], name)

    def block(self, rows: int) -> NDArray[Any]:
        return np.empty((rows, len(self.features)), dtype=self.dtype)

    def begin(self, rows: Any) -> Pending:
        found = self._graph.ask(rows)
        return Pending(lambda: found)

    def _tried(self, graph: Graph) -> NDArray[Any]:
        """What it answers to two rows of zeros. Raises `ModelUnusable` where it does not take that many features."""
        try:
            tried = graph.ask(np.zeros((2, len(self.features)), dtype=graph.dtype))
        except Exception as error:
            # Errors of ONNX Runtime, and of Keras, have nothing in common but this.
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelUnusable(
                self._model, f"that it takes no rows of {len(self.features)} features ({said[0][:200]})",
                "a model that takes (rows, features)", hint="name the features in its order: --features a,b,c",
            ) from error  # fmt: skip
        if tried.ndim not in (1, 2) or len(tried) != 2 or tried.dtype.kind != "f":
            raise ModelUnusable(
                self._model, f"answers of the shape {tried.shape}", "a number, or several, for each row"
            )
        return tried
