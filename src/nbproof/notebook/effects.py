"""What a statement does to the notebook's names: reads them, binds them, and changes the objects they stand for.

Nothing is executed. What a name stands for is known in three grades (`Nature`); whatever is not recognised counts as
able to change all that it can reach. So a change may be reported that never happens, and none is overlooked, save what
the documentation of hidden state lists.
"""

from __future__ import annotations

import ast
import builtins
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache

from . import dataflow, hidden_state
from .dataflow import Step
from .hidden_state import dotted, origin
from .syntax import cell_tree


class Nature(IntEnum):
    """How an object can change: never; when it is told to; perhaps by being looked at, as an iterator does."""

    FIXED = 0
    DATA = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the object that a name stands for.

    `is_table` says that it is an array or a frame. `carries` are the names that using the object may read, `writes`
    those that it may bind: a function reads and binds when it is called, and an object of the notebook's own class
    when one of its methods is.
    """

    nature: Nature
    definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | None = None
    module: str = ""
    instance_of: str = ""
    is_table: bool = False
    carries: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Effect:
    """What one statement does.

    It may read all of `reads`, and `may_read` where objects hold code that nobody could read. `certainly` are those of
    `binds` that are bound whatever the values are; the others may keep what they stood for, and so hang on it without
    the statement reading it. `changes` names objects that the words of the code change, `may_change` those that a call
    might. What is bound or changed may afterwards be, or hold, an object of `links`. `blind` says why the statement may
    read and change what no reader of it can see; "" where it cannot.
    """

    reads: frozenset[str]
    may_read: frozenset[str]
    binds: Mapping[str, Known]
    certainly: frozenset[str]
    changes: frozenset[str]
    may_change: frozenset[str]
    links: frozenset[str]
    hands_on_open: bool
    blind: str = ""
    is_starred: bool = False


# Carried by what code has made that nobody could read.
ANYTHING = "*"
RANDOM = "the random state"
FILES = "files"
_SEEDS = {"random.seed", "numpy.random.seed", "torch.manual_seed", "torch.random.manual_seed"}
_OWN_STATE = ("default_rng", "Generator", "RandomState", "SeedSequence", "Random", "SystemRandom", "PCG64", "MT19937")
_IMPLICIT = {"fit", "fit_transform", "fit_predict", "sample", "train_test_split", "cross_val_score", "shuffle"}
_READERS = {"open", "load", "loadtxt", "genfromtxt", "read_text", "read_bytes", "imread", "exists", "glob", "listdir"}
_WRITERS = {
    "dump", "imsave", "remove", "rename", "replace", "rmtree", "save", "savefig", "savetxt", "savez", "unlink",
    "write_bytes", "write_table", "write_text", "makedirs", "mkdir", "copy", "copyfile", "move", "system", "getoutput",
}  # fmt: skip

_FIXED_CALLS = {
    "ascii", "bin", "bool", "bytes", "callable", "chr", "complex", "display", "float", "format", "hasattr", "hash",
    "hex", "id", "int", "isinstance", "issubclass", "len", "oct", "ord", "print", "range", "repr", "slice", "str",
    "type",
}  # fmt: skip
_GATHERING_CALLS = {
    "abs", "bytearray", "dict", "divmod", "frozenset", "list", "max", "min", "pow", "round", "set", "sorted", "sum",
    "tuple", "all", "any",
}  # fmt: skip
_STREAMING_CALLS = {"enumerate", "filter", "iter", "map", "reversed", "zip"}
_LOOKING_CALLS = _FIXED_CALLS - {"bytes"} | {"open", "getattr", "object", "property", "super", "vars", "dir"}
_QUIET_CALLS = _FIXED_CALLS | _GATHERING_CALLS | _STREAMING_CALLS | _LOOKING_CALLS
BUILTINS = frozenset(dir(builtins)) | {"display"}
# Libraries whose functions leave their arguments as they are.
_QUIET_LIBRARIES = (
    "IPython.display.", "collections.", "copy.", "datetime.", "decimal.", "fractions.", "functools.", "itertools.",
    "json.", "math.", "matplotlib.", "numpy.", "operator.", "os.", "pandas.", "pathlib.", "pprint.", "re.", "scipy.",
    "seaborn.", "sklearn.", "statistics.", "string.", "textwrap.", "time.", "warnings.", "logging.", "typing.",
    "random.", "dataclasses.", "enum.", "types.", "contextlib.", "uuid.", "hashlib.", "base64.", "csv.", "yaml.",
)  # fmt: skip
_CHANGERS = {
    "numpy.copyto", "numpy.fill_diagonal", "numpy.put", "numpy.place", "numpy.putmask", "numpy.put_along_axis",
    "numpy.random.shuffle", "random.shuffle", "heapq.heappush", "heapq.heappop", "heapq.heapify", "bisect.insort",
    "operator.setitem", "operator.delitem", "operator.iadd", "collections.deque.append",
}  # fmt: skip
_DATA_LIBRARIES = ("numpy.", "pandas.", "math.", "statistics.", "copy.", "datetime.", "decimal.", "fractions.")
_CHANGING_METHODS = {
    "__delitem__", "__setitem__", "add", "add_", "append", "appendleft", "clear", "close", "difference_update",
    "discard", "extend", "fill", "fit", "insert", "intersection_update", "load_state_dict", "move_to_end",
    "partial_fit", "popitem", "popleft", "read", "readline", "readlines", "remove", "reverse", "send", "setdefault",
    "setflags", "sort", "step", "subtract", "symmetric_difference_update", "throw", "train", "write", "writelines",
    "zero_grad", "__next__",
}  # fmt: skip
_CALM_METHODS = {
    "abs", "agg", "aggregate", "all", "any", "argmax", "argmin", "argsort", "as_posix", "assign", "astype",
    "bit_length", "capitalize", "casefold", "clip", "conjugate", "copy", "corr", "count", "cov", "cummax", "cummin",
    "cumprod", "cumsum", "date", "decision_function", "decode", "describe", "diff", "difference", "dot", "drop",
    "drop_duplicates", "dropna", "duplicated", "encode", "endswith", "eq", "explode", "fillna", "find", "flatten",
    "format", "ge", "get", "get_params", "groupby", "gt", "head", "hexdigest", "hist", "idxmax", "idxmin", "index",
    "info", "intersection", "is_integer", "isalpha", "isdigit", "isin", "isna", "isnull", "isoformat", "issubset",
    "item", "items", "join", "keys", "kurt", "le", "legend", "ljust", "lower", "lstrip", "lt", "mask", "max", "mean",
    "median", "melt", "memory_usage", "merge", "min", "mode", "ne", "nlargest", "notna", "notnull", "now", "nsmallest",
    "nunique", "pct_change", "pivot", "pivot_table", "plot", "plot_importance", "predict", "predict_proba", "prod",
    "quantile", "query", "rank", "ravel", "reindex", "rename", "replace", "resample", "reset_index", "reshape",
    "resolve", "rjust", "rolling", "round", "rstrip", "sample", "score", "sem", "set_index", "set_title", "set_xlabel",
    "set_ylabel", "shift", "show", "skew", "sort_index", "sort_values", "split", "splitlines", "squeeze", "stack",
    "startswith", "std", "strftime", "strip", "sum", "swapcase", "tail", "title", "to_csv", "to_dict", "to_excel",
    "to_frame", "to_json", "to_list", "to_markdown", "to_numpy", "to_parquet", "to_string", "today", "tolist",
    "total_seconds", "transform", "transpose", "union", "unique", "unstack", "upper", "value_counts", "values", "var",
    "where", "xs", "zfill",
}  # fmt: skip
_VIEW_METHODS = {"get", "item", "items", "keys", "ravel", "reshape", "squeeze", "to_numpy", "transpose", "values", "xs"}
_OPEN_METHODS = {"iterrows", "itertuples", "finditer", "iterdir"}
_MAKERS = {"__init__", "__new__", "__post_init__"}
_INLINE_MAGICS = {"time", "capture"}
_READING_MAGICS = {"timeit", "prun"}
_DRAWING_MAGICS = {
    "html", "javascript", "js", "latex", "markdown", "svg", "matplotlib", "who", "whos", "pwd", "ls", "pinfo", "pinfo2",
    "pip", "conda", "config",
}  # fmt: skip
_SHELL_MAGICS = {"bash", "sh", "system", "sx", "script", "writefile"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


_BUILTIN = Known(Nature.FIXED)


class Names:
    """What is known of every name at one moment of a kernel's life."""

    def __init__(self) -> None:
        self.known: MutableMapping[str, Known] = {}
        self.imported: dict[str, str] = {}
        self.own_methods: set[str] = set()
        # What a name stands for of which nothing is known: a builtin, until some code has run that nobody could read.
        self.default = Known(Nature.FIXED)
        # `from numpy import *` gives builtins another meaning; other code that nobody can read hardly does.
        self.has_starred = False

    def of(self, name: str) -> Known:
        """What `name` stands for."""
        return self.known.get(name, _BUILTIN if self.is_plain_builtin(name) else self.default)

    def is_plain_builtin(self, name: str) -> bool:
        """Whether a name that the notebook has not bound is Python's own."""
        return name in BUILTINS and not self.has_starred

    def bind(self, name: str, known: Known) -> None:
        """Let `name` stand for something else."""
        self.known[name] = known
        self.imported.pop(name, None)
        if known.module:
            self.imported[name] = known.module
        if isinstance(known.definition, ast.ClassDef):
            self.own_methods |= bound_in(known.definition)

    def closed(self, names: Iterable[str]) -> frozenset[str]:
        """`names`, and all that using what they stand for may read."""
        found = self.named(names)
        return found if ANYTHING not in found else (found | self.known.keys()) - {ANYTHING}

    def named(self, names: Iterable[str]) -> frozenset[str]:
        """The same, as far as the code names it; `ANYTHING` stands for the rest."""
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self.of(name).carries if name != ANYTHING else ())
        return frozenset(found)

    def is_builtin(self, node: ast.AST) -> bool:
        """Whether `node` is the name of a builtin that nothing has hidden."""
        return isinstance(node, ast.Name) and self.is_plain_builtin(node.id) and node.id not in self.known


