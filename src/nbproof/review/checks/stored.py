"""Checks of what the notebook's file holds beside its source: execution counts, outputs, secrets, and documents."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import NbproofError
from ...extras import is_installed
from ...notebook.code import INJECTED
from ...notebook.contract import read as read_contract
from ...notebook.secrets import is_reference
from .evidence import documents
from .findings import Finding, Inspected, NotEvaluated
from .safety import unpinned

RUFF_S = 60
LONGEST_LINE = 20_000
_TAGS = re.compile(r"<[^>]*>")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# What has this in it is a document of ours that a person still owes words to.
OWED = "owed"
# IPython's own: what follows is no program that ruff should judge.
_RUFF_PASSES_OVER = "E402,E501,F704,B018,W292,W391,E703,F811"


def order(found: Inspected) -> Iterator[Finding]:
    """Execution counts are 1 to n from top to bottom, and no output is of a cell that was not run."""
    cells = [(number, cell, found.raw(number)) for number, cell in found.code() if INJECTED not in cell.tags]
    injected = any(INJECTED in cell.tags for _, cell in found.code())
    counts = [raw.get("execution_count") for _, _, raw in cells if _is_program(raw)]
    if not any(count is not None for count in counts) and not any(raw.get("outputs") for _, _, raw in cells):
        return
    expected = 0
    for number, cell, raw in cells:
        count = raw.get("execution_count")
        if not _is_program(raw):
            continue
        expected += 1
        # Where parameters were injected, their cell has a number, too.
        allowed = {expected, expected + 1} if injected else {expected}
        if count is None and raw.get("outputs"):
            yield Finding("has an output and was not run", cell.id, number)
        elif count is None:
            yield Finding("was not run, and others were", cell.id, number)
            expected -= 1
        elif count not in allowed:
            yield Finding(f"was run as number {count}, and stands as number {expected}", cell.id, number)
            # One cell out of order is told once, not once for each that follows.
            expected = count if isinstance(count, int) else expected


def secrets(found: Inspected) -> Iterator[Finding]:
    """A detector's patterns find nothing in source, outputs or metadata. What is found is never shown."""
    if not is_installed("detect_secrets"):
        raise NotEvaluated("detect-secrets is not installed (pip install 'nbproof[review]')")
    from .detecting import detected

    references = _references(found)
    for number, cell in enumerate(found.document.cells, start=1):
        for line, kind in detected(cell.source, is_source=cell.kind == "code", harmless=references):
            yield Finding(f"its source holds what looks like a {kind}", cell.id, number, line)
        raw = found.raw(number)
        said = "\n".join(_said(raw.get("outputs", ())))
        kinds = {kind for _, kind in detected(said, is_source=False, harmless=references)}
        for kind in sorted(kinds):
            yield Finding(f"its output holds what looks like a {kind}", cell.id, number)
        if {kind for _, kind in detected(json.dumps(raw.get("metadata", {})), is_source=False, harmless=references)}:
            yield Finding("its metadata holds what looks like a secret", cell.id, number)


def lint(found: Inspected) -> Iterator[Finding]:
    """Ruff finds nothing, with the project's own rules."""
    if found.document.path.suffix != ".ipynb" or not found.document.is_python:
        raise NotEvaluated("ruff reads Python notebooks only")
    ruff = _ruff()
    if ruff is None:
        raise NotEvaluated("ruff is not installed")
    command = [ruff, "check", "--output-format", "json", "--no-cache", "--no-fix", "--extend-ignore", _RUFF_PASSES_OVER,
               "--force-exclude", "--exit-zero", str(found.document.path)]  # fmt: skip
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=RUFF_S,
        check=False,
        cwd=found.project,
        stdin=subprocess.DEVNULL,
    )
    if ran.returncode != 0:
        raise NotEvaluated(f"ruff failed: {(ran.stderr.strip() or 'it said nothing').splitlines()[0][:120]}")
    if "No Python files found" in ran.stderr:
        raise NotEvaluated("the project's settings of ruff leave notebooks out")
    cells = dict(found.code())
    for problem in json.loads(ran.stdout or "[]"):
        # Ruff counts code cells and their lines as they stand in the file.
        number = problem.get("cell")
        cell = cells.get(number)
        line = (problem.get("location") or {}).get("row")
        yield Finding(
            f"{problem.get('code') or 'error'}: {problem['message']}", cell.id if cell else None, number, line
        )


def owed(found: Inspected) -> Iterator[Finding]:
    """No model card or data sheet among the products shows a field that a person owes."""
    made = [path for path in documents(found) if path.is_file()]
    if not made:
        raise NotEvaluated("no model card or data sheet has been made")
    for path in made:
        count = path.read_text(encoding="utf-8", errors="replace").count(f'class="{OWED}"')
        if count:
            yield Finding(f"{path.name}: {count} fields are owed by a person")


def lock(found: Inspected) -> Iterator[Finding]:
    """The settings name the file that pins the environment, and it is there."""
    name = found.settings.review_lock
    if name is None:
        yield Finding("no file pins the environment; the kernel's own packages stand for it")
    elif not (found.project / name).is_file():
        yield Finding(f"`{name}` is not there")
    else:
        yield from (Finding(f"`{name}`: `{line}` leaves the version open") for line in unpinned(found.project / name))


def _is_program(raw: Any) -> bool:
    source = raw.get("source", "")
    text = source if isinstance(source, str) else "".join(source)
    return bool(text.strip())


def _said(outputs: Any) -> Iterator[str]:
    """Everything that outputs say as text, markup taken out; pictures say nothing."""
    for output in outputs:
        if output.get("output_type") == "stream":
            yield _COLOURS.sub("", _joined(output.get("text", "")))
        elif output.get("output_type") == "error":
            yield from (_COLOURS.sub("", str(line)) for line in output.get("traceback", ()))
        else:
            for kind, content in output.get("data", {}).items():
                if kind.startswith("text/") and isinstance(content, str | list):
                    text = _joined(content)
                    yield _TAGS.sub(" ", text) if kind == "text/html" else text
                elif kind in ("application/javascript", "image/svg+xml") and isinstance(content, str | list):
                    yield _joined(content)
                elif kind.endswith("json"):
                    yield from _texts(content)


def _texts(content: Any) -> Iterator[str]:
    """What JSON says, each text by itself, with the name that it has; numbers say nothing."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        yield "\n".join(f"{name}: {value}" for name, value in content.items() if isinstance(value, str))
        yield from (text for value in content.values() if not isinstance(value, str) for text in _texts(value))
    elif isinstance(content, list):
        yield from (text for value in content for text in _texts(value))


def _joined(text: Any) -> str:
    return text if isinstance(text, str) else "".join(map(str, text))


def _references(found: Inspected) -> frozenset[str]:
    """What the contract says is only a reference to a secret."""
    try:
        declared = read_contract(found.document)
    except NbproofError:
        return frozenset()
    defaults = (parameter.default for parameter in declared.parameters if parameter.is_secret)
    return frozenset(str(default) for default in defaults if is_reference(default))


def _ruff() -> str | None:
    import sys

    beside = Path(sys.executable).with_name("ruff")
    return str(beside) if beside.is_file() else shutil.which("ruff")
