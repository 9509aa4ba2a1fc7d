"""The notebook of a tracked run as a file again: executed, to be looked at, or with its parameters, to be run again."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import NotebookInvalid, RecordUnusable
from ...files import sync_folder
from ...notebook import contract
from ...notebook.code import INJECTED
from ...notebook.document import Document, parse
from ..mlflow_tracker import CUT_MARK
from .artifacts import executed_notebook, fetched
from .reading import RunStore

OPENED_FOLDER = "opened"
PARAMETERS_FILE = "parameters.json"
LONGEST_STEM, ID_LETTERS, MOST_NAMES = 80, 8, 1000


@dataclass(frozen=True, slots=True)
class Executed:
    """The executed notebook of a run; `name` is its file's."""

    name: str
    content: bytes
    run_id: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A notebook that was written anew. `put` are the parameters in it, `left` those that it does not declare."""

    file: Path
    put: tuple[str, ...]
    left: tuple[str, ...]


def executed(store: RunStore, run_id: str) -> Executed:
    """The executed notebook of a run, or of the one that it is nested in; raises `RecordUnusable` without one."""
    for held in store.lineage(run_id):
        owner = held.info.run_id
        path = executed_notebook(store, owner)
        if path is not None:
            content = fetched(store, owner, path)
            # What is no notebook is not put where JupyterLab would open it as one.
            parse(Path(Path(path).name), content)
            return Executed(Path(path).name, content, owner)
    raise RecordUnusable(
        run_id, "no executed notebook", "one among its files", hint="open one of the runs nested in it"
    )


def open_copy(notebook: Executed, home: Path) -> Path:
    """A copy in the folder `opened` of `home`, for reading; it is the record, whatever was done to an earlier copy."""
    folder = home / OPENED_FOLDER
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    for file in _names(folder, notebook):
        with contextlib.suppress(OSError):
            if not file.is_symlink() and file.read_bytes() == notebook.content:
                return file
        if _write_new(file, notebook.content, mode=0o444):
            return file
    raise _no_name(notebook, folder)


def restore(store: RunStore, run_id: str, into: Path) -> Restored:
    """Write the notebook of a run into a folder, without outputs, with the run's parameters in its parameters cell.

    It is always a new file. Raises `RecordUnusable` when a value is recorded in part only, and `ParameterInvalid` when
    one does not fit what the notebook declares.
    """
    notebook = executed(store, run_id)
    document = parse(Path(notebook.name), notebook.content)
    values, texts = _values(store, notebook.run_id, document)
    written, put = _with_parameters(document, values, texts, notebook.run_id)
    for file in _names(into, notebook):
        if _write_new(file, written, mode=0o644):
            return Restored(file, put, tuple(name for name in {**values, **texts} if name not in put))
    raise _no_name(notebook, into)


def _values(store: RunStore, run_id: str, document: Document) -> tuple[dict[str, Any], dict[str, str]]:
    """What the run was given: as its notebook says, for there the values have their types; else as texts."""
    papermill = document.content["metadata"].get("papermill")
    given = papermill.get("parameters") if isinstance(papermill, dict) else None
    if isinstance(given, dict) and given:
        return dict(given), {}
    texts = dict(store.held(run_id).data.params)
    cut = sorted(name for name, text in texts.items() if text.endswith(CUT_MARK))
    if cut:
        whole = json.loads(fetched(store, run_id, PARAMETERS_FILE))
        texts |= {name: whole[name] for name in cut if isinstance(whole.get(name), str)}
    if any(text.endswith(CUT_MARK) for text in texts.values()):
        raise RecordUnusable(run_id, f"only the beginning of {', '.join(cut)}", "the whole values")
    return {}, texts


def _with_parameters(
    document: Document, values: Mapping[str, Any], texts: Mapping[str, str], run_id: str
) -> tuple[bytes, tuple[str, ...]]:
    """The notebook as it was written, its parameters cell changed; and the names of those that are in it now."""
    cells = [_unrun(cell) for cell in document.content["cells"] if INJECTED not in cell["metadata"].get("tags", [])]
    metadata = {name: held for name, held in document.content["metadata"].items() if name != "papermill"}
    content = {**document.content, "cells": cells, "metadata": {**metadata, "nbproof": {"restored_from": run_id}}}
    # Without a parameters cell there is nowhere to put them; the notebook comes back as it was written.
    if not (values or texts) or not document.tagged(contract.TAG):
        return _spelled(content), ()
    declared = contract.read(document)
    put = tuple(name for name in declared.names if name in values or name in texts)
    checked = declared.resolve(_only(put, values), _only(put, texts), where=str(declared.notebook))
    cell = next(cell for cell in cells if contract.TAG in cell["metadata"].get("tags", []))
    try:
        cell["source"] = rewritten(_joined(cell["source"]), _only(put, _sources(declared, checked)))
        found = contract.read(parse(document.path, _spelled(content))).defaults()
    except (SyntaxError, NotebookInvalid) as error:
        raise RecordUnusable(run_id, f"a parameters cell that cannot be changed ({error})", "plain names") from error
    # Read back: a notebook that says something else than its run was given must not be handed out.
    if _only(put, found) != _only(put, checked):
        raise RecordUnusable(run_id, "a parameters cell that does not take the values", "one that does")
    return _spelled(content), put


def _only(names: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _spelled(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _sources(declared: contract.Contract, checked: Mapping[str, Any]) -> dict[str, str]:
    """The Python source of each value, by its name."""
    return {
        statement.targets[0].id: ast.unparse(statement.value)
        for statement in ast.parse(declared.injected_source(checked)).body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }


def rewritten(source: str, values: Mapping[str, str]) -> str:
    """The source of a parameters cell in which the names of `values` are given those values; the rest stays.

    >>> rewritten("rows: int = 10  # of the sample\\nseed: int", {"rows": "20", "seed": "7"})
    'rows: int = 20  # of the sample\\nseed: int = 7'
    """
    written = source.encode()
    starts = [0]
    for line in written.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def place(line: int, column: int) -> int:
        return starts[line - 1] + column

    changes = []
    for statement in ast.parse(source).body:
        name, value, after = _assigned(statement)
        if name not in values:
            continue
        if value is not None:
            begin, end = place(value.lineno, value.col_offset), place(value.end_lineno or 0, value.end_col_offset or 0)
            changes.append((begin, end, values[name]))
        elif after is not None:
            end = place(after.end_lineno or 0, after.end_col_offset or 0)
            changes.append((end, end, f" = {values[name]}"))
    for begin, end, text in reversed(changes):
        written = written[:begin] + text.encode() + written[end:]
    return written.decode()


def _assigned(statement: ast.stmt) -> tuple[str, ast.expr | None, ast.expr | None]:
    """The name that a statement gives a value, the value, and what a value would stand behind."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id, statement.value, statement.annotation
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id, statement.value, None
    return "", None, None