_CACHED = 1 << 15
bound_names = lru_cache(_CACHED)(dataflow.bound_names)
certainly_bound = lru_cache(_CACHED)(dataflow.certainly_bound)
global_writes = lru_cache(_CACHED)(dataflow.global_writes)
names_read = lru_cache(_CACHED)(dataflow.names_read)
names_read_now = lru_cache(_CACHED)(dataflow.names_read_now)
dumped = lru_cache(_CACHED)(ast.dump)


@lru_cache(_CACHED)
def nodes(node: ast.AST) -> tuple[ast.AST, ...]:
    """Every node of a tree; the same statements are looked at again and again."""
    return tuple(ast.walk(node))


@lru_cache(_CACHED)
def _calls(node: ast.AST) -> tuple[ast.Call, ...]:
    return tuple(inner for inner in nodes(node) if isinstance(inner, ast.Call))


@lru_cache(maxsize=4096)
def statements(source: str) -> tuple[ast.stmt, ...]:
    """The statements that running a cell carries out; raises `SyntaxError` when it is no Python."""
    return tuple(_unwrapped(cell_tree(source).body))


def effect(node: ast.stmt, names: Names) -> Effect:
    """What a top-level statement does."""
    blind = _blind(node, names)
    direct = frozenset(names_read_now(node)) | _words_in_shell(node)
    named, reads = names.named(direct) - {ANYTHING}, names.closed(direct)
    writes = frozenset[str]().union(*(names.of(name).writes for name in reads))
    bound = frozenset(bound_names(node))
    certainly = certainly_bound(node)
    certain, possible = _changes(node, names)
    channels = _Channels(node, names, reads)
    natures = _natures(node, names)
    binds = {name: _described(node, name, natures.get(name, Nature.OPEN), direct, names) for name in bound}
    binds |= {name: replace(names.of(name), nature=Nature.OPEN) for name in writes - bound}
    binds |= {name: Known(Nature.FIXED) for name in channels.binds}
    return Effect(
        reads=named | writes | channels.changes | channels.reads,
        may_read=reads - named,
        binds=binds,
        certainly=certainly | channels.binds,
        changes=certain | channels.changes,
        may_change=(possible | channels.may_change) - certain,
        links=_links(node, names, names.closed(direct)) if _is_linking(node, names) else frozenset(),
        hands_on_open=bool(certain | possible) and _hands_on_open(node, names),
        blind=blind,
        is_starred=any(isinstance(inner, ast.alias) and inner.name == "*" for inner in nodes(node)),
    )


