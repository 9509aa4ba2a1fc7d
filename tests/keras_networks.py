"""Small networks of Keras, and their files with something else within."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FEATURES = 3


def keras() -> Any:
    """Keras with the backend of torch."""
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras")


def network(*, activation: str = "tanh", last: str = "sigmoid", seed: int = 5, more: Any = None) -> Any:
    """A network of three numbers, with layers that train otherwise than they answer."""
    layers = keras().layers
    keras().utils.set_random_seed(seed)
    return keras().Sequential([
        keras().Input((FEATURES,)), layers.Dense(4, activation=activation), layers.BatchNormalization(),
        layers.Dropout(0.5), *([] if more is None else [more]), layers.Dense(1, activation=last),
    ])  # fmt: skip


def saved(model: Any, folder: Path) -> bytes:
    """The bytes of its file."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Keras asks numpy for something that is to be deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        model.save(folder / "saved.keras")
    return (folder / "saved.keras").read_bytes()


def with_part(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """A file of Keras whose part `name` is another one, made of its own (or of nothing)."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(made, "w") as after:
        for each in sorted({*before.namelist(), name}):
            held = before.read(each) if each in before.namelist() else b""
            after.writestr(each, change(held) if each == name else held)
    return made.getvalue()


def with_layer(content: bytes, at: int, **told: Any) -> bytes:
    """A file of Keras that says something else of one layer."""

    def change(held: bytes) -> bytes:
        config = json.loads(held)
        config["config"]["layers"][at].update(told)
        return json.dumps(config).encode()

    return with_part(content, "config.json", change)
