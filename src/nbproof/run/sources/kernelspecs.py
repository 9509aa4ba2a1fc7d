"""A kernelspec by its name, as jupyter_client finds it, without importing jupyter_client where that is possible."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import UnknownName


@dataclass(frozen=True, slots=True)
class Spec:
    """What decides the environment of a kernel. `whole` is the kernelspec of one that is not Python, as JSON."""

    language: str
    command: str
    env: Mapping[str, str] = field(default_factory=dict)
    whole: str = ""


def find(kernel: str) -> Spec:
    """The kernelspec called `kernel`; raises `UnknownName` when none is installed."""
    return _found_quickly(kernel) or _found_by_jupyter(kernel)


def _found_quickly(kernel: str) -> Spec | None:
    """The kernelspec where Jupyter looks first; None unless it is a plain one of Python."""
    from jupyter_core.paths import jupyter_path

    # This variable, like an entry in the file, lets other packages have a say in what is available.
    if "JUPYTER_DEFAULT_PROVISIONER_NAME" in os.environ:
        return None
    for folder in jupyter_path("kernels"):
        if not os.path.isdir(folder):  # noqa: PTH112
            continue
        for name in os.listdir(folder):  # noqa: PTH208
            file = os.path.join(folder, name, "kernel.json")  # noqa: PTH118
            if name.lower() == kernel.lower() and os.path.isfile(file):  # noqa: PTH113
                return _plain(file)
    return None


def _plain(file: str) -> Spec | None:
    try:
        with open(file, encoding="utf-8") as opened:  # noqa: PTH123
            found = json.load(opened)
    except (OSError, ValueError):
        return None
    known = {"argv", "display_name", "language", "env", "metadata", "interrupt_mode", "name", "mimetype"}
    if not isinstance(found, dict) or not found.keys() <= known or found.get("language") != "python":
        return None
    argv, env, metadata = found.get("argv", []), found.get("env", {}), found.get("metadata", {})
    is_plain = (
        isinstance(argv, list)
        and bool(argv)
        and all(isinstance(word, str) for word in argv)
        and isinstance(env, dict)
        and isinstance(metadata, dict)
        and "kernel_provisioner" not in metadata
        and all(isinstance(found.get(key, ""), str) for key in ("display_name", "name", "mimetype"))
        and found.get("interrupt_mode", "signal") in ("message", "signal")
    )
    return Spec("python", argv[0], env) if is_plain else None


def _found_by_jupyter(kernel: str) -> Spec:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    try:
        found: Any = manager.get_kernel_spec(kernel)
    except NoSuchKernel:
        raise UnknownName(
            "kernel", kernel, manager.find_kernel_specs(), hint=f"python -m ipykernel install --user --name {kernel}"
        ) from None
    if found.language != "python":
        return Spec(found.language, "", whole=json.dumps(found.to_dict(), sort_keys=True))
    return Spec("python", found.argv[0], dict(found.env))