def _unwrapped(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a cell; those in the text of a magic that runs them where it stands are its own."""
    for statement in body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        name, text = _magic(call) if isinstance(call, ast.Call) else ("", "")
        if name in _INLINE_MAGICS:
            yield from _unwrapped(cell_tree(text).body)
        else:
            yield statement


def _magic(call: ast.Call) -> tuple[str, str]:
    """The name of a magic and the code that it is given; two empty texts for any other call."""
    is_magic = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "get_ipython()"
    texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    if not is_magic or len(texts) != len(call.args) or not all(isinstance(text, str) for text in texts):
        return "", ""
    attribute = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if attribute in {"system", "getoutput"}:
        return "system", str(texts[0]) if texts else ""
    if attribute not in {"run_line_magic", "run_cell_magic"} or len(texts) < 2:
        return "", ""
    # A cell magic's own line may name a variable that it binds, as `%%capture output` does.
    if attribute == "run_cell_magic" and str(texts[1]).strip() and texts[0] in _INLINE_MAGICS:
        return "", ""
    return str(texts[0]), str(texts[-1])


def _blind(node: ast.stmt, names: Names) -> str:
    for inner in nodes(node):
        if isinstance(inner, ast.ImportFrom) and any(alias.name == "*" for alias in inner.names):
            return f"`from {'.' * inner.level}{inner.module or ''} import *`, which binds names that stand nowhere"
        if isinstance(inner, ast.Call):
            name, text = _magic(inner)
            if name in _DRAWING_MAGICS | _SHELL_MAGICS:
                return ""
            if name in _READING_MAGICS:
                return _blind_text(text, names)
    # The notebook may give `input` or `_` a meaning of its own.
    for hazard in hidden_state.below([Step(0, 0, node)], names.imported, names.known):
        return hazard.found
    return ""


def _blind_text(text: str, names: Names) -> str:
    try:
        statements = cell_tree(text).body
    except SyntaxError:
        return "a magic with options"
    return next((found for statement in statements if (found := _blind(statement, names))), "")


def _words_in_shell(node: ast.stmt) -> frozenset[str]:
    """The names that a shell line or a measured one reads: it stands in a text."""
    found: set[str] = set()
    for inner in nodes(node):
        if isinstance(inner, ast.Call) and (name := _magic(inner)[0]):
            text = _magic(inner)[1]
            if name in _SHELL_MAGICS and not set("{$") & set(text):
                continue
            word = ""
            for character in [*text, " "]:
                if character.isidentifier() or (word and character.isdigit()):
                    word += character
                elif word:
                    found.add(word)
                    word = ""
    return frozenset(found)


# What a name stands for


def nature(node: ast.expr | None, names: Names) -> Nature:
    """How the object that an expression gives can change."""
    if node is None or isinstance(node, ast.Constant | ast.JoinedStr | ast.Lambda):
        return Nature.FIXED
    if isinstance(node, ast.Name):
        return names.of(node.id).nature
    if isinstance(node, ast.Tuple):
        return _all_of(node.elts, names)
    if isinstance(node, ast.List | ast.Set):
        return max(Nature.DATA, _all_of(node.elts, names))
    if isinstance(node, ast.Dict):
        return max(Nature.DATA, _all_of([one for one in (*node.keys, *node.values) if one is not None], names))
    if isinstance(node, ast.BinOp):
        return _all_of([node.left, node.right], names)
    if isinstance(node, ast.BoolOp):
        return _all_of(node.values, names)
    if isinstance(node, ast.Compare):
        return _all_of([node.left, *node.comparators], names)
    if isinstance(node, ast.IfExp):
        return _all_of([node.body, node.orelse], names)
    if isinstance(node, ast.UnaryOp):
        return nature(node.operand, names)
    if isinstance(node, ast.NamedExpr | ast.Starred):
        return nature(node.value, names)
    if isinstance(node, ast.Subscript):
        return nature(node.value, names)
    if isinstance(node, ast.Attribute):
        return max(Nature.DATA, nature(node.value, names))
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
        return max(Nature.DATA, _of_comprehension(node, names))
    return _of_call(node, names) if isinstance(node, ast.Call) else Nature.OPEN


def _all_of(nodes: Iterable[ast.expr], names: Names) -> Nature:
    return max((nature(node, names) for node in nodes), default=Nature.FIXED)


def _element(node: ast.expr, names: Names) -> Nature:
    """How what one gets by going through an object can change."""
    if isinstance(node, ast.Call) and names.is_builtin(node.func):
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called in {"enumerate", "zip", "reversed", "iter", "sorted", "list"}:
            return _all_of(node.args, names)
    return nature(node, names)


def _of_comprehension(node: ast.ListComp | ast.SetComp | ast.DictComp, names: Names) -> Nature:
    inside = _layered(names)
    for generator in node.generators:
        for name in certain_targets(generator.target):
            inside.bind(name, Known(_element(generator.iter, inside)))
    parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    return _all_of([part for part in parts if part is not None], inside)


def _of_call(node: ast.Call, names: Names) -> Nature:
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    if names.is_builtin(node.func):
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called in _FIXED_CALLS:
            return Nature.FIXED
        if called in _GATHERING_CALLS:
            return max(Nature.DATA, _all_of(arguments, names))
        return Nature.OPEN
    if any(keyword.arg in {"chunksize", "iterator"} for keyword in node.keywords):
        return Nature.OPEN
    full = dotted(node.func, names.imported)
    if full.startswith(_DATA_LIBRARIES) and _is_imported(node.func, names):
        # What is made of something that may change by being looked at may hold it.
        return max(Nature.DATA, _all_of(arguments, names)) if "random" not in full else Nature.OPEN
    if isinstance(node.func, ast.Attribute):
        on = nature(node.func.value, names)
        is_calm = node.func.attr in _CALM_METHODS and node.func.attr not in _OPEN_METHODS and on < Nature.OPEN
        return Nature.DATA if is_calm else Nature.OPEN
    definition = names.of(node.func.id).definition if isinstance(node.func, ast.Name) else None
    if isinstance(definition, ast.FunctionDef) and not definition.decorator_list:
        return _of_result(definition, _all_of(arguments, names), names)
    return Nature.OPEN


_DEPTH = 4


def _of_result(definition: ast.FunctionDef, given: Nature, names: Names, depth: int = 0) -> Nature:
    inner = [part for part in nodes(definition) if part is not definition]
    if depth > _DEPTH or any(isinstance(part, ast.Yield | ast.YieldFrom | ast.ClassDef) for part in inner):
        return Nature.OPEN
    if any(isinstance(part, _Function) for part in inner):
        return Nature.OPEN
    inside = _layered(names)
    inside.known[definition.name] = Known(Nature.OPEN)
    for argument in _arguments(definition):
        inside.bind(argument, Known(max(Nature.DATA, given) if given else given))
    for default in (*definition.args.defaults, *definition.args.kw_defaults):
        if nature(default, names):
            return Nature.OPEN
    for name, found in _block_natures(definition.body, inside).items():
        inside.bind(name, Known(found))
    returned = [part.value for part in inner if isinstance(part, ast.Return)]
    return max((nature(value, inside) for value in returned), default=Nature.FIXED)


def _arguments(definition: _Function) -> list[str]:
    arguments = definition.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [one.arg for one in every if one is not None]


def copied(names: Names) -> Names:
    """The same, to be changed without changing it."""
    found = _layered(names)
    found.known, found.own_methods = dict(names.known), set(names.own_methods)
    return found


def _layered(names: Names) -> Names:
    """The same, to be changed for a moment."""
    found = Names()
    found.known, found.imported = ChainMap({}, names.known), dict(names.imported)
    found.default, found.has_starred, found.own_methods = names.default, names.has_starred, names.own_methods
    return found


def _natures(node: ast.stmt, names: Names) -> dict[str, Nature]:
    """How what a statement binds can change."""
    found = _block_natures([node], names)
    certainly = certainly_bound(node)
    # A name that may keep what it stood for may change as that could.
    return {name: max(one, names.of(name).nature) if name not in certainly else one for name, one in found.items()}


def _block_natures(block: Iterable[ast.stmt], names: Names) -> dict[str, Nature]:
    assigned = [pair for statement in block for pair in _assignments(statement)]
    inside = _layered(names)
    found = {name: Nature.FIXED for name, _, _ in assigned}
    # Each is taken for fixed until one of its values says otherwise; the grades only rise, so this ends.
    while True:
        for name, one in found.items():
            inside.known[name] = Known(max(one, names.of(name).nature) if _is_kept(name, assigned) else one)
        now = dict(found)
        for name, value, is_element in assigned:
            given = Nature.OPEN if value is None else _element(value, inside) if is_element else nature(value, inside)
            now[name] = max(now[name], given)
        if now == found:
            return found
        found = now


def _is_kept(name: str, assigned: Iterable[tuple[str, ast.expr | None, bool]]) -> bool:
    return any(
        isinstance(value, ast.BinOp) and isinstance(value.left, ast.Name) and value.left.id == name
        for one, value, _ in assigned
        if one == name
    )


@lru_cache(_CACHED)
def _assignments(node: ast.AST) -> tuple[tuple[str, ast.expr | None, bool], ...]:
    return tuple(_assigned(node))


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr | None, bool]]:
    """Each name that a statement binds, with the value it gets, or what it is an element of; None for the unknown."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        own = getattr(node, "name", None)
        yield from ((name, ast.Constant(None) if name == own else None, False) for name in bound_names(node))
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((name, ast.Constant(None), False) for name in bound_names(node))
        return
    targets: list[tuple[ast.expr, ast.expr | None, bool]] = []
    if isinstance(node, ast.Assign):
        targets = [(target, node.value, False) for target in node.targets]
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
        targets = [(node.target, node.value, False)] if node.value is not None else []
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        before = ast.Name(node.target.id, ast.Load(), lineno=node.lineno, col_offset=0)
        targets = [(node.target, ast.BinOp(before, node.op, node.value), False)]
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        targets = [(node.target, node.iter, True)]
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        targets = [(node.optional_vars, None, False)]
    seen: set[str] = set()
    for target, value, is_element in targets:
        for name, given, one in _target_values(target, value, is_element):
            seen.add(name)
            yield name, given, one
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name, None, False
    if isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest, None, False
    if isinstance(node, ast.Delete):
        yield from ((target.id, ast.Constant(None), False) for target in node.targets if isinstance(target, ast.Name))
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        # Only a walrus reaches out of a comprehension, and what it gets there is not followed.
        yield from ((name, None, False) for name in bound_names(node))
        return
    for child in ast.iter_child_nodes(node):
        yield from _assigned(child)


def _target_values(
    target: ast.expr, value: ast.expr | None, is_element: bool
) -> Iterator[tuple[str, ast.expr | None, bool]]:
    if isinstance(target, ast.Name):
        yield target.id, value, is_element
    elif isinstance(target, ast.Starred):
        yield from ((name, None, False) for name in certain_targets(target.value))
    elif isinstance(target, ast.Tuple | ast.List):
        is_paired = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts) and not is_element
        starred = any(isinstance(one, ast.Starred) for one in target.elts)
        if is_paired and not starred and isinstance(value, ast.Tuple | ast.List):
            for one, of in zip(target.elts, value.elts, strict=True):
                yield from _target_values(one, of, is_element)
        else:
            for one in target.elts:
                yield from _target_values(one, value, True)


