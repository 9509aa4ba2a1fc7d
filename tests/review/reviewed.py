"""A small project with a notebook, people and keys, for the tests of reviews."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nbproof.review.keys import PrivateKey
from nbproof.review.signers import line_of

PARAMETERS = ("p", ["parameters"], "rows: int = 3\nlimit: float = 0.5")
CELLS: Sequence[tuple[str, list[str], str]] = (
    PARAMETERS,
    ("a", [], "value = sum(range(rows))\nprint(value)"),
    ("b", [], "value > limit"),
)


def key(number: int) -> PrivateKey:
    """A key that is the same in every run."""
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def write_key(path: Path, number: int) -> Path:
    """The key as OpenSSH keeps it."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)
    return path


def write_notebook(
    path: Path, cells: Sequence[tuple[str, list[str], str]] = CELLS, outputs: dict[str, tuple[int, Any]] | None = None
) -> Path:
    """Write a notebook; `outputs` gives cells an execution count and outputs."""
    ran = outputs or {}
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code", "id": name, "metadata": {"tags": tags}, "source": source,
                "outputs": ran.get(name, (None, []))[1], "execution_count": ran.get(name, (None, []))[0],
            }
            for name, tags, source in cells
        ],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def printed(text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": text}]


BELA = key(50)


def write_project(
    folder: Path, *, rules: str = "", people: Sequence[tuple[str, int]] = (("Ana", 1),), table: str = ""
) -> Path:
    """A project whose reviewers are `people`, each with the number of a key, and whose owner is Bela.

    Its only notebook comes back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f"[tool.nbproof]\ntracking = false\n{table}")
    reviewers = "".join(f'\n[[reviewer]]\nname = "{name}"\nroles = ["validator"]\n' for name, _ in people)
    (folder / "approvals").mkdir(exist_ok=True)
    listed = [line_of(name, key(number).public) for name, number in people]
    (folder / "approvals/allowed_signers").write_text("\n".join([*listed, line_of("Bela", BELA.public), ""]))
    (folder / "approvals/reviewers.toml").write_text(rules + reviewers)
    return write_notebook(folder / "notebooks/score.ipynb")


def without_variables() -> dict[str, str]:
    """The environment of a command, free of what a developer may have set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NBPROOF_REVIEW")}
