"""What code touches beyond its names: settings that can be made again, and all that nobody can see from outside."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from .dataflow import Binding, Step, is_constant, names_read, root

_MOVE = "move it below the checkpoint, or the checkpoint above it"
# They read or bind names, or run code, that no reader of the source can see.
_BLIND = {"__import__", "breakpoint", "compile", "eval", "exec", "globals", "input", "locals"}
_BLIND_ALONE = {"dir", "vars"}
_BLIND_ABOVE = {"delattr", "exit", "quit", "setattr"}
# The shell's memory of earlier cells.
_HISTORY = {"In", "Out", "_", "__", "___", "_dh", "_i", "_ih", "_ii", "_iii", "_oh", "__annotations__", "__main__"}
# Whoever calls into these leaves connections, processes, sessions or callbacks behind.
_STATEFUL = {
    "IPython.core", "asyncio", "atexit", "code", "concurrent", "contextvars", "ctypes", "dask", "duckdb",
    "faulthandler", "fcntl", "ipykernel", "ipywidgets", "jax.config", "keras", "mlflow", "multiprocessing", "mmap",
    "psycopg", "pyspark", "ray", "resource", "sched", "selectors", "signal", "socket", "sqlalchemy", "sqlite3",
    "subprocess", "tensorflow", "threading", "tracemalloc", "wandb", "weakref",
}  # fmt: skip
# Statements that change a library's settings; with constant arguments they can be made once more.
_SETTINGS = {
    "IPython.display.set_matplotlib_formats", "locale.setlocale", "logging.basicConfig", "logging.disable",
    "matplotlib.pyplot.ioff", "matplotlib.pyplot.ion", "matplotlib.pyplot.rc", "matplotlib.pyplot.rcParams.update",
    "matplotlib.pyplot.style.use", "matplotlib.pyplot.switch_backend", "matplotlib.rc", "matplotlib.rcParams.update",
    "matplotlib.style.use", "matplotlib.use", "numpy.set_printoptions", "numpy.seterr", "os.chdir", "os.environ.pop",
    "os.environ.setdefault", "os.environ.update", "pandas.reset_option", "pandas.set_option", "seaborn.set",
    "seaborn.set_context", "seaborn.set_palette", "seaborn.set_style", "seaborn.set_theme", "sklearn.set_config",
    "sys.path.append", "sys.path.extend", "sys.path.insert", "sys.setrecursionlimit", "torch.set_default_dtype",
    "torch.set_deterministic_debug_mode", "torch.set_float32_matmul_precision", "torch.set_grad_enabled",
    "torch.set_num_interop_threads", "torch.set_num_threads", "torch.set_printoptions",
    "torch.use_deterministic_algorithms", "warnings.filterwarnings", "warnings.resetwarnings",
    "warnings.simplefilter",
}  # fmt: skip
# Called for an effect that is no state of the process: output, files, random states, their own arguments.
_HARMLESS = (
    "IPython.display.", "bisect.", "gc.collect", "heapq.", "joblib.dump", "json.dump", "matplotlib.pyplot.",
    "nbproof.notebook.products.", "nbproof.track.artifact", "nbproof.track.metrics", "nbproof.track.tags",
    "numpy.copyto", "numpy.fill_diagonal", "numpy.put", "numpy.random.", "numpy.save", "numpy.testing.",
    "os.makedirs", "os.mkdir", "os.remove", "os.rename", "os.replace", "os.rmdir", "os.unlink", "pandas.testing.",
    "pathlib.", "pickle.dump", "pprint.", "pyarrow.parquet.write_table", "random.", "seaborn.", "shutil.",
    "skops.io.dump", "sys.stderr.", "sys.stdout.", "time.sleep", "torch.cuda.manual_seed", "torch.manual_seed",
    "torch.nn.", "torch.random.manual_seed", "torch.save", "warnings.warn",
)  # fmt: skip
# Libraries of plain functions: what they return is all that they do.
_PURE = ("math.", "numpy.", "operator.", "pandas.", "scipy.", "sklearn.metrics.", "statistics.")
# What a setting may be built from: the same words give the same value.
_MAKERS = {"pathlib.Path", "pathlib.Path.cwd", "os.path.join", "os.path.abspath", "os.path.dirname", "os.getcwd", "str"}
_MAKER_METHODS = {"resolve", "absolute", "as_posix", "joinpath", "expanduser"}
_DECORATORS = {
    "abc.abstractmethod", "classmethod", "contextlib.contextmanager", "dataclasses.dataclass",
    "functools.total_ordering", "functools.wraps", "property", "staticmethod", "torch.inference_mode",
    "torch.no_grad", "typing.final", "typing.no_type_check", "typing.overload", "typing.override",
    "typing.runtime_checkable",
}  # fmt: skip
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Hazard:
    """Something that a checkpoint cannot keep, or a reader cannot see; `cell` counts from 0."""

    cell: int
    line: int
    found: str
    hint: str = _MOVE


def aliases(trees: Collection[ast.Module]) -> dict[str, str]:
    """What each imported name stands for, wherever it is imported: `np` for `numpy`, `DataFrame` for `pandas.…`."""
    found: dict[str, str] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{'.' * node.level}{node.module or ''}.{alias.name}"
    return found


def dotted(node: ast.AST, imported: Mapping[str, str]) -> str:
    """The full name of `np.random.seed`: `numpy.random.seed`; "" for what is no plain name."""
    if isinstance(node, ast.Name):
        return imported.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, imported)
        return f"{before}.{node.attr}" if before else ""
    return ""


def spoken(node: ast.AST, imported: Mapping[str, str]) -> str:
    """Like `dotted`, also through calls: `logging.getLogger("a").setLevel` is `logging.getLogger.setLevel`."""
    if isinstance(node, ast.Call):
        return spoken(node.func, imported)
    if isinstance(node, ast.Attribute):
        before = spoken(node.value, imported)
        return f"{before}.{node.attr}" if before else ""
    return dotted(node, imported)


def origin(node: ast.AST) -> ast.AST:
    """What `a.b()[0].c` hangs on, calls included: `a`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node