def certain_targets(target: ast.AST) -> frozenset[str]:
    """The names that an assignment to `target` binds."""
    return frozenset(
        inner.id for inner in nodes(target) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    )


def _described(node: ast.stmt, name: str, grade: Nature, direct: frozenset[str], names: Names) -> Known:
    """What `name` stands for once `node` has bound it."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            if name == (alias.asname or top):
                return Known(Nature.FIXED, module=alias.name if alias.asname else top)
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if name == (alias.asname or alias.name):
                return Known(Nature.DATA, module=f"{'.' * node.level}{node.module or ''}.{alias.name}")
    definition: ast.AST | None = None
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
        definition = node
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        definition = node.value
    if isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        later = frozenset(names_read(definition)) | frozenset[str]().union(*(names.of(one).carries for one in direct))
        writes = frozenset(global_writes(node))
        # A class keeps what is stored in it, and a function what stands in its defaults.
        grade = Nature.DATA if isinstance(definition, ast.ClassDef) or _has_defaults(definition, names) else grade
        has_decorator = bool(getattr(definition, "decorator_list", ()))
        kept = definition if not has_decorator or isinstance(definition, ast.ClassDef) else None
        return Known(Nature.OPEN if has_decorator and kept is None else grade, kept, carries=later, writes=writes)
    used = _value_names(node, names)
    carries = frozenset[str]().union(*(_carried_on(one, names, called) for one, called in used))
    writes = frozenset[str]().union(*(names.of(one).writes for one in names.closed(carries)))
    own = frozenset(names_read(node)) if _holds_function(node) else frozenset()
    if grade == Nature.FIXED and not own and not any(names.of(one).definition for one, _ in used):
        return Known(grade)
    # A lambda that stands somewhere in the statement reads when it is called.
    value = node.value if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) else None
    found = Known(grade, instance_of=_class_of(node, names), carries=carries | own, writes=writes)
    return replace(found, is_table=value is not None and is_table(value, names))


def _holds_function(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Lambda | ast.GeneratorExp | ast.FunctionDef) for inner in nodes(node))


def _has_defaults(definition: ast.AST, names: Names) -> bool:
    if not isinstance(definition, _Function):
        return False
    return any(nature(one, names) for one in (*definition.args.defaults, *definition.args.kw_defaults) if one)


def _value_names(node: ast.AST, names: Names) -> set[tuple[str, bool]]:
    """The names that a statement reads, each with whether it is only called."""
    called = {
        id(inner.func): inner.func.id
        for inner in nodes(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
    }
    plain = {
        inner.id
        for inner in nodes(node)
        if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Store) and id(inner) not in called
    }
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        plain.add(node.target.id)
    return {(name, False) for name in plain} | {(name, True) for name in set(called.values()) - plain}


def _carried_on(name: str, names: Names, called: bool, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names that a value made from `name` may read when it is used."""
    known = names.of(name)
    definition = known.definition
    is_plain = isinstance(definition, ast.FunctionDef) and not any(
        isinstance(inner, _Function | ast.ClassDef | ast.GeneratorExp | ast.Yield | ast.YieldFrom)
        for part in definition.body
        for inner in nodes(part)
    )
    if not called or not is_plain or definition is None:
        return known.carries | ({name} if isinstance(definition, ast.ClassDef) else frozenset())
    if name in seen:
        return frozenset()
    inside = {pair for part in getattr(definition, "body", []) for pair in _value_names(part, names)}
    return frozenset[str]().union(*(_carried_on(one, names, is_call, seen | {name}) for one, is_call in inside))