def _unrun(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A cell as it was before it ran."""
    metadata = {name: held for name, held in cell["metadata"].items() if name not in ("papermill", "execution")}
    unrun = {**cell, "metadata": metadata}
    return {**unrun, "outputs": [], "execution_count": None} if cell["cell_type"] == "code" else unrun


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _names(folder: Path, notebook: Executed) -> Iterator[Path]:
    """Names for a new file: that of the notebook and of the run, then numbered."""
    stem = "".join(letter if letter.isalnum() or letter in "_- " else "_" for letter in Path(notebook.name).stem)
    first = f"{stem[:LONGEST_STEM]}-{notebook.run_id[:ID_LETTERS]}"
    yield folder / f"{first}.ipynb"
    for number in range(2, MOST_NAMES):
        yield folder / f"{first}-{number}.ipynb"


def _write_new(file: Path, content: bytes, *, mode: int) -> bool:
    """Write a file whole, unless there is one of that name already."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        Path(temporary).chmod(mode)
        # A link, not a rename: it never takes the place of another file.
        os.link(temporary, file)
    except FileExistsError:
        return False
    finally:
        Path(temporary).unlink(missing_ok=True)
    sync_folder(file.parent)
    return True


def _no_name(notebook: Executed, folder: Path) -> NotebookInvalid:
    return NotebookInvalid(folder / notebook.name, f"{MOST_NAMES} copies", "a free name", hint=f"ls {folder}")