def is_imported(node: ast.AST, imported: Mapping[str, str]) -> bool:
    """Whether `node` hangs on an imported name, perhaps through calls."""
    start = origin(node)
    return isinstance(start, ast.Name) and start.id in imported


def is_setting(node: ast.stmt, imported: Mapping[str, str]) -> bool:
    """Whether a top-level statement only sets something in a library, and would set the same when run once more."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        if _is_inline(call):
            return True
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        return dotted(call.func, imported) in _SETTINGS and all(_is_repeatable(value, imported) for value in values)
    if isinstance(node, ast.Assign) and is_imported(node.targets[0], imported):
        places = [target for target in node.targets if isinstance(target, ast.Attribute | ast.Subscript)]
        keys = [target.slice for target in places if isinstance(target, ast.Subscript)]
        return len(places) == len(node.targets) and all(_is_repeatable(one, imported) for one in (node.value, *keys))
    return False


def above(steps: Collection[Step], imported: Mapping[str, str], defined: Collection[str]) -> Iterator[Hazard]:
    """What the statements above a checkpoint do that it could not keep."""
    # The last expression of a cell is there to be shown.
    last = {step.cell: step for step in steps}
    for step in steps:
        if not is_setting(step.node, imported):
            for line, found, *hint in _hazards(step.node, imported, defined, is_shown=last[step.cell] is step):
                yield Hazard(step.cell, line, found, *hint)


def below(steps: Collection[Step], imported: Mapping[str, str], bound: Collection[str]) -> Iterator[Hazard]:
    """What the statements below a checkpoint read that no reader of them can see."""
    for step in steps:
        for node in ast.walk(step.node):
            if isinstance(node, ast.Call) and _is_inline(node):
                break
        else:
            for node in ast.walk(step.node):
                if found := _blind(node, imported, bound):
                    hint = "read the names that it needs in plain code"
                    yield Hazard(step.cell, getattr(node, "lineno", step.node.lineno), found, hint)


def unrepeatable(
    binding: Binding, imported: Mapping[str, str], available: Collection[str]
) -> Iterator[tuple[int, str]]:
    """Why a function or class cannot simply be defined again: line and reason."""
    node = binding.step.node
    if isinstance(node, ast.Assign):
        assert isinstance(node.value, ast.Lambda)
        yield from _function(node.value, imported, available)
    elif isinstance(node, ast.ClassDef):
        yield from _class(node, imported, available)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _function(node, imported, available)


def _hazards(
    node: ast.AST,
    imported: Mapping[str, str],
    defined: Collection[str],
    *,
    guarded: bool = False,
    is_shown: bool = False,
) -> Iterator[tuple[int, str] | tuple[int, str, str]]:
    line = getattr(node, "lineno", 1)
    if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
        yield line, f"`from {node.module or '.'} import *`", "name what you import"
    if found := _blind(node, imported, (), _BLIND | _BLIND_ABOVE):
        yield line, found
    is_store = isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
    if is_store and (found := _foreign_store(node, imported, defined)):
        yield line, found
    if isinstance(node, ast.Call):
        called = dotted(node.func, imported) if is_imported(node.func, imported) else ""
        if any(f"{called}.".startswith(f"{name}.") for name in _STATEFUL):
            yield line, f"a call of `{called}`, whose state lies outside the notebook's names"
        elif called in _SETTINGS and not (guarded and called.startswith("warnings.")):
            yield (
                line,
                f"`{called}` with values that are not constant, or not at the top level",
                "set it in plain words",
            )
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call) and is_imported(call.func, imported) and not is_shown:
            called = spoken(call.func, imported) or ast.unparse(call.func)
            harmless = called.startswith((*_HARMLESS, *_PURE)) or _makes_object(call.func, imported)
            if not harmless and called not in _SETTINGS and not _is_stateful(called):
                yield line, f"`{called}(…)`, called for an effect that is not known"
    for handed in _handed_on(node):
        if isinstance(handed, ast.Name) and handed.id in imported and "." not in imported[handed.id]:
            yield (
                line,
                f"the module `{handed.id}` handed on, so that it may be changed unseen",
                "use it by its own name",
            )
    if isinstance(node, ast.With):
        contexts = (
            dotted(item.context_expr.func, imported) for item in node.items if isinstance(item.context_expr, ast.Call)
        )
        guarded = guarded or "warnings.catch_warnings" in contexts
    for child in ast.iter_child_nodes(node):
        yield from _hazards(child, imported, defined, guarded=guarded)


def _makes_object(node: ast.AST, imported: Mapping[str, str]) -> bool:
    """Whether a chain of calls begins with a class, so that what it changes is an object of its own."""
    first: ast.AST = node
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        first = node.func if isinstance(node, ast.Call) else first
        node = node.func if isinstance(node, ast.Call) else node.value
    return dotted(first, imported).rpartition(".")[2][:1].isupper()


def _handed_on(node: ast.AST) -> list[ast.expr]:
    """The values that a statement or call gives to another name."""
    if isinstance(node, ast.Call):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr | ast.Return) and node.value is not None:
        return [node.value]
    return list(node.elts) if isinstance(node, ast.List | ast.Tuple) else []


def _is_stateful(called: str) -> bool:
    return any(f"{called}.".startswith(f"{name}.") for name in _STATEFUL)


def _blind(node: ast.AST, imported: Mapping[str, str], bound: Collection[str], blind: Collection[str] = _BLIND) -> str:
    """What of `node` reads or binds names that nobody can see, in words; "" where nothing does."""
    if isinstance(node, ast.Name) and node.id not in bound:
        if node.id in _HISTORY or (node.id[:1] == "_" and node.id.lstrip("_i").isdigit()):
            return f"`{node.id}`, which the shell keeps of earlier cells" if isinstance(node.ctx, ast.Load) else ""
        if node.id == "get_ipython":
            return "a magic or a shell line"
        if node.id in blind:
            return f"`{node.id}`, which names what only the running code knows"
    if isinstance(node, ast.Attribute) and node.attr in {"f_globals", "f_locals", "f_back", "__globals__", "__dict__"}:
        return f"`.{node.attr}`, which reaches names that only the running code knows"
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in _BLIND_ALONE and not node.args:
            return f"`{node.func.id}()`, which names what only the running code knows"
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"query", "eval"} and node.args:
            text = node.args[0]
            if not isinstance(text, ast.Constant):
                return f"`.{node.func.attr}(…)` with a text that only the running code knows"
    full = dotted(node, imported) if isinstance(node, ast.Attribute | ast.Name) else ""
    if full in {"sys.modules", "sys._getframe", "inspect.currentframe", "inspect.stack", "__main__", "builtins"}:
        return f"`{full}`, which reaches names that only the running code knows"
    return ""


def _foreign_store(node: ast.AST, imported: Mapping[str, str], defined: Collection[str]) -> str:
    shown = ast.unparse(node)
    if is_imported(node, imported):
        return f"a change of `{shown}`, which lies outside the notebook's names"
    start = root(node)
    names = {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
    if isinstance(start, ast.Name) and (start.id in defined or start.id == "cls"):
        return f"a change of `{shown}`, which is part of a definition"
    if "__class__" in names or (
        isinstance(start, ast.Call) and isinstance(start.func, ast.Name) and start.func.id == "type"
    ):
        return f"a change of `{shown}`, which is part of a class"
    return ""


def _is_inline(call: ast.Call) -> bool:
    """`%matplotlib inline`, as IPython spells it."""
    return ast.unparse(call) == "get_ipython().run_line_magic('matplotlib', 'inline')"


def _is_repeatable(node: ast.AST, imported: Mapping[str, str]) -> bool:
    if is_constant(node):
        return True
    if isinstance(node, ast.Name | ast.Attribute):
        start = root(node)
        is_known = isinstance(start, ast.Name) and start.id in imported
        return is_known or (isinstance(node, ast.Name) and node.id in _BUILTINS)
    if isinstance(node, ast.Call):
        is_method = isinstance(node.func, ast.Attribute) and node.func.attr in _MAKER_METHODS
        known = dotted(node.func, imported) in _MAKERS or (is_method and _is_repeatable(node.func.value, imported))  # type: ignore[attr-defined]
        return known and all(_is_repeatable(one, imported) for one in (*node.args, *(k.value for k in node.keywords)))
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return all(_is_repeatable(item, imported) for item in node.elts)
    if isinstance(node, ast.Dict):
        return all(one is not None and _is_repeatable(one, imported) for one in (*node.keys, *node.values))
    if isinstance(node, ast.Attribute | ast.Subscript):
        return False
    return isinstance(node, ast.BinOp) and _is_repeatable(node.left, imported) and _is_repeatable(node.right, imported)


def _function(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, imported: Mapping[str, str], available: Collection[str]
) -> Iterator[tuple[int, str]]:
    if not isinstance(node, ast.Lambda):
        yield from _decorators(node.decorator_list, imported)
    for default in (*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)):
        if not (is_constant(default) or _is_available_name(default, available)):
            yield default.lineno, f"a default `{ast.unparse(default)}` that is no constant"
    annotations = [inner.annotation for inner in ast.walk(node.args) if isinstance(inner, ast.arg) and inner.annotation]
    if not isinstance(node, ast.Lambda) and node.returns:
        annotations.append(node.returns)
    for annotation in annotations:
        yield from _unavailable(annotation, available)


def _class(node: ast.ClassDef, imported: Mapping[str, str], available: Collection[str]) -> Iterator[tuple[int, str]]:
    yield from _decorators(node.decorator_list, imported)
    for part in (*node.bases, *(keyword.value for keyword in node.keywords)):
        yield from _unavailable(part, available)
        if any(isinstance(inner, ast.Call) for inner in ast.walk(part)):
            yield part.lineno, f"a base `{ast.unparse(part)}` that is made by a call"
    for inside in node.body:
        yield from _class_part(inside, imported, available)


def _class_part(part: ast.stmt, imported: Mapping[str, str], available: Collection[str]) -> Iterator[tuple[int, str]]:
    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _function(part, imported, {*available, *_BUILTINS})
    elif isinstance(part, ast.ClassDef):
        yield from _class(part, imported, available)
    elif isinstance(part, ast.AnnAssign) and (is_constant(part.value) or _is_field(part.value, imported)):
        yield from _unavailable(part.annotation, available)
    elif isinstance(part, ast.Assign) and (is_constant(part.value) or _is_available_name(part.value, available)):
        return
    elif not (isinstance(part, ast.Pass) or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))):
        yield (
            part.lineno,
            f"`{ast.unparse(part).splitlines()[0]}` in a class, which could change or depend on the moment",
        )


def _decorators(found: list[ast.expr], imported: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for decorator in found:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        is_setter = isinstance(called, ast.Attribute) and called.attr in {"setter", "getter", "deleter"}
        if dotted(called, imported) not in _DECORATORS and not is_setter:
            yield decorator.lineno, f"the decorator `{ast.unparse(decorator)}`, which may remember something"


def _is_field(node: ast.expr | None, imported: Mapping[str, str]) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func, imported) == "dataclasses.field"


def _is_available_name(node: ast.expr, available: Collection[str]) -> bool:
    start = root(node)
    is_plain = isinstance(node, ast.Name | ast.Attribute) and isinstance(start, ast.Name)
    return is_plain and isinstance(start, ast.Name) and (start.id in available or start.id in _BUILTINS)


def _unavailable(node: ast.AST, available: Collection[str]) -> Iterator[tuple[int, str]]:
    for name in sorted(names_read(node)):
        if name not in available and name not in _BUILTINS:
            yield getattr(node, "lineno", 1), f"`{name}`, a variable that it reads when it is defined"