def _class_of(node: ast.stmt, names: Names) -> str:
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return ""
    return value.func.id if isinstance(names.of(value.func.id).definition, ast.ClassDef) else ""


def _links(node: ast.stmt, names: Names, reads: frozenset[str]) -> frozenset[str]:
    """The names whose objects may be in what a statement makes; a function of a library that is called is none."""
    called = {name for name, is_called in _value_names(node, names) if is_called}
    return frozenset(
        name
        for name in reads
        if names.of(name).nature != Nature.FIXED
        and not (name in called and (names.of(name).module or _keeps_nothing(names.of(name))))
    )


def _keeps_nothing(known: Known) -> bool:
    """Whether what a name stands for is a class without values of its own that an instance could change."""
    definition = known.definition
    if not isinstance(definition, ast.ClassDef) or definition.decorator_list or definition.keywords:
        return False
    if any(isinstance(base, ast.Name) for base in definition.bases):
        return False
    kept = [part.value for part in definition.body if isinstance(part, ast.Assign | ast.AnnAssign) and part.value]
    return all(isinstance(value, ast.Constant) for value in kept)


def _is_linking(node: ast.stmt, names: Names) -> bool:
    """Whether what a statement binds may be, or hold, an object that other names stand for."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.Call) and dotted(value.func, names.imported) == "copy.deepcopy":
        return False
    return not (value is not None and is_table(value, names) and _is_new(value))


def is_table(node: ast.expr, names: Names) -> bool:
    """Whether an expression gives an array or a frame, which holds values and no objects of the notebook."""
    if isinstance(node, ast.Name):
        return names.of(node.id).is_table
    if isinstance(node, ast.Subscript):
        return is_table(node.value, names)
    if isinstance(node, ast.BinOp):
        sides = (node.left, node.right)
        return any(is_table(one, names) for one in sides) and nature(node, names) < Nature.OPEN
    if not isinstance(node, ast.Call) or nature(node, names) == Nature.OPEN:
        return False
    if dotted(node.func, names.imported).startswith(("numpy.", "pandas.")):
        return _is_imported(node.func, names)
    return isinstance(node.func, ast.Attribute) and is_table(node.func.value, names)


def _is_new(value: ast.expr) -> bool:
    """Whether an expression of a table makes another; a part or another view of it would change with it."""
    if isinstance(value, ast.BinOp):
        return True
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return value.func.attr in _CALM_METHODS - _VIEW_METHODS or value.func.attr.startswith("read_")
    return False


def _hands_on_open(node: ast.stmt, names: Names) -> bool:
    for inner in nodes(node):
        given: list[ast.expr] = []
        if isinstance(inner, ast.Call):
            given = [*inner.args, *(keyword.value for keyword in inner.keywords)]
        elif isinstance(inner, ast.Assign | ast.AugAssign):
            given = [inner.value]
        if any(nature(one, names) == Nature.OPEN for one in given):
            return True
    return False


# What is changed


def _changes(node: ast.stmt, names: Names) -> tuple[frozenset[str], frozenset[str]]:
    """The names whose objects are changed by the words of the code, and those whose objects may be."""
    found = _Changes(names)
    found.visit(node)
    fixed = {name for name in found.possible if names.of(name).nature == Nature.FIXED and not names.of(name).definition}
    return frozenset(found.certain), frozenset(found.possible) - fixed - found.certain


@dataclass(slots=True)
class _Changes:
    """What was found so far."""

    names: Names
    certain: set[str] = field(default_factory=set)
    possible: set[str] = field(default_factory=set)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*node.decorator_list, *node.args.defaults, *(one for one in node.args.kw_defaults if one)):
                self.visit(part)
            for decorator in node.decorator_list:
                self.may(decorator)
            return
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            self.must(node)
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name) and self.names.of(node.target.id).nature != Nature.FIXED:
                self.certain.add(node.target.id)
        elif isinstance(node, ast.Call):
            self.visit_call(node)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self.look_through(node.iter)
        elif isinstance(node, ast.Starred | ast.YieldFrom | ast.Await) or _is_unpacking(node):
            self.look_through(node)
        elif isinstance(node, ast.Compare) and any(isinstance(one, ast.In | ast.NotIn) for one in node.ops):
            for one in node.comparators:
                self.look_through(one)
        elif isinstance(node, ast.withitem):
            self.may(node.context_expr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and self.is_restless(node.id):
            self.possible.add(node.id)
        for child in ast.iter_child_nodes(node):
            self.visit(child)

    def must(self, node: ast.AST) -> None:
        start = origin(node)
        if isinstance(start, ast.Name) and not any(isinstance(inner, ast.Call) for inner in nodes(node)):
            self.certain.add(start.id)
        else:
            self.may(node)

    def may(self, node: ast.AST) -> None:
        """All that `node` can reach may be changed; what a library offers is not changed by being called."""
        called = {name for name, is_called in _value_names(node, self.names) if is_called}
        offered = {name for name in called if self.names.of(name).module or _keeps_nothing(self.names.of(name))}
        self.possible |= self.names.closed(names_read(node)) - offered

    def look_through(self, node: ast.AST) -> None:
        """What may change by being looked at is looked at."""
        reached = self.names.closed(names_read(node))
        self.possible |= {name for name in reached if self.names.of(name).nature == Nature.OPEN}

    def is_restless(self, name: str) -> bool:
        """Whether an operator or an attribute of what `name` stands for may change it."""
        known = self.names.of(name)
        classes = [one for one in {known.instance_of, *known.carries} if one]
        definitions = [self.names.of(one).definition for one in classes]
        return any(isinstance(one, ast.ClassDef) and not is_calm(one, self.names) for one in definitions)

    def visit_call(self, node: ast.Call) -> None:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        self.visit_callbacks(node.func, arguments)
        if any(_is_told(keyword) for keyword in node.keywords):
            for part in (*arguments, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])):
                self.must(part)
            return
        if isinstance(node.func, ast.Name) and self.names.is_builtin(node.func):
            self.visit_builtin(node.func.id, arguments)
            return
        full = dotted(node.func, self.names.imported)
        if full and _is_imported(node.func, self.names):
            if full in _CHANGERS or full.rpartition(".")[2] in _CHANGING_METHODS:
                self.must(node.func if full not in _CHANGERS else arguments[0] if arguments else node)
            elif full.startswith(_QUIET_LIBRARIES):
                self.look_through_all(arguments)
            else:
                self.may_all(arguments)
            return
        if isinstance(node.func, ast.Attribute):
            self.visit_method(node.func, arguments)
            return
        definition = self.names.of(node.func.id).definition if isinstance(node.func, ast.Name) else None
        if definition is not None and is_calm(definition, self.names):
            self.look_through_all([node.func, *arguments])
        else:
            self.may_all([node.func, *arguments])

    def visit_callbacks(self, func: ast.expr, arguments: list[ast.expr]) -> None:
        """A function that is handed on is called by whoever gets it."""
        for argument in arguments:
            for name in names_read(argument):
                definition = self.names.of(name).definition
                if definition is not None and not is_calm(definition, self.names):
                    self.may_all([func, *arguments])

    def visit_builtin(self, called: str, arguments: list[ast.expr]) -> None:
        if called in {"setattr", "delattr", "next"} and arguments:
            self.must(arguments[0])
        elif called in _LOOKING_CALLS:
            return
        elif called in _QUIET_CALLS or called.endswith(("Error", "Exception", "Warning")):
            self.look_through_all(arguments)
        else:
            self.may_all(arguments)

    def visit_method(self, func: ast.Attribute, arguments: list[ast.expr]) -> None:
        start = origin(func)
        known = self.names.of(start.id) if isinstance(start, ast.Name) else None
        own = known.instance_of if known is not None else ""
        if own:
            definition = self.names.of(own).definition
            if definition is not None and is_calm(definition, self.names):
                self.look_through_all([func.value, *arguments])
                return
        elif not self.is_own_method(func.attr) and (
            func.attr in _CALM_METHODS or nature(func.value, self.names) == Nature.FIXED
        ):
            self.look_through_all(arguments)
            return
        if func.attr in _CHANGING_METHODS and not own:
            self.must(func.value)
            self.look_through_all(arguments)
        else:
            self.may_all([func.value, *arguments])

    def is_own_method(self, method: str) -> bool:
        """Whether a class of the notebook has a method of this name."""
        return method in self.names.own_methods

    def look_through_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.look_through(node)

    def may_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.may(node)


def _is_unpacking(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and not all(isinstance(target, ast.Name) for target in node.targets)


def _is_told(keyword: ast.keyword) -> bool:
    """Whether a keyword tells a call to change what it is given."""
    is_off = isinstance(keyword.value, ast.Constant) and keyword.value.value in (False, None)
    return keyword.arg in {"inplace", "out", "overwrite_input"} and not is_off


def _is_imported(node: ast.AST, names: Names) -> bool:
    start = node
    while isinstance(start, ast.Attribute):
        start = start.value
    return isinstance(start, ast.Name) and start.id in names.imported


def bound_in(definition: ast.ClassDef) -> set[str]:
    """What a class body binds."""
    return {name for part in definition.body for name in bound_names(part)}


def is_calm(definition: ast.AST, names: Names, seen: frozenset[int] = frozenset()) -> bool:
    """Whether calling a function, or using a class, changes nothing but objects of its own."""
    if id(definition) in seen:
        return True
    seen |= {id(definition)}
    if isinstance(definition, ast.ClassDef):
        bases = [names.of(base.id).definition if isinstance(base, ast.Name) else None for base in definition.bases]
        if any(base is None or not is_calm(base, names, seen) for base in bases) or definition.keywords:
            return False
        return all(_is_calm_part(part, names, seen) for part in definition.body)
    if not isinstance(definition, _Function):
        return False
    return _is_calm_body(definition, names, seen, own=frozenset())


def _is_calm_part(part: ast.stmt, names: Names, seen: frozenset[int]) -> bool:
    if isinstance(part, ast.FunctionDef):
        first = part.args.args[:1] if part.name in _MAKERS else []
        return _is_calm_body(part, names, seen, own=frozenset(one.arg for one in first))
    if isinstance(part, ast.Expr | ast.Pass | ast.AnnAssign):
        return True
    return isinstance(part, ast.Assign) and nature(part.value, names) == Nature.FIXED


def _is_calm_body(definition: _Function, names: Names, seen: frozenset[int], own: frozenset[str]) -> bool:
    body = [definition.body] if isinstance(definition, ast.Lambda) else definition.body
    given = set(_arguments(definition))
    fresh = own | (_fresh_names(body) - (given - _rebound(body, given)))
    local = given | {name for part in body for name in bound_names(part)}
    for part in body:
        for node in nodes(part):
            if isinstance(node, ast.Global | ast.Nonlocal | ast.Yield | ast.YieldFrom | ast.Await | ast.With):
                return False
            is_store = isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
            if is_store and not _hangs_on(node, fresh):
                return False
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id not in fresh:
                return False
            if isinstance(node, ast.Call) and not _is_calm_call(node, names, seen, fresh, local):
                return False
    return True


def _rebound(body: Iterable[ast.AST], given: set[str]) -> set[str]:
    """The arguments that a function first of all replaces by a copy of its own."""
    found, seen = set[str](), set[str]()
    for part in body:
        target = part.targets[0] if isinstance(part, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id in given - seen and _is_made(getattr(part, "value", None), ""):
            found.add(target.id)
        seen |= {inner.id for inner in nodes(part) if isinstance(inner, ast.Name)}
    return found


def _hangs_on(node: ast.AST, fresh: Iterable[str]) -> bool:
    """Whether `node` is one step away from an object that is of the function's own making."""
    value = node.value if isinstance(node, ast.Attribute | ast.Subscript) else None
    return isinstance(value, ast.Name) and value.id in fresh


