"""A plain pipeline.yaml read without Ploomber: what this reads means what Ploomber reads, and all else is Ploomber's.

Plain is a list of notebooks with their products, names, parameters and kernels, placeholders that `env.yaml` fills,
and an executor. Whatever is not surely plain (hooks, grids, clients, SQL, anything misspelt) is not read here at all:
`read` then returns None.
"""

from __future__ import annotations

import ast
import codecs
import getpass
import locale
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...records import Limits, Resources
from ..sources import notebooks
from ..sources.memory import Memory, key_of
from ..sources.notebooks import Notebook
from .declared import Declared
from .limits import checked_limits, checked_resources, checked_workers

OUR_EXECUTOR = "nbproof.run.executor.TaskExecutor"
LEVELS = 6
_TOP_KEYS = {"tasks", "meta", "executor"}
_TASK_KEYS = {"source", "product", "name", "class", "params", "upstream", "kernelspec_name", "nb_product_key"}
# What Ploomber takes for these when the file says nothing, or takes from the file without any consequence here.
_META: Mapping[str, Callable[[Any], bool]] = {
    "extract_upstream": lambda value: isinstance(value, bool),
    "extract_product": lambda value: value is False,
    "product_relative_to_source": lambda value: value is False,
    "jupyter_hot_reload": lambda value: isinstance(value, bool),
    "jupyter_functions_as_notebooks": lambda value: isinstance(value, bool),
}
_SOURCES = {".ipynb", ".py"}
_NOTEBOOKS = {".ipynb", ".html", ".md", ".rst", ".tex"}
_PLACEHOLDER = re.compile(r"\{\{ *([A-Za-z]\w*) *\}\}")
_MARKS = ("{{", "}}", "{%", "%}", "{#", "#}")
_LATER_MARKS = ("[[", "]]", "[%", "[#")
_OWN_NAMES = {"user", "cwd", "now", "root", "here", "git", "git_hash", "version", "env", "meta", "path"}
# A string of these alone names something: Python reads no value in it, unless it is one of the words.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = {"true": True, "false": False, "none": None, "null": None}


class _NotPlainError(Exception):
    """Something in the file is for Ploomber to read."""


@dataclass(frozen=True, slots=True)
class Executor:
    """What a pipeline says of our executor: how many workers, and of some tasks their limits and resources."""

    workers: int | None = None
    limits: Mapping[str, Limits] = field(default_factory=dict)
    resources: Mapping[str, Resources] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plain:
    """A pipeline as its file declares it, and the notebooks that it names."""

    tasks: Mapping[str, Declared]
    notebooks: Mapping[str, Notebook]
    executor: Executor


def read(file: Path, memory: Memory) -> Plain | None:
    """Read the pipeline `file`, or return None when it is not surely plain.

    Raises `NotebookInvalid`, `ContractInvalid` or `SettingsInvalid` for what Ploomber's way would find as well.
    """
    try:
        return _plain(file, memory)
    except _NotPlainError:
        return None


def _plain(file: Path, memory: Memory) -> Plain:
    _check_place(file)
    content = _content(file, memory)
    content = _Filling(file).filled({"tasks": content} if isinstance(content, list) else content)
    _need(isinstance(content, dict) and content.keys() <= _TOP_KEYS)
    meta = content.get("meta", {})
    _need(isinstance(meta, dict) and all(key in _META and _META[key](value) for key, value in meta.items()))
    entries = content.get("tasks")
    _need(isinstance(entries, list) and bool(entries))
    folders = _Folders()
    drafts = [_draft(file, entry, folders, reads_upstream=not meta.get("extract_upstream", True)) for entry in entries]
    of_name = {draft.task.name: draft for draft in drafts}
    _need(len(of_name) == len(drafts))
    executor = _executor(content.get("executor", "serial"))
    found = {name: notebooks.read(folders.resolved(draft.source), memory) for name, draft in of_name.items()}
    tasks = {name: _finished(draft, found[name]) for name, draft in of_name.items()}
    _need(all(above in tasks for task in tasks.values() for above in task.upstream))
    return Plain(tasks, found, executor)


def _need(holds: bool) -> None:
    if not holds:
        raise _NotPlainError


def _check_place(file: Path) -> None:
    """Where a setup.py lies near, or a variable names the file of placeholders, Ploomber has rules of its own."""
    folder = file.parent
    _need(bool(file.suffix) and folder.parent.name != "src" and folder != folder.parent)
    _need("PLOOMBER_ENV_FILENAME" not in os.environ)
    _need(not any((above / "setup.py").exists() for above in [folder, *folder.parents][:LEVELS]))


def _content(file: Path, memory: Memory) -> Any:
    """The YAML of `file`, every value a plain one and used once."""
    written = _written(file)
    key = key_of("yaml", written)
    kept = memory.recall(key)
    if kept is not None:
        return kept
    content = _parsed(written)
    _check_plain(content, set())
    memory.keep(key, content)
    return content


