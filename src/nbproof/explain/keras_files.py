"""Files of Keras: networks of its own layers, answered with its torch backend; what brings code or files is refused.

A `.keras` file names layers and holds numbers. Keras itself refuses code in one unless it was told otherwise somewhere
in the process, so what the file names is looked at before Keras reads it.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelUnusable
from ..extras import require

KERAS = ".keras"
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_PARTS = {"metadata.json", _CONFIG, _WEIGHTS}
# What Keras calls its own modules; anything else would have to be imported from somewhere.
_TOP = {"Sequential", "Functional", "Model", "DTypePolicy"}
_MODULES = ("activations", "constraints", "dtype_policies", "initializers", "layers", "ops", "regularizers",
            "src.models.functional", "src.models.sequential", "src.ops")  # fmt: skip
_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
# Keras's own, but of another's code: functions that were written down, modules that were pickled, and files elsewhere.
_CODE = {"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__lambda__"}
_FILES = {"StringLookup", "IntegerLookup", "TextVectorization"}
_HINT = "build it of Keras's own layers; or model.export('model.onnx', format='onnx')"
_BACKEND_HINT = "before Keras is imported: os.environ['KERAS_BACKEND'] = 'torch'"


@dataclass(frozen=True, slots=True, eq=False)
class KerasNetwork:
    """A loaded model that answers on the processor. It takes rows of `dtype`, `width` columns each."""

    model: Any
    width: int
    dtype: Any
    features: tuple[str, ...] | None = None

    def ask(self, block: NDArray[Any]) -> NDArray[Any]:
        """Answers for a block (rows, columns) of `dtype`."""
        import keras
        import torch

        with keras.device("cpu"), torch.inference_mode():
            found = self.model(torch.from_numpy(np.ascontiguousarray(block)), training=False)
            answer: NDArray[Any] = (found.float() if found.dtype == torch.bfloat16 else found).numpy()
            return answer


def read_network(content: bytes, model: str) -> KerasNetwork:
    """The model in a file of Keras, on the processor. Raises `ModelUnusable` as `read_keras` does."""
    _backend(model)
    import keras

    with keras.device("cpu"):
        found = read_keras(content, model)
    return KerasNetwork(found, width_of(found, model), np.dtype(keras.backend.standardize_dtype(found.inputs[0].dtype)))


def read_keras(content: bytes, model: str) -> Any:
    """The Keras model in a file, ready to answer and not to be trained on.

    Raises `ModelUnusable` for a file that is none, that names anything but layers of Keras itself, or has numbers
    elsewhere.
    """
    _backend(model)
    import keras

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            more = sorted(set(archive.namelist()) - _PARTS)
            config, weights = json.loads(archive.read(_CONFIG)), archive.read(_WEIGHTS)
        if more:
            raise ModelUnusable(model, f"`{more[0]}` in it", "layers and numbers alone", hint=_HINT)
        # How it was trained is not needed, and may name what is.
        config.pop("compile_config", None)
        _check_named(config, model)
        _check_numbers(weights, model)
        # Keras knows its files by their names; this one is nobody else's.
        with tempfile.TemporaryDirectory(prefix="nbproof-keras-") as folder, warnings.catch_warnings():
            # Keras asks numpy for something that is to be deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            (Path(folder) / f"model{KERAS}").write_bytes(content)
            found = keras.saving.load_model(Path(folder) / f"model{KERAS}", compile=False, safe_mode=True)
    except ModelUnusable:
        raise
    except Exception as error:
        # Errors of Keras, of HDF5 and of zipfile have nothing in common but this.
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelUnusable(model, f"no Keras model that can be read ({said})", f"a {KERAS} file", hint=_HINT) from None
    width_of(found, model)
    return found.eval()


def is_keras(model: Any) -> bool:
    """Whether it is a network of Keras's layers, with its torch backend; nothing is imported to see it.

    A class of somebody's own tells neither what it takes nor what it is made of, and is a module like any other.
    """
    made = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    return {"keras", "torch"} <= made and bool(getattr(model, "inputs", None))


def width_of(model: Any, name: str) -> int:
    """How many numbers a row has. Raises `ModelUnusable` for a network that takes anything but rows of numbers."""
    inputs: list[Any] = list(getattr(model, "inputs", None) or [])
    outputs: list[Any] = list(getattr(model, "outputs", None) or [])
    shapes: list[tuple[int | None, ...]] = [tuple(each.shape) for each in inputs]
    width = shapes[0][1] if len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][0] is None else None
    if width is None:
        told = ", ".join(map(str, shapes)) or "not known yet"
        raise ModelUnusable(name, f"inputs of the shapes {told}", "one of rows: keras.Input((FEATURES,))", hint=_HINT)
    if len(outputs) != 1 or len(outputs[0].shape) not in (1, 2):
        told = ", ".join(str(tuple(each.shape)) for each in outputs)
        raise ModelUnusable(name, f"outputs of the shapes {told}", "one, a row for each row", hint=_HINT)
    return width


def is_chance(model: Any) -> bool:
    """Whether the last layer makes probabilities of its numbers."""
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    return type(last).__name__ == "Softmax" or getattr(activation, "__name__", "") in ("sigmoid", "softmax")


def state_of(model: Any) -> bytes:
    """Layers and numbers of a model in one spelling, whether it was just trained, or read from its file."""
    import torch

    held = io.BytesIO(json.dumps(model.get_config(), sort_keys=True, default=str).encode())
    held.seek(0, io.SEEK_END)
    # Keras calls them otherwise once they were read; their order is that of the layers.
    for weight in model.weights:
        array = weight.value.detach().cpu()
        held.write(f"\n{array.dtype} {tuple(array.shape)}\n".encode())
        held.write(array.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return held.getvalue()


def _backend(model: str) -> None:
    """Import Keras with the backend that we have, where nobody has imported it yet."""
    require("keras")
    require("torch")
    before = os.environ.get("KERAS_BACKEND")
    try:
        if "keras" not in sys.modules:
            os.environ["KERAS_BACKEND"] = "torch"
        import keras
    except ImportError as error:
        raise ModelUnusable(model, f"a Keras that cannot be imported ({error})", "one with the backend torch",
                            hint=_BACKEND_HINT) from None  # fmt: skip
    finally:
        if before is None:
            os.environ.pop("KERAS_BACKEND", None)
        else:
            os.environ["KERAS_BACKEND"] = before
    if keras.backend.backend() != "torch":
        raise ModelUnusable(model, f"Keras with the backend {keras.backend.backend()}", "torch", hint=_BACKEND_HINT)


def _check_named(config: Any, model: str) -> None:
    """Raise `ModelUnusable` for the first class or function that is not among Keras's own."""
    for told in _dicts(config):
        if "class_name" not in told:
            continue
        name, module = str(told["class_name"]), str(told.get("module") or "")
        registered = told.get("registered_name")
        if name in _CODE:
            raise ModelUnusable(model, f"`{name}`, which carries code", "layers of Keras itself", hint=_HINT)
        if name in _FILES:
            raise ModelUnusable(model, f"`{name}`, which reads text by a list of words", "numbers", hint=_HINT)
        # Keras finds a function by its name, among its own alone.
        called = str(told.get("config")) if name == "function" else name
        is_function = name == "function" and module == "builtins"
        if name in _VALUES or is_function or (_is_own(module, name) and registered in (None, called)):
            continue
        said = str(registered) if registered and registered != called else ".".join(filter(None, (module, called)))
        raise ModelUnusable(model, f"`{said}`, which is none of Keras", "layers of Keras itself", hint=_HINT)


def _is_own(module: str, name: str) -> bool:
    if module == "keras":
        return name in _TOP
    inner = module.removeprefix("keras.")
    return module != inner and any(inner == each or inner.startswith(f"{each}.") for each in _MODULES)


def _dicts(found: Any) -> Iterator[Mapping[str, Any]]:
    """Every object within JSON."""
    if isinstance(found, dict):
        yield found
    for each in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        yield from _dicts(each)


def _check_numbers(weights: bytes, model: str) -> None:
    """Raise `ModelUnusable` where HDF5 would read other files, which nobody hashed and approved."""
    import h5py

    def walk(group: Any) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelUnusable(model, f"a link in place of the numbers `{name}`", "the numbers", hint=_HINT)
            held = group[name]
            if isinstance(held, h5py.Group):
                walk(held)
            elif held.external or held.is_virtual:
                raise ModelUnusable(model, "numbers that lie in other files", "one file with all of them", hint=_HINT)

    with h5py.File(io.BytesIO(weights), "r") as file:
        walk(file)
