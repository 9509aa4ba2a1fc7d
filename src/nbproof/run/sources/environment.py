"""The environment that a kernel runs in: its interpreter and every installed distribution."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import KernelUnusable
from ...records import ContentHash
from . import distributions, kernelspecs
from .hashes import canonical_json

PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """`packages` maps each distribution to its version; `search` is the interpreter's module search path.

    `lock` is the hash that stands for this environment in a fingerprint.
    """

    interpreter: str
    packages: Mapping[str, str]
    search: tuple[str, ...]
    lock: ContentHash = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Every fingerprint asks for it.
        lock = ContentHash.of(canonical_json([self.interpreter, dict(self.packages)]))
        object.__setattr__(self, "lock", lock)


def describe() -> Environment:
    """The environment of this very process, read afresh."""
    interpreter = f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
    search = tuple(path for path in distributions.search_path() if path and Path(path).is_absolute())
    return Environment(interpreter, distributions.installed(), search)


def own() -> Environment:
    """The environment of this very process, read afresh only when something was installed or removed."""
    return _describe_as_of(_state_of_search_path())


def maker() -> str | None:
    """What stands for nbproof's own source and all that it reads files with; None when the source cannot be read.

    Whatever is derived from a file's content alone is the same again for the same maker.
    """
    total = hashlib.sha256(own().lock.hex.encode())
    try:
        for folder in ("notebook", "run"):
            for file in sorted((PACKAGE / folder).rglob("*.py")):
                content = file.read_bytes()
                total.update(f"{file.relative_to(PACKAGE)} {len(content)} ".encode() + content)
    except OSError:
        return None
    return total.hexdigest()


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
    spec = kernelspecs.find(kernel)
    if spec.language != "python":
        return Environment(spec.whole, {}, ())
    found = _of_command(kernel, spec.command)
    # Variables that the kernelspec sets may change what code does.
    return (
        replace(found, interpreter=f"{found.interpreter} {json.dumps(dict(spec.env), sort_keys=True)}")
        if spec.env
        else found
    )


def _of_command(kernel: str, command: str) -> Environment:
    # jupyter_client itself replaces a bare `python` by the running interpreter.
    is_own = command in {"python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}", sys.executable}
    return own() if is_own else _asked(kernel, command)


def _asked(kernel: str, command: str) -> Environment:
    import subprocess

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