def _fresh_names(body: Iterable[ast.AST]) -> frozenset[str]:
    """The names of a function that only ever stand for objects that it has made itself."""
    assigned = [pair for part in body for pair in _assignments(part)]
    old = {name for name, value, is_element in assigned if is_element or not _is_made(value, name)}
    return frozenset(name for name, _, _ in assigned) - old


def _is_made(value: ast.expr | None, name: str) -> bool:
    if isinstance(value, ast.BinOp) and isinstance(value.left, ast.Name) and value.left.id == name:
        return True
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return value.func.attr == "copy"
    return isinstance(
        value, ast.Constant | ast.JoinedStr | ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    )


def _is_calm_call(node: ast.Call, names: Names, seen: frozenset[int], fresh: frozenset[str], local: set[str]) -> bool:
    if any(_is_told(keyword) for keyword in node.keywords):
        return False
    func = node.func
    if isinstance(func, ast.Name):
        if func.id in local:
            return False
        if names.is_builtin(func):
            return func.id in _QUIET_CALLS or func.id.endswith(("Error", "Exception", "Warning"))
        definition = names.of(func.id).definition
        if definition is not None:
            return is_calm(definition, names, seen)
    start = origin(func)
    if isinstance(start, ast.Name) and start.id in names.imported and start.id not in local:
        full = dotted(func, names.imported)
        if full:
            return full.startswith(_QUIET_LIBRARIES) and full not in _CHANGERS and "random" not in full
    if isinstance(func, ast.Attribute):
        if func.attr in _CALM_METHODS and func.attr not in names.own_methods:
            return True
        is_super = isinstance(func.value, ast.Call) and ast.unparse(func.value) == "super()"
        return _hangs_on(func, fresh) or (is_super and func.attr in _MAKERS)
    return False


