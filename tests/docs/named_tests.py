"""Tests that a page names as evidence: whether each is there."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def named(text: str) -> list[str]:
    """The tests that a text names in backticks: a file, or one function of it."""
    return re.findall(r"`(tests/[^`]+)`", text)


def is_there(test: str) -> bool:
    """Whether the file is there, and the test in it."""
    file, _, name = test.partition("::")
    if not (ROOT / file).is_file():
        return False
    return name in _defined(file) if name else any(found.startswith("test_") for found in _defined(file))


@functools.cache
def _defined(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
