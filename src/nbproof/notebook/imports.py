"""What code brings in from elsewhere: modules, search paths and scripts, found without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from posixpath import join as joined
from typing import TypeGuard

from .syntax import cell_tree, python_tree


@dataclass(frozen=True, slots=True, order=True)
class ImportedName:
    """One import: `from ..a import b` has module "a", level 2 and names ("b",); `import a.b` has no names."""

    module: str
    level: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imports:
    """What some code brings in.

    `paths` are literal additions to `sys.path` and folders that the code changes into, `runs` literal scripts and
    notebooks that it runs (both as written). `dynamic` says that something is named only while the code runs.
    """

    modules: frozenset[ImportedName] = frozenset()
    paths: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    dynamic: bool = False

    def __or__(self, other: Imports) -> Imports:
        return Imports(
            self.modules | other.modules,
            self.paths | other.paths,
            self.runs | other.runs,
            self.dynamic or other.dynamic,
        )


def imports(sources: Iterable[str]) -> Imports:
    """Return what the code in `sources` (cells or whole modules) brings in, wherever in it that is said.

    Source that is no Python counts as dynamic: nothing is known of it.
    """
    found = Imports()
    for source in sources:
        found |= _imports(source)
    return found


@lru_cache(maxsize=4096)
def _imports(source: str) -> Imports:
    for parsed in (python_tree, cell_tree):
        try:
            return imports_in(parsed(source))
        except SyntaxError:
            continue
    return Imports(dynamic=True)


def imports_in(tree: ast.AST) -> Imports:
    """Return what the code of one syntax tree brings in."""
    found = _Found()
    for node in ast.walk(tree):
        found.visit(node)
    return Imports(frozenset(found.modules), frozenset(found.paths), frozenset(found.runs), found.dynamic)


# Magics that change the folder, load a module, or run a file.
_SCRIPT = re.compile(r"[^\s'\"=;|&<>()]+\.(?:py|ipynb|sh|bash|R|r|jl|pl|sql)(?![\w.])")
_SHELL_FOLDER = re.compile(r"(?:^|[;&|\n(])\s*(?:cd|pushd)\s+([^\s;&|)]+)")
_PYTHON_WITH_VARIABLE = re.compile(r"\b(?:python[\d.]*|ipython|papermill|jupyter)\s[^\n]*[{$]")
_RUN_MODULE = re.compile(r"(?:^|\s)-m\s+([A-Za-z_][\w.]*)")
_PATH_CALLS = {"append", "extend", "insert"}
_IMPORTERS = {"import_module", "__import__", "exec", "eval", "run_path", "run_module"}
_OPENERS = {"open", "Path"}
_SYS = {"sys", "_sys"}
_WATCHED = {"import_module", "run_path", "run_module", "chdir", "addsitedir", "spec_from_file_location"}
_NOT_PYTHON = {"html", "javascript", "js", "latex", "markdown", "svg", "writefile", "file", "perl", "ruby"}


@dataclass(slots=True)
class _Found:
    """What was found so far."""

    modules: set[ImportedName] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    dynamic: bool = False
    _called: set[int] = field(default_factory=set)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self.modules.update(ImportedName(alias.name) for alias in node.names)
            self.dynamic |= any(alias.name == "sys" and alias.asname not in {None, *_SYS} for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            self.modules.add(ImportedName(node.module or "", node.level, names))
            # Under another name these calls would not be recognised below.
            self.dynamic |= any(alias.asname and alias.name in _WATCHED for alias in node.names)
            self.dynamic |= node.module == "sys" and bool({"path", "meta_path", "path_hooks"} & {*names})
        elif isinstance(node, ast.Call):
            self._visit_call(node)
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            self._visit_assignment(node)
        elif isinstance(node, ast.List | ast.Tuple):
            self._visit_command(node)
        elif isinstance(node, ast.Constant):
            self._visit_constant(node.value)
        elif isinstance(node, ast.JoinedStr):
            # `f"plugins/{name}.py"` names a script that only the running code knows.
            last = node.values[-1] if node.values else None
            self.dynamic |= isinstance(last, ast.Constant) and _names_script(last.value)
        elif isinstance(node, ast.BinOp):
            self._take_script(_literal_path(node))
        elif isinstance(node, ast.Name | ast.Attribute):
            # Handed around under another name, these would not be recognised where they are called.
            self.dynamic |= _last_name(node) in _IMPORTERS and id(node) not in self._called

    def _visit_constant(self, value: object) -> None:
        # Whatever it is handed to (runpy, a subprocess, a loader), a script's name says that it matters.
        self._take_script(value)
        # Whoever sets this variable decides where other processes look names up.
        self.dynamic |= value == "PYTHONPATH"

    def _take_script(self, path: object) -> None:
        if _names_script(path):
            self.dynamic |= "*" in path
            self.runs.add(path)

    def _visit_call(self, call: ast.Call) -> None:
        self._called.add(id(call.func))
        called = _last_name(call.func)
        on = _last_name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        is_builtin = isinstance(call.func, ast.Name) or on in {"builtins", "__builtins__"}
        self._take_script(_literal_path(call))
        if called in {"import_module", "__import__"}:
            self._visit_import_call(call)
        elif called == "run_module":
            self._take_module(call.args[0] if call.args else None)
        elif called in {"run_path", "spec_from_file_location", "SourceFileLoader", "execfile"}:
            self.dynamic |= not any(_literal_path(argument) for argument in _arguments(call))
        elif called in _PATH_CALLS and _is_sys_path(call.func.value if isinstance(call.func, ast.Attribute) else None):
            self._take_paths(call.args[-1] if call.args else None)
        elif called in {"addsitedir", "chdir", "fchdir"}:
            self._take_paths(call.args[0] if call.args else None)
        elif called in {"exec", "eval"} and is_builtin:
            self._visit_exec(call)
        elif on == "get_ipython" or called in {"run_line_magic", "run_cell_magic", "system", "getoutput"}:
            self._visit_ipython(called, call)

    def _visit_import_call(self, call: ast.Call) -> None:
        name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        if not isinstance(name, str):
            self.dynamic = True
            return
        # `__import__("a", fromlist=names)` imports more than it names.
        self.dynamic |= _last_name(call.func) == "__import__" and len(call.args) + len(call.keywords) > 1
        level = len(name) - len(name.lstrip("."))
        # `import_module(".a", package)` is relative to a package that only the running code knows.
        self.dynamic |= bool(level)
        self.modules.add(ImportedName(name.lstrip("."), level))

    def _take_module(self, node: ast.expr | None) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.modules.update({ImportedName(node.value), ImportedName(f"{node.value}.__main__")})
        else:
            self.dynamic = True

    def _take_paths(self, node: ast.expr | None) -> None:
        items = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
        for item in items:
            path = _literal_path(item) if item is not None else None
            # `[*sys.path, "lib"]` adds one folder to those that are there already.
            if isinstance(item, ast.Starred) and _is_sys_path(item.value):
                continue
            if path is None:
                self.dynamic = True
            else:
                self.paths.add(path)

    def _visit_assignment(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            held = target.value if isinstance(target, ast.Subscript) else target
            if _is_sys_path(held):
                self._take_paths(node.value)
            # These decide where names are looked up, in ways that no reader can follow.
            self.dynamic |= _last_name(held) in {"__path__", "meta_path", "path_hooks"}

    def _visit_command(self, node: ast.List | ast.Tuple) -> None:
        """Take `[…, "-m", "module", …]`, as handed to a subprocess."""
        words = [item.value if isinstance(item, ast.Constant) else None for item in node.elts]
        for flag, name in pairwise(words):
            if flag == "-m" and isinstance(name, str) and re.fullmatch(r"[A-Za-z_][\w.]*", name):
                self.modules.update({ImportedName(name), ImportedName(f"{name}.__main__")})

    def _visit_exec(self, call: ast.Call) -> None:
        source = call.args[0] if call.args else None
        if isinstance(source, ast.Constant) and isinstance(source.value, str):
            self._merge(_imports(source.value))
            return
        # `exec(open("x.py").read())` runs a file that it names.
        opened = [node for node in ast.walk(call) if isinstance(node, ast.Call) and _last_name(node.func) in _OPENERS]
        named = [_literal_path(node.args[0]) for node in opened if node.args]
        self.runs.update(path for path in named if path is not None)
        self.dynamic |= not named or None in named

    def _visit_ipython(self, called: str, call: ast.Call) -> None:
        words = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        texts = [word for word in words if isinstance(word, str)]
        if called in {"system", "getoutput"}:
            self._take_shell(" ".join(texts))
        elif called in {"run_line_magic", "run_cell_magic"} and len(texts) < len(call.args):
            self.dynamic = True
        elif called == "run_line_magic" and len(texts) >= 2:
            self._take_line_magic(texts[0], texts[1])
        elif called == "run_cell_magic" and len(texts) >= 3:
            self._take_cell_magic(*texts[:3])

    def _take_line_magic(self, name: str, line: str) -> None:
        if name == "cd":
            self._take_folder(line)
        elif name in {"load_ext", "reload_ext", "aimport"}:
            self.modules.update(ImportedName(word) for word in re.findall(r"[A-Za-z_][\w.]*", line))
        elif name == "run":
            self._take_run(line)
        elif name in {"env", "set_env"}:
            self.dynamic |= "PYTHONPATH" in line
        elif name in {"time", "timeit", "prun", "memit", "mprun", "lprun"}:
            # The statement after the options is Python; options alone change nothing.
            self._merge_python(re.sub(r"^(?:\s*-\w+\s*\d*)+", "", line).strip())
        else:
            self._take_shell(line)

    def _take_cell_magic(self, name: str, line: str, body: str) -> None:
        self._take_shell(line)
        if name in {"bash", "sh", "script", "cmd", "sx", "system", "!"}:
            self._take_shell(body)
        elif name not in _NOT_PYTHON:
            self._merge_python(body)

    def _take_run(self, line: str) -> None:
        module = _RUN_MODULE.search(line)
        if module:
            self.modules.update({ImportedName(module[1]), ImportedName(f"{module[1]}.__main__")})
            return
        words = [word.strip("'\"") for word in line.split() if not word.startswith("-")]
        if not words or "{" in words[0] or "$" in words[0]:
            self.dynamic = True
            return
        script = words[0]
        self.runs.add(script if script.endswith((".py", ".ipynb")) else f"{script}.py")

    def _take_folder(self, line: str) -> None:
        folder = line.strip().strip("'\"")
        if not folder or folder.startswith("-") or "{" in folder or "$" in folder:
            self.dynamic = True
        else:
            self.paths.add(folder)

    def _take_shell(self, command: str) -> None:
        for script in _SCRIPT.findall(command):
            # IPython fills in {x} and $x from the notebook's variables.
            self.dynamic |= "{" in script or "$" in script
            self.runs.add(script)
        for name in _RUN_MODULE.findall(command):
            self.modules.update({ImportedName(name), ImportedName(f"{name}.__main__")})
        for folder in _SHELL_FOLDER.findall(command):
            self._take_folder(folder)
        # What a Python process runs may hang on a variable, and where it looks names up on PYTHONPATH.
        self.dynamic |= "PYTHONPATH" in command or _PYTHON_WITH_VARIABLE.search(command) is not None

    def _merge_python(self, source: str) -> None:
        try:
            tree = cell_tree(source)
        except SyntaxError:
            self.dynamic = True
            return
        self._merge(imports_in(tree))

    def _merge(self, other: Imports) -> None:
        self.modules |= other.modules
        self.paths |= other.paths
        self.runs |= other.runs
        self.dynamic |= other.dynamic


def _names_script(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.endswith((".py", ".ipynb")) and "\n" not in value


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_sys_path(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "path" and _last_name(node.value) in _SYS


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args
    yield from (keyword.value for keyword in call.keywords)


# A call of one of these with a path gives a path to the same place.
_UNCHANGED = {"str", "Path", "PurePath", "abspath", "realpath", "normpath", "fspath", "resolve", "absolute", "as_posix"}


def _literal_path(node: ast.expr) -> str | None:
    """Return the path that `node` spells out, relative to the folder the code runs in, or None.

    Followed are plain text and the usual ways to dress it: `str(Path("..").resolve() / "src")`,
    `os.path.abspath(os.path.join("..", "src"))`, `Path.cwd().parent`.
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _literal_join([node.left, node.right])
    if isinstance(node, ast.Attribute):
        if _last_name(node.value) in {"os", "path"} and node.attr in {"curdir", "pardir"}:
            return ".." if node.attr == "pardir" else "."
        before = _literal_path(node.value) if node.attr == "parent" else None
        return joined(before, "..") if before is not None else None
    return _literal_path_call(node) if isinstance(node, ast.Call) else None


def _literal_path_call(call: ast.Call) -> str | None:
    called = _last_name(call.func)
    if called in {"getcwd", "cwd"} and not call.args:
        return "."
    if isinstance(call.func, ast.Attribute) and called in {"resolve", "absolute", "as_posix"}:
        return _literal_path(call.func.value)
    if called == "dirname" and len(call.args) == 1:
        before = _literal_path(call.args[0])
        return joined(before, "..") if before is not None else None
    if called in {"join", "joinpath", "Path", "PurePath"} and call.args:
        on = [call.func.value] if called == "joinpath" and isinstance(call.func, ast.Attribute) else []
        return _literal_join([*on, *call.args])
    if called in _UNCHANGED and len(call.args) == 1:
        return _literal_path(call.args[0])
    return None


def _literal_join(nodes: list[ast.expr]) -> str | None:
    parts = [_literal_path(node) for node in nodes]
    found = [part for part in parts if part is not None]
    return joined(*found) if len(found) == len(parts) else None
