"""A kernel in another environment: it has IPython and the rest, but no nbproof."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import venv
from pathlib import Path


def other_environment(folder: Path) -> Path:
    """Make the environment; its Python comes back. A line in a .pth file brings a folder, but not its .pth files."""
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = folder / "lib" / version / "site-packages"
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + os.linesep)
    return folder / "bin/python"


def kernelspec(folder: Path, python: Path, *, language: str = "python", argv: tuple[str, ...] | None = None) -> None:
    """Write a kernelspec that starts ipykernel with this Python, away from our own sources."""
    folder.mkdir(parents=True)
    spec = {
        "argv": [str(python), *(argv or ("-m", "ipykernel_launcher", "-f", "{connection_file}"))],
        "display_name": folder.name,
        "language": language,
        "env": {"PYTHONPATH": ""},
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
