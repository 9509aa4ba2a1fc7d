"""Torch modules as scorers: programs that were saved whole, or weights put into a module that a package makes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelUnusable
from ..extras import require
from .columns import Form, Missing
from .device import Device, Transfers
from .scorer import Pending, named

# How safetensors spells types, and torch.
_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_LONGEST_HEAD = 100_000_000


class Network:
    """A torch module on a device, asked without gradients."""

    form: Form = "matrix"
    missing: Missing = "refuse"

    def __init__(self, module: Any, features: tuple[str, ...], device: Device, *, name: str, model: str) -> None:
        import torch

        self.features = features
        self._transfers = Transfers(device)
        self._module = module.to(self._transfers.device)
        floats = [each.dtype for each in self._module.parameters() if each.is_floating_point()]
        self._dtype = floats[0] if floats else torch.float32
        # What a block of numbers cannot spell is rounded by torch, on its way.
        self._staged = self._dtype if self._dtype in (torch.float64, torch.float32, torch.float16) else torch.float32
        self.dtype = torch.empty(0, dtype=self._staged).numpy().dtype
        tried = self._tried(model)
        self.answer_dtype = tried.dtype
        width = 1 if tried.ndim == 1 else tried.shape[1]
        self.outputs = named([str(at) for at in range(width)], name)

    def block(self, rows: int) -> NDArray[Any]:
        found: NDArray[Any] = self._transfers.memory((rows, len(self.features)), self._staged).numpy()
        return found

    def begin(self, rows: Any) -> Pending:
        import torch

        with torch.inference_mode():
            moved = self._transfers.to_device(torch.from_numpy(rows))
            answers = self._module(moved if moved.dtype == self._dtype else moved.to(self._dtype))
            if not isinstance(answers, torch.Tensor):
                raise ModelUnusable("the module", f"a {type(answers).__name__} as its answer", "one tensor")
            wide = answers.float() if answers.dtype == torch.bfloat16 else answers
            return self._transfers.to_host(wide)

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


def is_weights(file: Path) -> bool:
    """Whether a file of torch holds tensors by name; only its parts' names are read."""
    if file.suffix.lower() == ".safetensors":
        return True
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return any(name.endswith("/data.pkl") for name in names) and not any("/code/" in name for name in names)


def weights(file: Path, model: str) -> Mapping[str, Any]:
    """Tensors by name, of safetensors or of `torch.save(module.state_dict())`; no code is run to read them.

    Raises `ModelUnusable` for a file that holds anything else.
    """
    require("torch")
    import pickle

    import torch

    try:
        found = _safetensors(file) if file.suffix.lower() == ".safetensors" else torch.load(file, weights_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelUnusable(model, f"no weights that can be read ({said[0][:200]})",
                            "safetensors, or torch.save(module.state_dict(), FILE)") from error  # fmt: skip
    if not isinstance(found, dict) or not all(isinstance(each, torch.Tensor) for each in found.values()):
        raise ModelUnusable(model, f"a {type(found).__name__}", "tensors by name, as module.state_dict() gives them")
    return found


def filled(make: Callable[[], Any], held: Mapping[str, Any], model: str) -> Any:
    """The module that `make` returns, with these weights in it, ready to answer. Raises `ModelUnusable`."""
    require("torch")
    import torch

    module = make()
    if not isinstance(module, torch.nn.Module):
        raise ModelUnusable(model, f"a {type(module).__name__} as its module", "a torch.nn.Module")
    try:
        kinds = {each.dtype for each in held.values() if each.is_floating_point()}
        # A module is made in single precision unless told otherwise; the weights say what it was trained in.
        module = module.to(kinds.pop()) if len(kinds) == 1 else module
        module.load_state_dict(dict(held))
    except RuntimeError as error:
        said = " ".join(str(error).split())[:300]
        raise ModelUnusable(model, f"weights of another module ({said})", "those of the one that was named") from None
    return module.eval()


def program(file: Path, model: str) -> Any:
    """A module that was saved whole: an exported program, TorchScript, or a pickle. Reading one can run any code."""
    require("torch")
    import torch

    try:
        if file.suffix.lower() == ".pt2":
            return torch.export.load(str(file)).module()
        if _is_script(file):
            import warnings

            with warnings.catch_warnings():
                # Torch would rather have another format; what was approved is this file.
                warnings.simplefilter("ignore", DeprecationWarning)
                return torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        module = torch.load(file, map_location="cpu", weights_only=False)
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, AttributeError, ImportError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelUnusable(model, f"no module that can be read ({said[0][:200]})", "a file of torch") from error
    if not isinstance(module, torch.nn.Module):
        raise ModelUnusable(model, f"a {type(module).__name__}", "a torch.nn.Module")
    return module.eval()


def _is_script(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return any("/code/" in name for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _safetensors(file: Path) -> dict[str, Any]:
    """Read the format: the length of a JSON head, the head (type, shape and place of each tensor), the numbers."""
    import torch

    content = np.memmap(file, dtype=np.uint8, mode="r")
    length = int.from_bytes(content[:8].tobytes(), "little")
    if not 2 <= length <= min(_LONGEST_HEAD, len(content) - 8):
        raise ValueError("no head of safetensors")
    head = json.loads(content[8 : 8 + length].tobytes())
    body = content[8 + length :]
    found = {}
    for name, told in head.items():
        if name == "__metadata__":
            continue
        start, end = told["data_offsets"]
        if not 0 <= start <= end <= len(body):
            raise ValueError(f"`{name}` lies outside of the file")
        kind = getattr(torch, _TYPES[told["dtype"]])
        held = (
            torch.frombuffer(bytearray(body[start:end].tobytes()), dtype=kind)
            if end > start
            else torch.empty(0, dtype=kind)
        )
        found[name] = held.reshape(told["shape"])
    return found
