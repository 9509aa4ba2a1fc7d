"""The Jupyter server's side of nbproof: doors to the package's own parts, for the panels in JupyterLab."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "nbproof.lab"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from .extension import load

    load(server)
