"""Files of torch: programs that were saved whole, and weights, which are put into a module that somebody makes.

A file is a path, or its bytes where they were read, hashed and approved before.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelUnusable
from ..extras import require

SAFETENSORS, EXPORTED = ".safetensors", ".pt2"
# How safetensors spells types, and torch.
_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_LONGEST_HEAD = 100_000_000


def is_weights(file: Path) -> bool:
    """Whether a file of torch holds tensors by name; only its parts' names are read."""
    if file.suffix.lower() == SAFETENSORS:
        return True
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return any(name.endswith("/data.pkl") for name in names) and not any("/code/" in name for name in names)


def weights(file: Path | bytes, model: str, *, suffix: str = "") -> Mapping[str, Any]:
    """Tensors by name, of safetensors or of `torch.save(module.state_dict())`; no code is run to read them.

    `suffix` says the format of bytes. Raises `ModelUnusable` for a file that holds anything else.
    """
    require("torch")
    import pickle

    import torch

    suffix = suffix or (file.suffix.lower() if isinstance(file, Path) else "")
    try:
        found = _safetensors(file) if suffix == SAFETENSORS else torch.load(_opened(file), weights_only=True)
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


def program(file: Path | bytes, model: str, *, suffix: str = "") -> Any:
    """A module that was saved whole: an exported program, TorchScript, or a pickle. Reading one can run any code."""
    require("torch")
    import torch

    suffix = suffix or (file.suffix.lower() if isinstance(file, Path) else "")
    try:
        if suffix == EXPORTED:
            return exported(_opened(file))
        if _is_script(file):
            with warnings.catch_warnings():
                # Torch would rather have another format; what was approved is this file.
                warnings.simplefilter("ignore", DeprecationWarning)
                return torch.jit.load(_opened(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        module = torch.load(_opened(file), map_location="cpu", weights_only=False)
    except Exception as error:
        # Reading a program carries it out, and that may raise whatever there is.
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelUnusable(model, f"no module that can be read ({said[0][:200]})", "a file of torch") from error
    if not isinstance(module, torch.nn.Module):
        raise ModelUnusable(model, f"a {type(module).__name__}", "a torch.nn.Module")
    return module.eval()


def exported(file: Any) -> Any:
    """The module of an exported program, of its path or of an open file."""
    import torch

    with warnings.catch_warnings():
        # Some versions of torch warn of the buffers that they read their own file into.
        warnings.simplefilter("ignore", UserWarning)
        return torch.export.load(file).module()


def floats_of(module: Any) -> Any:
    """The type of the numbers that a module computes with: that of its first weights of floats, else single."""
    import torch

    floats = [each.dtype for each in module.parameters() if each.is_floating_point()]
    return floats[0] if floats else torch.float32


def _opened(file: Path | bytes) -> Any:
    return str(file) if isinstance(file, Path) else io.BytesIO(file)


def _is_script(file: Path | bytes) -> bool:
    try:
        with zipfile.ZipFile(_opened(file)) as archive:
            return any("/code/" in name for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _safetensors(file: Path | bytes) -> dict[str, Any]:
    """Read the format: the length of a JSON head, the head (type, shape and place of each tensor), the numbers."""
    import torch

    content: Any = (
        np.memmap(file, dtype=np.uint8, mode="r") if isinstance(file, Path) else np.frombuffer(file, dtype=np.uint8)
    )
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
