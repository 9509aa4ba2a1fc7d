"""Which of a notebook's imports could be done before it starts, and mean the same."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .syntax import cell_tree

# What is done through these may change what a later import does or leaves: variables, paths, filters, loggers, threads.
_STATE_MODULES = {"importlib", "locale", "logging", "multiprocessing", "os", "site", "sys", "warnings"}
_HARMLESS = {
    "logging": {"CRITICAL", "DEBUG", "ERROR", "INFO", "WARNING", "getLogger"},
    "os": {
        "PathLike", "cpu_count", "environ.get", "fspath", "getcwd", "getenv", "getpid", "linesep", "listdir",
        "makedirs", "mkdir", "name", "path", "remove", "rename", "scandir", "sep", "stat", "walk",
    },
    "sys": {
        "argv", "byteorder", "executable", "exit", "float_info", "getsizeof", "maxsize", "platform", "stderr", "stdout",
        "version", "version_info",
    },
}  # fmt: skip
_STATE_CALLS = {
    "addHandler", "chdir", "patch", "putenv", "setLevel", "set_num_interop_threads", "set_num_threads",
    "set_start_method", "use",
}  # fmt: skip
_STATE_MAGICS = {
    "autoreload", "cd", "conda", "env", "gui", "load_ext", "loadpy", "mamba", "micromamba", "pip", "pylab", "run",
    "set_env", "uv",
}  # fmt: skip
_INSTALLERS = ("pip", "conda", "mamba", "uv ", "apt", "poetry")


# They define names and nothing else, whatever the environment says.
_PLAIN = {"annotated_types", "typing_extensions"}


@dataclass(frozen=True, slots=True)
class ImportedAhead:
    """One module that may be imported ahead; `names` are what is taken from it, which may be modules, too."""

    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Use:
    """`module`, which may be a submodule, is used as an attribute of its package once `after` imports are done."""

    module: str
    after: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """The imports that may be done ahead, in their order, and why no more of them (None: these are all).

    `variables` are environment variables that the code sets before the first of them: they must be set then, too.
    `uses` are modules that nothing in the code has imported by name when it uses them.
    """

    imports: tuple[ImportedAhead, ...]
    because: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    uses: tuple[Use, ...] = ()


def ahead(sources: Iterable[str]) -> Ahead:
    """Return the imports at the top of `sources` (cells, or one whole module) that may be done before any of it runs.

    They end where something is done that a later import might notice. Imports that run only under a condition, in
    functions or in other blocks are left where they are.
    """
    reading = _Reading()
    for number, source in enumerate(sources, 1):
        try:
            tree = cell_tree(source)
        except SyntaxError:
            reading.because = reading.because or f"cell {number} cannot be read"
            continue
        for statement in tree.body:
            reading.read(statement, f"cell {number}")
    return reading.result()


def leaves_state_alone(sources: Iterable[str]) -> bool:
    """Whether nothing in `sources`, functions included, does what an import might notice whenever it is done."""
    for source in sources:
        try:
            tree = cell_tree(source)
        except SyntaxError:
            return False
        meanings = dict(
            meaning
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for meaning in _meanings(node)
        )
        for node in ast.walk(tree):
            bodies = node.body if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)) else []
            if isinstance(node, ast.Lambda):
                bodies = [ast.Expr(node.body)]
            if any(_state_touched(statement, meanings) for statement in bodies):
                return False
    return True


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    because: str | None = None
    imports: list[ImportedAhead] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    _meanings: dict[str, str] = field(default_factory=dict)
    _packages: dict[str, str] = field(default_factory=dict)
    _named: set[str] = field(default_factory=set)
    _uses: dict[str, int] = field(default_factory=dict)
    _late_uses: set[str] = field(default_factory=set)

    def read(self, statement: ast.stmt, where: str) -> None:
        """Read one statement at the top of a cell or a module."""
        if self.because is None:
            set_here = _variables_set(statement, self._meanings)
            if set_here is not None and all(_is_plain(found.module) for found in self.imports):
                self.variables.update(set_here)
            else:
                touched = _state_touched(statement, self._meanings)
                self.because = touched and f"{where} uses {touched} before its further imports"
        if self.because is None:
            self.imports.extend(_imports(statement))
        self._meanings.update(_meanings(statement))
        self._look_for_uses(statement)

    def result(self) -> Ahead:
        late = {module: len(self.imports) for module in self._late_uses}
        uses = tuple(Use(module, after) for module, after in {**late, **self._uses}.items())
        return Ahead(tuple(self.imports), self.because, dict(self.variables), uses)

    def _look_for_uses(self, statement: ast.stmt) -> None:
        pending: list[tuple[ast.AST, bool]] = [(statement, False)]
        while pending:
            node, is_late = pending.pop(0)
            self._note_import(node)
            name = _dotted(node, {}) if isinstance(node, ast.Attribute) else None
            if name is not None:
                self._note_use(name, is_late=is_late)
            # What stands in a function runs when it is called.
            is_deferred = is_late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            pending.extend((child, is_deferred) for child in ast.iter_child_nodes(node))

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._named.update(_with_packages(alias.name))
                meant = alias.name if alias.asname else alias.name.split(".")[0]
                self._packages[alias.asname or meant] = meant
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            self._named.update(_with_packages(node.module))
            for alias in node.names:
                self._named.add(f"{node.module}.{alias.name}")
                self._packages[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def _note_use(self, name: str, *, is_late: bool) -> None:
        first, _, rest = name.partition(".")
        if first not in self._packages:
            return
        for depth in range(1, rest.count(".") + 2):
            module = ".".join([self._packages[first], *rest.split(".")[:depth]])
            if module not in self._named and is_late:
                self._late_uses.add(module)
            elif module not in self._named:
                self._uses.setdefault(module, len(self.imports))


def _is_plain(module: str) -> bool:
    top = module.split(".")[0]
    return top in _PLAIN or top in sys.stdlib_module_names


def _with_packages(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[: depth + 1]) for depth in range(len(parts))}


def _imports(statement: ast.stmt) -> Iterator[ImportedAhead]:
    if isinstance(statement, ast.Import):
        yield from (ImportedAhead(alias.name) for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        if statement.module and not statement.level and statement.module != "__future__":
            yield ImportedAhead(statement.module, tuple(alias.name for alias in statement.names))
    elif isinstance(statement, ast.Try):
        # The usual way to say that a package is optional; a package that is not there is not imported ahead.
        for inner in statement.body:
            yield from _imports(inner)


def _meanings(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """The names by which the modules of state, and what is taken from them, are called from here on."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.asname or alias.name.split(".")[0], alias.name if alias.asname else alias.name.split(".")[0]
    elif isinstance(statement, ast.ImportFrom) and statement.module in _STATE_MODULES:
        for alias in statement.names:
            yield alias.asname or alias.name, f"{statement.module}.{alias.name}"