def _written(file: Path) -> bytes:
    try:
        written = file.read_bytes()
    except OSError:
        raise _NotPlainError from None
    # Ploomber reads in the encoding of the locale.
    _need(written.isascii() or codecs.lookup(locale.getpreferredencoding(False)).name == "utf-8")
    return written


def _parsed(written: bytes) -> Any:
    import yaml

    try:
        return yaml.safe_load(written.decode("utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _NotPlainError from None


def _check_plain(value: Any, seen: set[int]) -> None:
    """Raise unless `value` is made of lists, mappings and single values that JSON holds, none of them used twice."""
    if not isinstance(value, dict | list):
        _need(_is_single(value) and (type(value) is not float or math.isfinite(value)))
        return
    # An alias is one value in two places, which Ploomber fills twice.
    _need(id(value) not in seen)
    seen.add(id(value))
    _need(not isinstance(value, dict) or all(isinstance(key, str) for key in value))
    for held in value.values() if isinstance(value, dict) else value:
        _check_plain(held, seen)


class _Filling:
    """The placeholders of one pipeline with their values, and the words that Ploomber takes for values."""

    def __init__(self, file: Path) -> None:
        self._file = file
        declared = _env_file(file)
        # A file of placeholders that is wrong is wrong even where none of them is used.
        self._values = None if declared is None else _placeholders(file, declared)

    def filled(self, value: Any) -> Any:
        """`value` with every placeholder filled, and every text that spells a Python value as that value."""
        if isinstance(value, dict):
            return {key: self.filled(held) for key, held in value.items()}
        if isinstance(value, list):
            return [self.filled(held) for held in value]
        return _cast(self._replaced(value)) if isinstance(value, str) else value

    def _replaced(self, text: str) -> str:
        if not any(mark in text for mark in _MARKS):
            return text
        _need("\n" not in text and "\r" not in text)
        found = _PLACEHOLDER.sub(self._value, text)
        _need(not any(mark in _PLACEHOLDER.sub("", text) for mark in _MARKS))
        return found

    def _value(self, match: re.Match[str]) -> str:
        if self._values is None:
            self._values = _placeholders(self._file, None)
        _need(match[1] in self._values)
        return self._values[match[1]]


def _cast(text: str) -> Any:
    lower = text.lower()
    if lower in _WORDS:
        return _WORDS[lower]
    if _NAME.fullmatch(text):
        return text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = ast.literal_eval(text)
        except Exception:
            # Ploomber takes whatever is not Python as it is written.
            return text
    _need(_is_single(value) or _is_nested(value))
    return value


def _is_single(value: Any) -> bool:
    return value is None or type(value) in {bool, int, float, str}


def _is_nested(value: Any) -> bool:
    if type(value) is list:
        return all(_is_single(held) or _is_nested(held) for held in value)
    if type(value) is dict:
        return all(isinstance(key, str) and (_is_single(held) or _is_nested(held)) for key, held in value.items())
    return False


def _placeholders(file: Path, declared: Path | None) -> dict[str, str]:
    here = str(file.parent.resolve())
    values = {"here": here, "cwd": str(Path.cwd().resolve())}
    if file.name == "pipeline.yaml":
        values["root"] = here
    user = _user()
    if _NAME.fullmatch(user) and user.lower() not in _WORDS:
        values["user"] = user
    content = None if declared is None else _parsed(_written(declared))
    _need(content is None or isinstance(content, dict))
    _check_plain(content, set())
    spelled = {}
    for name, value in (content or {}).items():
        _need(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None and "__" not in name and name not in _OWN_NAMES)
        spelled[name] = _env_value(value, values)
    return {**values, **{name: value for name, value in spelled.items() if value is not None}}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise _NotPlainError from None


def _env_value(value: Any, known: Mapping[str, str]) -> str | None:
    """How a value of env.yaml is spelt where it is used; None for one that is not a single value."""
    if isinstance(value, dict | list):
        _need(not any(mark in repr(value) for mark in (*_MARKS, *_LATER_MARKS)) and "__" not in repr(value))
        return None
    if not isinstance(value, str):
        return str(value) if type(value) in {bool, int, float} else None
    _need(not any(mark in value for mark in _LATER_MARKS))
    if any(mark in value for mark in _MARKS):
        _need(all(match[1] in known for match in _PLACEHOLDER.finditer(value)))
        _need("\n" not in value and not any(mark in _PLACEHOLDER.sub("", value) for mark in _MARKS))
        value = _PLACEHOLDER.sub(lambda match: known[match[1]], value)
    cast = _cast(value)
    return str(cast) if _is_single(cast) else None


def _env_file(file: Path) -> Path | None:
    """The file of placeholders that belongs to `file`: in the working directory before the pipeline's own folder."""
    parts = file.name.split(".")
    names = ["env.yaml"] if len(parts) < 3 else [f"env.{parts[1]}.yaml", "env.yaml"]
    for name in names:
        for folder in (Path.cwd(), file.parent):
            if (folder / name).exists():
                _need((folder / name).is_file())
                return folder / name
    for name in names:
        # Ploomber refuses a file of placeholders whose name ends in .yml.
        _need(not any((folder / name).with_suffix(".yml").exists() for folder in (Path.cwd(), file.parent)))
    return None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A task before its notebook is read; `reads_upstream` says that the notebook names its upstream itself."""

    task: Declared
    source: Path
    asks_notebook: bool


def _draft(file: Path, entry: Any, folders: _Folders, *, reads_upstream: bool) -> _Draft:
    _need(isinstance(entry, dict) and entry.keys() <= _TASK_KEYS and {"source", "product"} <= entry.keys())
    source = entry["source"]
    _need(isinstance(source, str) and Path(source).suffix in _SOURCES and not any(m in source for m in _LATER_MARKS))
    _need(entry.get("class", "NotebookRunner") == "NotebookRunner")
    name = entry.get("name", Path(source).stem)
    _need(isinstance(name, str) and bool(name) and not any(mark in name for mark in (*_MARKS, *_LATER_MARKS)))
    key = entry.get("nb_product_key", "nb")
    kernel = entry.get("kernelspec_name")
    _need(isinstance(key, str) and (kernel is None or (isinstance(kernel, str) and bool(kernel))))
    products = _products(file, entry["product"], key, folders)
    task = Declared(
        name=name,
        given=_given(entry),
        upstream=_upstream(entry.get("upstream")) if reads_upstream else (),
        products=products,
        is_single=isinstance(entry["product"], str),
        kernel=kernel,
    )
    _need(reads_upstream or not entry.get("upstream"))
    return _Draft(task, file.parent / source, asks_notebook=not reads_upstream)


def _products(file: Path, product: Any, key: str, folders: _Folders) -> dict[str, Path]:
    written = {"nb": product} if isinstance(product, str) else product
    _need(isinstance(written, dict) and all(isinstance(path, str) and bool(path) for path in written.values()))
    _need(not any(mark in path for path in written.values() for mark in (*_MARKS, *_LATER_MARKS, "\n", "\r", "\0")))
    paths = {name: folders.resolved(file.parent / path) for name, path in written.items()}
    if not isinstance(product, str):
        _need(key in paths and (key == "nb" or "nb" not in paths))
        if key != "nb":
            paths["nb"] = paths.pop(key)
    _need(paths["nb"].suffix in _NOTEBOOKS)
    return paths


class _Folders:
    """Where paths lead, with each folder followed once for all that it holds."""

    def __init__(self) -> None:
        self._leads_to: dict[Path, Path] = {}

    def resolved(self, path: Path) -> Path:
        """The same as `path.resolve()`."""
        if path.name in {"", ".."} or path.is_symlink():
            return path.resolve()
        if path.parent not in self._leads_to:
            self._leads_to[path.parent] = path.parent.resolve()
        return self._leads_to[path.parent] / path.name


def _given(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    if "params" not in entry:
        return {}
    given: Any = entry["params"]
    _need(isinstance(given, dict) and not given.keys() & {"upstream", "product", "resources_"})
    # These are functions that Ploomber calls for their value.
    _need(not any(isinstance(value, str) and "::" in value for value in given.values()))
    _need(not any(isinstance(value, dict) and "dotted_path" in value for value in given.values()))
    return dict(given)


def _upstream(named: Any) -> tuple[str, ...]:
    names = [] if named is None else [named] if isinstance(named, str) else named
    _need(isinstance(names, list) and all(isinstance(name, str) and "*" not in name for name in names))
    return tuple(dict.fromkeys(names))


def _finished(draft: _Draft, notebook: Notebook) -> Declared:
    """The task with what its notebook says, as far as Ploomber would take the notebook."""
    said, task = notebook.said, draft.task
    _need(is_plain_notebook(notebook, task.kernel))
    if not draft.asks_notebook:
        return task
    _need(said.contract.says_upstream and not any("*" in name for name in said.contract.upstream))
    return replace(task, upstream=tuple(dict.fromkeys(said.contract.upstream)))


def is_plain_notebook(notebook: Notebook, kernel: str | None = None) -> bool:
    """Whether Ploomber takes `notebook` as it is, with the kernel of its own or another one."""
    said = notebook.said
    # Without a kernel in the file Ploomber guesses from its text.
    knows_kernel = said.names_kernel or kernel is not None or notebook.path.suffix == ".py"
    is_python = "ir" not in {kernel, said.kernel}
    is_plain = notebook.path.suffix in _SOURCES and not notebook.has_mark and not said.ends_in_parameters
    return is_plain and knows_kernel and is_python


def _executor(found: Any) -> Executor:
    if found in ("serial", "parallel"):
        return Executor()
    _need(isinstance(found, dict) and found.get("dotted_path") == OUR_EXECUTOR)
    _need(found.keys() <= {"dotted_path", "workers", "limits", "resources"})
    of_tasks = {name: found.get(name) for name in ("limits", "resources")}
    for held in of_tasks.values():
        _need(held is None or (isinstance(held, dict) and all(isinstance(each, dict) for each in held.values())))
    return Executor(
        checked_workers(found.get("workers")),
        checked_limits(of_tasks["limits"]),
        checked_resources(of_tasks["resources"]),
    )
