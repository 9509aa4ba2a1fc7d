"""The environment that a kernel runs in: its interpreter and every installed distribution."""

from __future__ import annotations

import functools
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from ..errors import KernelUnusable, UnknownName
from ..records import ContentHash
from .hashes import canonical_json


@dataclass(frozen=True, slots=True)
class Environment:
    """`packages` maps each distribution to its version; `search` is the interpreter's module search path."""

    interpreter: str
    packages: Mapping[str, str]
    search: tuple[str, ...]

    @property
    def lock(self) -> ContentHash:
        """The hash that stands for this environment in a fingerprint."""
        return ContentHash.of(canonical_json([self.interpreter, dict(self.packages)]))


def describe() -> Environment:
    """The environment of this very process, read afresh."""
    packages = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions() if d.metadata["Name"]}
    interpreter = f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
    return Environment(interpreter, packages, tuple(path for path in sys.path if path and Path(path).is_absolute()))


def _state_of_search_path() -> tuple[tuple[str, int], ...]:
    """Installing or removing a distribution changes the time of a folder on the search path."""
    folders = [Path(path) for path in sys.path if path]
    return tuple((str(folder), folder.stat().st_mtime_ns) for folder in folders if folder.is_dir())


@functools.lru_cache(maxsize=4)
def _describe_as_of(_: tuple[tuple[str, int], ...]) -> Environment:
    return describe()


def check_kernel(kernel: str) -> None:
    """Raise `UnknownName` unless a kernelspec of that name is installed, `KernelUnusable` unless its interpreter runs.

    No kernel is started.
    """
    of_kernel(kernel)


def of_kernel(kernel: str) -> Environment:
    """The environment that `kernel` will run in. For a kernel that is not Python, its kernelspec stands for it.

    Raises `UnknownName` and `KernelUnusable`.
    """
    spec = _kernelspec(kernel)
    if spec.language != "python":
        return Environment(json.dumps(spec.to_dict(), sort_keys=True), {}, ())
    found = _of_command(kernel, spec.argv[0])
    # Variables that the kernelspec sets may change what code does.
    return (
        replace(found, interpreter=f"{found.interpreter} {json.dumps(spec.env, sort_keys=True)}") if spec.env else found
    )


def _kernelspec(kernel: str) -> KernelSpec:
    manager = KernelSpecManager()
    try:
        spec: KernelSpec = manager.get_kernel_spec(kernel)
    except NoSuchKernel:
        raise UnknownName(
            "kernel", kernel, manager.find_kernel_specs(), hint=f"python -m ipykernel install --user --name {kernel}"
        ) from None
    return spec


def _of_command(kernel: str, command: str) -> Environment:
    # jupyter_client itself replaces a bare `python` by the running interpreter.
    own = command in {"python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}", sys.executable}
    if own:
        return _describe_as_of(_state_of_search_path())
    try:
        answer = subprocess.run(
            [command, "-c", _PROBE], check=True, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise KernelUnusable(kernel, command, str(error)) from error
    interpreter, packages, search = json.loads(answer.stdout)
    return Environment(interpreter, packages, tuple(search))


# Runs in kernels of another environment, where nbproof may not be installed.
_PROBE = """
import importlib.metadata, json, os, platform, sys
packages = {d.metadata["Name"].lower().replace("_", "-"): d.version
            for d in importlib.metadata.distributions() if d.metadata["Name"]}
interpreter = f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
print(json.dumps([interpreter, packages, [p for p in sys.path if p and os.path.isabs(p)]]))
"""