def _state_touched(statement: ast.stmt, meanings: Mapping[str, str]) -> str | None:
    """What of the process's state a statement may change when it runs, in words; None for nothing."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return None
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue  # it runs when it is called
        if isinstance(node, ast.Call) and (because := _state_called(node)):
            return because
        name = _dotted(node, meanings)
        if name is None:
            pending.extend(ast.iter_child_nodes(node))
        elif _is_state(name):
            return f"`{name}`"
    return None


def _variables_set(statement: ast.stmt, meanings: Mapping[str, str]) -> dict[str, str] | None:
    """The environment variables that a statement sets to values that stand there; None if it is no such statement."""
    if isinstance(statement, ast.Assign) and _is_text(statement.value):
        names = [
            str(target.slice.value)
            for target in statement.targets
            if isinstance(target, ast.Subscript)
            and _dotted(target.value, meanings) == "os.environ"
            and isinstance(target.slice, ast.Constant)
        ]
        if len(names) == len(statement.targets):
            return dict.fromkeys(names, ast.literal_eval(statement.value))
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or _dotted(call.func, meanings) != "os.environ.update" or call.args:
        return None
    if all(keyword.arg and _is_text(keyword.value) for keyword in call.keywords):
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    return None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_state(name: str) -> bool:
    module, _, rest = name.partition(".")
    if module not in _STATE_MODULES:
        return False
    return not any(rest == known or rest.startswith(f"{known}.") for known in _HARMLESS.get(module, ()))


def _state_called(call: ast.Call) -> str | None:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = [str(argument.value) for argument in call.args if isinstance(argument, ast.Constant)]
    if called in _STATE_CALLS:
        return f"`{called}()`"
    if called == "run_line_magic" and words and words[0] in _STATE_MAGICS:
        return f"`%{words[0]}`"
    if called in {"system", "getoutput", "run_cell_magic"} and any(
        installer in word for word in words for installer in _INSTALLERS
    ):
        return "a shell line that may install something"
    return None


def _dotted(node: ast.AST, meanings: Mapping[str, str]) -> str | None:
    """`a.b.c` with what `a` stands for; None for what is no such chain."""
    if isinstance(node, ast.Name):
        return meanings.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value, meanings)
        return f"{before}.{node.attr}" if before else None
    return None