# What is not held by a name


class _Channels:
    """The random state and the files that a statement reads or writes, as if they had names."""

    def __init__(self, node: ast.stmt, names: Names, reads: frozenset[str]) -> None:
        self.names = names
        self.reads: frozenset[str] = frozenset()
        self.binds: frozenset[str] = frozenset()
        self.changes: frozenset[str] = frozenset()
        self.may_change: frozenset[str] = frozenset()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return
        definitions = [names.of(name).definition for name in reads]
        for part in (node, *(one for one in definitions if one is not None)):
            for call in _calls(part):
                self.hear(call, is_here=part is node)

    def hear(self, call: ast.Call, *, is_here: bool) -> None:
        full = dotted(call.func, self.names.imported)
        called = call.func.attr if isinstance(call.func, ast.Attribute) else full.rpartition(".")[2]
        self.hear_random(call, full, called, is_here)
        self.hear_files(call, full, called, is_here)

    def hear_random(self, call: ast.Call, full: str, called: str, is_here: bool) -> None:
        if full in _SEEDS:
            if is_here:
                self.binds |= {RANDOM}
            else:
                self.changes |= {RANDOM}
            return
        # Nobody can repeat what comes from a state that nobody has set.
        if RANDOM not in self.names.known:
            return
        if full.startswith(("random.", "numpy.random.", "torch.rand")) and called not in _OWN_STATE:
            self.reads |= {RANDOM}
            self.changes |= {RANDOM}
        elif called in _IMPLICIT and not any(keyword.arg == "random_state" for keyword in call.keywords):
            self.reads |= {RANDOM}
            self.may_change |= {RANDOM}

    def hear_files(self, call: ast.Call, full: str, called: str, is_here: bool) -> None:
        texts = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        is_writing = called in _WRITERS or (called.startswith("to_") and bool(call.args or call.keywords))
        is_writing |= full == "open" and len(texts) > 1 and bool(set("wax+") & set(texts[1]))
        is_module = _is_imported(call.func, self.names) or full == "open" or bool(texts)
        if is_writing and called in {"replace", "copy", "remove", "dump", "load", "save"} and not is_module:
            is_writing = False
        if is_writing:
            is_whole = is_here and bool(texts) and full != "open" and called not in {"system", "getoutput"}
            if is_whole:
                self.binds |= {f"the file {texts[0]}"}
            else:
                self.may_change |= {FILES}
                self.reads |= {FILES}
        elif called in _READERS or called.startswith("read_"):
            files = {name for name in self.names.known if name.startswith("the file ")}
            self.reads |= {FILES} | ({f"the file {texts[0]}"} if texts else files)
