"""A notebook as a value: its cells, their tags and its kernel, read from .ipynb, .py or .md."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from ..errors import NotebookInvalid

SUFFIXES = (".ipynb", ".py", ".md")
KINDS = ("code", "markdown", "raw")
_EXPECTED = "a notebook of nbformat 4"

Kind = Literal["code", "markdown", "raw"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `id` is unique in its notebook and made from the cell's position where the file has none."""

    id: str
    kind: Kind
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A notebook; `content` is the whole nbformat 4 JSON, outputs included."""

    path: Path
    cells: tuple[Cell, ...]
    kernel: str = "python3"
    language: str = "python"
    content: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def node(self) -> Any:
        """Return the notebook as a fresh `nbformat.NotebookNode`, for the caller to change."""
        # nbformat takes a second to import, and `nbproof status` never needs a node.
        from nbformat.notebooknode import from_dict
        from nbformat.v4.rwbase import rejoin_lines

        return rejoin_lines(from_dict(copy.deepcopy(dict(self.content))))

    @property
    def is_python(self) -> bool:
        """Whether the code cells are Python, as IPython reads it."""
        return self.language.lower() in {"python", "python3", "ipython", "ipython3"}

    def tagged(self, tag: str) -> tuple[Cell, ...]:
        """Return the cells that carry `tag`, in order."""
        return tuple(cell for cell in self.cells if tag in cell.tags)


def read(path: Path) -> Document:
    """Return the notebook at `path`; raise `NotebookInvalid` when the file is none."""
    return parse(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Return what the file of the notebook at `path` holds; raise `NotebookInvalid` when it cannot be one."""
    _check_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotebookInvalid(path, f"a file that cannot be read ({error.strerror})", _EXPECTED) from error


def parse(path: Path, written: bytes) -> Document:
    """Return the notebook whose file `path` holds `written`; raise `NotebookInvalid` when that is none."""
    text = _text(path, written)
    content = _ipynb(path, text) if path.suffix == ".ipynb" else _text_notebook(path, text)
    content = _of_version_4(path, content)
    content = _with_ids(path, content)
    _check_schema(path, content)
    return _document(path, content)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise NotebookInvalid(path, "a folder", f"a file ending in {' or '.join(SUFFIXES)}", hint=f"ls {path}")
    if not path.exists():
        raise NotebookInvalid(path, "no such file", "a notebook", hint=f"ls {path.parent}")
    if path.suffix not in SUFFIXES:
        found = f"a file ending in `{path.suffix}`" if path.suffix else "a file without an ending"
        hint = f"jupytext --to ipynb {path}"
        raise NotebookInvalid(path, found, f"one ending in {' or '.join(SUFFIXES)}", hint=hint)


def _text(path: Path, written: bytes) -> str:
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"bytes that are no UTF-8 at offset {error.start}"
        raise NotebookInvalid(path, found, "UTF-8 text", hint=f"file {path}") from None
    if not text.strip():
        raise NotebookInvalid(path, "an empty file", _EXPECTED, hint=f"git checkout -- {path}")
    return text


def _ipynb(path: Path, text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        hint = f"git checkout -- {path}"
        # A cut leaves the decoder at the very end, or in a string that never closes.
        is_cut = text.startswith("{") and (error.pos >= len(text.rstrip()) or not text.rstrip().endswith("}"))
        found = f"a notebook cut short at line {error.lineno}" if is_cut else f"no JSON (line {error.lineno})"
        raise NotebookInvalid(path, found, "a whole notebook" if is_cut else _EXPECTED, hint=hint) from None
    except RecursionError:
        raise NotebookInvalid(path, "JSON nested too deeply", _EXPECTED) from None
    if not isinstance(content, dict) or "nbformat" not in content:
        raise NotebookInvalid(
            path, "JSON that is no notebook", _EXPECTED, hint=f"jupytext --to ipynb SCRIPT.py -o {path}"
        )
    return content


def _text_notebook(path: Path, text: str) -> Mapping[str, Any]:
    # jupytext imports nbformat: only those who have text notebooks wait for it.
    import jupytext  # type: ignore[import-untyped, unused-ignore]

    try:
        node = jupytext.reads(text, fmt={"extension": path.suffix})
    # jupytext lets the errors of whatever parser it uses through.
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise NotebookInvalid(path, f"text that jupytext cannot read ({reason})", "a notebook as text") from error
    return _without_drawn_ids(node)


def _of_version_4(path: Path, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Bring a notebook of an older version up to 4, as JupyterLab does when it opens one."""
    version = content["nbformat"]
    if version == 4 and not isinstance(version, bool):
        return content
    if isinstance(version, bool) or version not in (1, 2, 3):
        raise NotebookInvalid(path, f"nbformat {version!r}", "nbformat 4", hint="save it as nbformat 4 with JupyterLab")
    import nbformat

    try:
        node = nbformat.convert(nbformat.reader.reads(json.dumps(content)), 4)
    # nbformat lets through whatever goes wrong in files that only say they are notebooks.
    except Exception as error:
        hint = f"jupyter nbconvert --to notebook --inplace {path}"
        found = f"nbformat {version} that cannot be brought up to date"
        raise NotebookInvalid(path, found, "nbformat 4", hint=hint) from error
    return _without_drawn_ids(node)


def _without_drawn_ids(node: Any) -> Mapping[str, Any]:
    """Return the plain content of a notebook whose cells a library gave random ids; ours come from the position."""
    content = cast(dict[str, Any], json.loads(json.dumps(node)))
    for cell in content["cells"]:
        cell.pop("id", None)
    return content


def _with_ids(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return `content` as nbformat 4.5, where every cell has an id; equal files get equal ids."""
    cells = content.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise _invalid(path, "no list of cells @ $.cells")
    minor = content.get("nbformat_minor")
    if not isinstance(minor, int) or isinstance(minor, bool) or minor < 0:
        raise _invalid(path, "no whole number @ $.nbformat_minor")
    # Ids came with 4.5: an older file that has them holds an extra key, which nbformat refuses.
    own = [cell.get("id") if minor >= 5 else None for cell in cells]
    taken = {id_ for id_ in own if isinstance(id_, str)}
    seen: set[str] = set()
    numbered = []
    for number, (cell, id_) in enumerate(zip(cells, own, strict=True), start=1):
        if id_ is None or (isinstance(id_, str) and id_ in seen):
            id_ = _free_id(f"cell-{number}", taken)
            taken.add(id_)
        if isinstance(id_, str):
            seen.add(id_)
        numbered.append({**cell, "id": id_})
    return {**content, "nbformat_minor": max(minor, 5), "cells": numbered}


def _free_id(wanted: str, taken: set[str]) -> str:
    found, suffix = wanted, 2
    while found in taken:
        found, suffix = f"{wanted}-{suffix}", suffix + 1
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(line, str) for line in value))


