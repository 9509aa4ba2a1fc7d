"""A model that was admitted becomes a scorer, by what its file is."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import AskedWrongly, ModelUnusable
from ..explain import loading as estimators
from ..explain.keras_files import KERAS, read_network
from ..explain.onnx_files import ONNX, read_graph
from ..explain.torch_files import filled, is_weights, program, weights
from ..review.gate import UnsafeBypass
from .admission import Admitted, admit, admit_package, copied, is_code, is_exported, is_packaged
from .asked import ALL, Asked
from .columns import is_number
from .device import Device, choose, without_collecting
from .estimator import Estimator
from .graph import Graph, GraphScorer
from .network import Network
from .program import Program
from .scorer import Scorer
from .signed import Signed
from .source import Source

_TORCH = (".pt", ".pth", ".bin", ".pt2", ".safetensors")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scorer, what admitted it, and where it answers. `module` is the package that its torch module came from."""

    scorer: Scorer | Program
    admitted: Admitted
    device: Device
    module: Admitted | None = None


def load(
    model: Path, asked: Asked, source: Callable[[], Source], *, project: Path, unsafe: UnsafeBypass | None = None,
    is_again: bool = False,
) -> Loaded:  # fmt: skip
    """Admit a model and load it. `source` tells the columns of the input, where the model does not know its own.

    Raises what `admission.admit` does, and `ModelUnusable` for what is no model, or does not fit what is asked.
    """
    if is_exported(model):
        admitted, name = admit_package(model, project=project, unsafe=unsafe, is_again=is_again)
        return Loaded(Program.of(name, model, asked), admitted, choose(asked.device))
    with copied(model) as copy, without_collecting():
        admitted = admit(copy, model, project=project, unsafe=unsafe, is_again=is_again)
        if is_packaged(copy):
            device = choose("cpu") if asked.device == "auto" else choose(asked.device)
            signed = Signed.read(copy, device, name=asked.name, model=admitted.name, runs_code=not admitted.is_draft)
            return Loaded(signed, admitted, device)
        if copy.suffix.lower() in _TORCH:
            return _torch(copy, admitted, asked, source, project=project, unsafe=unsafe, is_again=is_again)
        if copy.suffix.lower() in (KERAS, ONNX):
            return _graph(copy, admitted, asked, source)
        fitted = estimators.model(copy, trusted=asked.trust, unsafe_read_pickles=is_code(copy))
        device = choose(asked.device)
        features = None if asked.features is None else _features(asked, source)
        found = Estimator(fitted, features, device, name=asked.name, model=admitted.name)
        return Loaded(found, admitted, device if found.is_on_device else choose("cpu"))


def _torch(
    copy: Path, admitted: Admitted, asked: Asked, source: Callable[[], Source], *, project: Path,
    unsafe: UnsafeBypass | None, is_again: bool,
) -> Loaded:  # fmt: skip
    device, module = choose(asked.device), None
    if is_weights(copy):
        if asked.module is None:
            raise ModelUnusable(
                f"`{admitted.name}`", "weights, which do not tell what to compute", "the module that they belong to",
                hint="--module PACKAGE:NAME, an exported package and its class or function that makes the module",
            )  # fmt: skip
        held = weights(copy, admitted.name)
        with _made(asked.module, project=project, unsafe=unsafe, is_again=is_again) as (make, module):
            made = filled(make, held, admitted.name)
    else:
        made = program(copy, admitted.name)
    features = _features(asked, source)
    return Loaded(Network(made, features, device, name=asked.name, model=admitted.name), admitted, device, module)


def _graph(copy: Path, admitted: Admitted, asked: Asked, source: Callable[[], Source]) -> Loaded:
    if asked.device == "cuda":
        kind = "in ONNX" if copy.suffix.lower() == ONNX else "of Keras"
        raise AskedWrongly(f"found --device cuda, expected the processor for a model {kind}", hint="--device cpu")
    read: Callable[[bytes, str], Graph] = read_graph if copy.suffix.lower() == ONNX else read_network
    graph = read(copy.read_bytes(), admitted.name)
    features = graph.features if asked.features is None and graph.features else _features(asked, source)
    return Loaded(GraphScorer(graph, features, name=asked.name, model=admitted.name), admitted, choose("cpu"))


@contextmanager
def _made(
    module: str, *, project: Path, unsafe: UnsafeBypass | None, is_again: bool
) -> Iterator[tuple[Callable[[], Any], Admitted]]:
    """What `PACKAGE:NAME` makes, and what admitted the package."""
    place, sign, name = module.rpartition(":")
    if not sign or not is_exported(Path(place)):
        raise AskedWrongly(
            f"--module {module}: found no exported package with a name behind it, expected PACKAGE:NAME",
            hint="export the notebook that defines the module: nbproof export NOTEBOOK",
        )
    admitted, package = admit_package(Path(place), project=project, unsafe=unsafe, is_again=is_again)
    folder = str(Path(place).resolve() / "src")
    sys.path.insert(0, folder)
    try:
        make = _defined(package, name)
        if make is None:
            raise AskedWrongly(
                f"--module {module}: found no `{name}` to call, expected a class or a function of the package",
                hint=f"ls {place}/src/{package}",
            )
        yield make, admitted
    finally:
        sys.path.remove(folder)


def _defined(package: str, name: str) -> Callable[[], Any] | None:
    """What a package defines under a name: itself, or the module of its steps; `train.Network` names the module."""
    *inner, last = name.split(".")
    for place in [".".join([package, *inner])] if inner else [package, f"{package}.steps"]:
        try:
            found = getattr(importlib.import_module(place), last, None)
        except ModuleNotFoundError as error:
            if error.name != place:
                raise
            continue
        if callable(found):
            made: Callable[[], Any] = found
            return made
    return None


def _features(asked: Asked, source: Callable[[], Source]) -> tuple[str, ...]:
    """The features that are asked for, by name; a network knows none itself."""
    if asked.features is None:
        raise ModelUnusable(
            "the model", "no names of its features", "their names in its order",
            hint=f"--features a,b,c; or --features '{ALL}' for all columns of numbers but those kept, in their order",
        )  # fmt: skip
    if asked.features != (ALL,):
        return asked.features
    schema = source().schema
    return _numbers(schema.names, schema.types, asked.keep)


def _numbers(names: Sequence[str], types: Sequence[Any], keep: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name, kind in zip(names, types, strict=True) if name not in keep and is_number(kind))
