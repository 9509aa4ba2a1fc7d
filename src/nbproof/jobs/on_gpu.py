"""A package on the GPU that its job was given, without an edit of its notebook: `python -m nbproof.jobs.on_gpu NAME …`.

Torch makes its tensors there by default, with the random numbers that the processor would have drawn; RAPIDS answers
for pandas and scikit-learn where the job asks for it. Lower precision than the notebook's own is the notebook's to
allow: its contract has a parameter `precision`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

from ..errors import AskedWrongly, NbproofError

Device = Literal["auto", "cpu", "cuda"]
# `auto`, `cpu` or `cuda`, for whoever starts a package by hand.
VARIABLE = "NBPROOF_DEVICE"
ACCELERATORS = ("cudf.pandas", "cuml.accel")
ACCELERATE = "--accelerate="
_LOW = ("float16", "bfloat16")


def main() -> None:
    """Prepare this process, then be the package's own command."""
    arguments = sys.argv[1:]
    asked = [word.removeprefix(ACCELERATE) for word in arguments if word.startswith(ACCELERATE)]
    name, *own = [word for word in arguments if not word.startswith(ACCELERATE)]
    try:
        for each in asked:
            accelerate(each)
        device = default_device(name, os.environ.get(VARIABLE, "auto"))
        sys.stderr.write(f"nbproof: {name} runs on {device}\n")
        sys.argv = [name, *own]
        with crossed(device), precision(name, device, own):
            _run(name)
    except NbproofError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        sys.exit(error.exit_code)


def _run(name: str) -> None:
    """Be the package's own command; that it ended well by itself is no reason to look at nothing more."""
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise


@contextmanager
def crossed(device: str) -> Iterator[None]:
    """On a GPU: the draws of the processor, and a watch over what numpy and torch share there. Raises `GpuDiffers`."""
    if not device.startswith("cuda"):
        yield
        return
    import torch

    from .crossing import Crossing

    crossing = Crossing(torch.device("cuda"))
    with crossing.crossed():
        yield
    if crossing.drew_there:
        sys.stderr.write("nbproof: some random numbers were drawn on the GPU; a seed gives others on the processor\n")


def accelerate(name: str) -> None:
    """Let RAPIDS answer for pandas (`cudf.pandas`) or scikit-learn (`cuml.accel`), before either is imported.

    Raises `AskedWrongly` where it is not installed, or is called by another name.
    """
    if name not in ACCELERATORS:
        raise AskedWrongly(f"found the accelerator `{name}`, expected one of {', '.join(ACCELERATORS)}")
    top = name.partition(".")[0]
    if importlib.util.find_spec(top) is None:
        raise AskedWrongly(
            f"found no `{top}`, which `{name}` belongs to; expected RAPIDS where the job runs",
            hint=f"leave out --accelerate {name}, or install {top} for the CUDA of that machine",
        )
    importlib.import_module(name).install()


def default_device(name: str, asked: str = "auto") -> str:
    """Let torch make its tensors on a GPU, where there is one; the device comes back, in words.

    Torch is not imported for a package that does not use it. Raises `AskedWrongly`.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise AskedWrongly(f"found {VARIABLE}={asked}, expected auto, cpu or cuda")
    if not _uses_torch(name):
        return "the processor; it does not use torch"
    import torch

    kind = "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"
    if asked == "cuda" and kind == "cpu":
        raise AskedWrongly("found no GPU that torch sees, expected one", hint=f"{VARIABLE}=auto")
    torch.set_default_device(kind)
    # Single precision is what the notebook was reviewed with.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return f"cuda ({torch.cuda.get_device_name(0)})" if kind == "cuda" else "the processor, since torch sees no GPU"


@contextmanager
def precision(name: str, device: str, arguments: Sequence[str] = ()) -> Iterator[None]:
    """Mixed precision for as long as the block runs, where the package's contract has it, and the value says so."""
    with _autocast(_asked_precision(name, arguments), "cuda" if device.startswith("cuda") else "cpu"):
        yield


def _autocast(asked: str, kind: str) -> AbstractContextManager[Any]:
    if asked not in _LOW:
        return nullcontext()
    import torch

    return torch.autocast(kind, dtype=getattr(torch, asked))


def _asked_precision(name: str, arguments: Sequence[str]) -> str:
    """The value of the contract's own `precision`, given or by default; empty where it has none."""
    try:
        contract = importlib.import_module(f"{name}._contract")
    except ModuleNotFoundError:
        return ""
    found = next((each for each in contract.PARAMETERS if each.name == "precision"), None)
    if found is None or not _uses_torch(name):
        return ""
    words = iter(arguments)
    for word in words:
        if word == "--precision":
            return next(words, "")
        if word.startswith("--precision="):
            return word.partition("=")[2]
    return "" if found.is_required else str(found.default)


def _uses_torch(name: str) -> bool:
    """Whether a package's own modules name torch; none of them is run to know."""
    found = importlib.util.find_spec(name)
    places = list(found.submodule_search_locations or ()) if found is not None else []
    files = [file for place in places for file in Path(place).rglob("*.py")]
    return any("torch" in file.read_text(encoding="utf-8", errors="replace") for file in files)


if __name__ == "__main__":
    main()