def _is_count(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _is_id(value: object) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= 64:
        return False
    return value.isascii() and all(character.isalnum() or character in "-_" for character in value)


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict)


def _is_tags(metadata: object) -> bool:
    tags = metadata.get("tags", []) if isinstance(metadata, dict) else None
    return isinstance(tags, list) and all(isinstance(tag, str) and "," not in tag for tag in tags)


_OUTPUT_FIELDS: Mapping[str, Mapping[str, Callable[[object], bool]]] = {
    "stream": {"name": lambda value: isinstance(value, str), "text": _is_text},
    "display_data": {"data": _is_mapping, "metadata": _is_mapping},
    "execute_result": {"data": _is_mapping, "metadata": _is_mapping, "execution_count": _is_count},
    "error": {
        "ename": lambda value: isinstance(value, str),
        "evalue": lambda value: isinstance(value, str),
        "traceback": lambda value: isinstance(value, list) and _is_text(value),
    },
}


def _check_schema(path: Path, content: Mapping[str, Any]) -> None:
    """Check what the schema of nbformat 4.5 asks of all that nbproof, Papermill and the kernel read."""
    # nbformat's own validation would be three times the cost of everything else that `nbproof status` does.
    if not isinstance(content.get("metadata"), dict):
        raise _invalid(path, "no object @ $.metadata")
    spec = content["metadata"].get("kernelspec", {"name": "", "display_name": ""})
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise _invalid(path, "no name @ $.metadata.kernelspec")
    for index, cell in enumerate(content["cells"]):
        problem = _cell_problem(cell)
        if problem:
            raise _invalid(path, f"{problem[0]} @ $.cells[{index}]{problem[1]}")


def _cell_problem(cell: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what is wrong and where, or None."""
    if cell.get("cell_type") not in KINDS:
        return f"cell_type {cell.get('cell_type')!r}", ".cell_type"
    fields: dict[str, Callable[[object], bool]] = {"id": _is_id, "metadata": _is_mapping, "source": _is_text}
    if cell["cell_type"] == "code":
        fields |= {"outputs": lambda value: isinstance(value, list), "execution_count": _is_count}
    for name, fits in fields.items():
        if name not in cell or not fits(cell[name]):
            return f"{'a bad' if name in cell else 'no'} {name}", f".{name}"
    if not _is_tags(cell["metadata"]):
        return "bad tags", ".metadata.tags"
    for index, output in enumerate(cell.get("outputs", ())):
        problem = _output_problem(output)
        if problem:
            return problem, f".outputs[{index}]"
    return None


def _output_problem(output: object) -> str | None:
    kind = output.get("output_type") if isinstance(output, dict) else None
    if not isinstance(output, dict) or not isinstance(kind, str) or kind not in _OUTPUT_FIELDS:
        return "an output of no known output_type"
    for name, fits in _OUTPUT_FIELDS[kind].items():
        if name not in output or not fits(output[name]):
            return f"{'a bad' if name in output else 'no'} {name}"
    return None


def _invalid(path: Path, found: str) -> NotebookInvalid:
    hint = f"jupyter nbconvert --to notebook --inplace {path}"
    return NotebookInvalid(path, found, "what nbformat 4 asks for", hint=hint)


def _document(path: Path, content: Mapping[str, Any]) -> Document:
    metadata = content["metadata"]
    spec = metadata.get("kernelspec", {})
    language = spec.get("language") or metadata.get("language_info", {}).get("name")
    language = language or metadata.get("jupytext", {}).get("main_language") or "python"
    cells = tuple(
        Cell(cell["id"], cell["cell_type"], _joined(cell["source"]), tuple(cell["metadata"].get("tags", ())))
        for cell in content["cells"]
    )
    return Document(path, cells, spec.get("name") or "python3", language, content)


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
