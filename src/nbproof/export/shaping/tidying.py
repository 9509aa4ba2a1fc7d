"""Formatted and lint-clean text: what a linter mends without doubt is mended, all else is marked where it stands."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import ExtraMissing, NotTidied
from ...extras import EXTRA_OF, require

# Rules whose mending says the same in other words; ruff itself leaves out what is not safe.
_MENDED = (
    "D200", "D202", "D204", "D207", "D208", "D209", "D210", "D211", "D212", "D300", "D403", "F541", "FURB105", "I001",
    "PIE790", "PLR1711", "RET501", "UP004", "UP008", "UP009", "UP024", "UP025", "UP034", "UP039", "W605",
)  # fmt: skip
# Two pairs of rules say opposite things, and of each ruff's own defaults choose one.
# Nor does it matter which files lie where this happens to run: nothing there is the package's own.
_CHOSEN = (
    "--isolated",
    "--config",
    "src = []",
    "--extend-select",
    "D,ANN",
    "--ignore",
    "D203,D213",
    "--target-version",
    "py311",
)
_NAME = "steps.py"
_ROUNDS = 5


@lru_cache(maxsize=32)
def tidied(text: str) -> str:
    """A module that nobody wrote by hand, formatted and clean."""
    return marked(formatted(mended(formatted(text))))


def formatted(text: str) -> str:
    """The text as `ruff format` writes it."""
    return _ruff(["format", "--isolated", "--target-version", "py311", "--stdin-filename", _NAME, "-"], text)


def mended(text: str) -> str:
    """The text after the corrections that change nothing it does.

    Imports within functions keep their order, which may mean something; those at the top were put there in any order.
    """
    inside = [each["noqa_row"] for each in findings(text) if each["code"] == "I001" and each["location"]["column"] > 1]
    return _fixed(commented(text, dict.fromkeys(inside, "# noqa: I001")), _MENDED)


def _fixed(text: str, rules: Sequence[str]) -> str:
    # A comment that names a rule is of use only to those who ask for the rule.
    chosen = (*_CHOSEN, "--fixable", ",".join(rules))
    return _ruff(["check", "--fix-only", "--quiet", *chosen, "--stdin-filename", _NAME, "-"], text)


def findings(text: str) -> list[Mapping[str, Any]]:
    """What ruff finds, with its default rules and those for docstrings and annotations."""
    told = _ruff(["check", "--quiet", *_CHOSEN, "--output-format", "json", "--stdin-filename", _NAME, "-"], text)
    found: list[Mapping[str, Any]] = json.loads(told)
    return found


def marked(text: str) -> str:
    """The text, formatted, with a `noqa` that names its rule wherever ruff still finds something."""
    for _ in range(_ROUNDS):
        before = text
        codes: dict[int, set[str]] = {}
        for each in findings(text):
            if each["code"] and each["noqa_row"]:
                codes.setdefault(each["noqa_row"], set()).add(each["code"])
        text = _excused(text, codes)
        # A comment may break a line, and then belongs to another one.
        text = formatted(text)
        if text == before:
            return text
        text = _fixed(text, ("RUF100",))
    return text


def _excused(text: str, codes: Mapping[int, Collection[str]]) -> str:
    """The text with one `noqa` a line: ruff reads no second one."""
    lines = text.split("\n")
    comments = {}
    for line, found in codes.items():
        before, mark, known = lines[line - 1].partition("  # noqa: ")
        lines[line - 1] = before
        comments[line] = f"# noqa: {', '.join(sorted({*found, *(known.split(', ') if mark else ())}))}"
    return commented("\n".join(lines), comments)


def commented(text: str, comments: Mapping[int, str], *, is_first: bool = False) -> str:
    """The text with comments at the ends of lines, behind what is said there, or before it where `is_first`."""
    lines = text.split("\n")
    begins = {token.start[0]: token.start[1] for token in tokenize.generate_tokens(io.StringIO(text).readline)
              if token.type == tokenize.COMMENT}  # fmt: skip
    for line, comment in comments.items():
        at = begins.get(line)
        if at is not None and is_first:
            lines[line - 1] = f"{lines[line - 1][:at]}{comment}  {lines[line - 1][at:]}"
        else:
            lines[line - 1] += f"  {comment}"
    return "\n".join(lines)


def _ruff(arguments: Sequence[str], text: str) -> str:
    ended = subprocess.run([program(), *arguments], input=text, capture_output=True, text=True, encoding="utf-8")
    if ended.returncode > 1 or (ended.returncode and "check" not in arguments):
        raise NotTidied((ended.stderr.strip().splitlines() or ["without a word"])[0])
    return ended.stdout


@cache
def program() -> str:
    """Where ruff is: beside this Python, or beside the package of its name. Raises `ExtraMissing` where it is not."""
    require("ruff")
    spec = find_spec("ruff")
    assert spec is not None
    assert spec.origin is not None
    places = [Path(sys.executable).parent, *(folder / "bin" for folder in Path(spec.origin).parents[3:5])]
    found = shutil.which("ruff", path=os.pathsep.join(map(str, places))) or shutil.which("ruff")
    if found is None:
        raise ExtraMissing("ruff", EXTRA_OF["ruff"])
    return found
