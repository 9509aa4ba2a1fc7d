"""What a type checker finds in code that was written without one is marked where it stands, each by its name."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from .tidying import commented, marked

# What the packages' own settings say, too. A name of a notebook may take a value of another type.
SETTINGS = {"disallow_untyped_defs": "true", "allow_redefinition": "true", "ignore_missing_imports": "true"}
_FOUND = re.compile(r"checked/(?P<module>\w+)\.py:(?P<line>\d+): error: .*\[(?P<code>[\w-]+)\]")
_ROUNDS = 3


def type_checked(modules: Mapping[str, str]) -> dict[str, str]:
    """The modules of a package with an `ignore` wherever mypy finds something; as they are where it is not installed.

    Nothing but comments is added.
    """
    texts = dict(modules)
    if find_spec("mypy") is None:
        return texts
    for _ in range(_ROUNDS):
        found = _findings(texts)
        if not found:
            break
        for name, codes in found.items():
            comments = {
                line: f"# type: ignore[{', '.join(sorted(told))}]"
                for line, told in codes.items() if not _is_in_text(texts[name], line)
            }  # fmt: skip
            texts[name] = marked(commented(texts[name], comments, is_first=True))
    return texts


def _findings(texts: Mapping[str, str]) -> dict[str, dict[int, set[str]]]:
    with tempfile.TemporaryDirectory(prefix="nbproof-types-") as place:
        package = Path(place) / "checked"
        package.mkdir()
        for name, text in texts.items():
            (package / name).write_text(text, encoding="utf-8")
        settings = "".join(f"{name} = {value}\n" for name, value in SETTINGS.items())
        (Path(place) / "mypy.ini").write_text(f"[mypy]\n{settings}")
        ended = subprocess.run(
            [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(_cache()), "checked"],
            cwd=place,
            capture_output=True,
            text=True,
        )
    found: dict[str, dict[int, set[str]]] = {}
    for match in _matches(ended.stdout):
        lines = found.setdefault(f"{match['module']}.py", {})
        lines.setdefault(int(match["line"]), set()).add(match["code"])
    return found


def _matches(told: str) -> Iterator[re.Match[str]]:
    yield from (match for line in told.splitlines() if (match := _FOUND.match(line)) is not None)


def _cache() -> Path:
    """Where mypy remembers what libraries say of their types: to read them anew takes many seconds."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbproof/mypy"
    place.mkdir(parents=True, exist_ok=True)
    return place


def _is_in_text(text: str, line: int) -> bool:
    """Whether a line ends within a text over several lines, where a comment would be a part of it."""
    return any(
        token.type == tokenize.STRING and token.start[0] <= line < token.end[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )
