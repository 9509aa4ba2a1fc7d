"""Runs a module of this package from its first line to its last, as a kernel runs the cells of a notebook."""

from __future__ import annotations

import importlib.util
import sys
import types
from importlib.abc import InspectLoader
from typing import Any


def run_script(module: str, **given: Any) -> dict[str, Any]:
    """Run the module anew as `__main__`, with what it is given; return its names and their values."""
    spec = importlib.util.find_spec(module)
    loader = spec.loader if spec is not None else None
    code = loader.get_code(module) if isinstance(loader, InspectLoader) else None
    if code is None:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)
    main = types.ModuleType("__main__")
    names = main.__dict__
    names.update(given, __package__=module.rpartition(".")[0])
    # Classes are looked up where they say that they live.
    before = sys.modules["__main__"]
    sys.modules["__main__"] = main
    try:
        exec(code, names)  # noqa: S102 (it is a module of this package)
    finally:
        sys.modules["__main__"] = before
    return names
