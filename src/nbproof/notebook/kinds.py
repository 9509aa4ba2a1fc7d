"""What kind of value a name holds, read from the code: plain, an array, a frame, …; None where it is unclear."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from .dataflow import Binding
from .hidden_state import dotted

PLAIN = "plain"
ARRAY = "numpy.ndarray"
FRAME = "pandas.DataFrame"
SERIES = "pandas.Series"
TENSOR = "torch.Tensor"
GENERATOR = "numpy.random.Generator"
ESTIMATOR = "a scikit-learn estimator"
KINDS = (PLAIN, ARRAY, FRAME, SERIES, TENSOR, GENERATOR, ESTIMATOR)

_PLAIN_NAMES = {
    "Counter", "OrderedDict", "None", "bool", "bytearray", "bytes", "collections.Counter", "collections.OrderedDict",
    "collections.defaultdict", "collections.deque", "complex", "datetime.date", "datetime.datetime", "datetime.time",
    "datetime.timedelta", "decimal.Decimal", "dict", "float", "fractions.Fraction", "frozenset", "int", "list",
    "pathlib.Path", "range", "set", "str", "tuple", "typing.Dict", "typing.List", "typing.Set", "typing.Tuple",
    "uuid.UUID",
}  # fmt: skip
_OF_ANNOTATION = {
    "numpy.ndarray": ARRAY, "numpy.typing.NDArray": ARRAY, "pandas.DataFrame": FRAME, "pandas.Series": SERIES,
    "torch.Tensor": TENSOR, "numpy.random.Generator": GENERATOR, "random.Random": GENERATOR,
}  # fmt: skip
_PLAIN_CALLS = {
    "ascii", "bin", "chr", "datetime.date.today", "datetime.datetime.now", "divmod", "float.fromhex", "format",
    "hash", "hex", "isinstance", "issubclass", "json.dumps", "json.load", "json.loads", "len", "math.floor", "oct",
    "ord", "os.getcwd", "os.path.join", "pathlib.Path.cwd", "random.randint", "random.random", "random.sample",
    "random.uniform", "repr", "sorted", "time.perf_counter", "time.time", "tomllib.loads", "yaml.safe_load",
}  # fmt: skip
_ARRAY_CALLS = {
    "arange", "argsort", "array", "clip", "column_stack", "concatenate", "cos", "cumsum", "diff", "empty",
    "empty_like", "exp", "eye", "full", "full_like", "geomspace", "hstack", "identity", "linspace", "load", "loadtxt",
    "log", "logspace", "ones", "ones_like", "random.choice", "random.normal", "random.permutation", "random.rand",
    "random.randint", "random.randn", "random.random", "random.uniform", "repeat", "sin", "sort", "sqrt", "stack",
    "tile", "unique", "vstack", "where", "zeros", "zeros_like",
}  # fmt: skip
_FRAME_CALLS = {"DataFrame", "merge", "get_dummies", "pivot_table", "json_normalize", "crosstab"}
_TENSOR_CALLS = {
    "arange", "cat", "empty", "eye", "full", "linspace", "ones", "ones_like", "rand", "randint", "randn", "randperm",
    "stack", "tensor", "zeros", "zeros_like",
}  # fmt: skip
_FRAME_METHODS = {
    "assign", "astype", "copy", "drop", "drop_duplicates", "dropna", "fillna", "head", "join", "merge", "query",
    "rename", "replace", "reset_index", "round", "sample", "set_index", "sort_index", "sort_values", "tail",
}  # fmt: skip
_SERIES_METHODS = _FRAME_METHODS - {"assign", "join", "merge", "query", "reset_index", "set_index"} | {
    "clip",
    "cumsum",
    "shift",
}
_SAME_METHODS = {ARRAY: {"copy", "astype"}, TENSOR: {"clone"}}
_TEXT_METHODS = {
    "capitalize", "format", "join", "lower", "lstrip", "replace", "rstrip", "split", "splitlines", "strip", "title",
    "upper", "encode", "as_posix", "read_text", "read_bytes", "hexdigest", "isoformat", "state_dict", "tolist",
}  # fmt: skip
_REDUCED = {"abs", "max", "min", "pow", "round", "sum"}


def planned_kinds(
    names: Mapping[str, Sequence[Binding]], imported: Mapping[str, str], plain: frozenset[str]
) -> dict[str, str | None]:
    """The kind of each name, None where the code does not say; the names in `plain` are plain until bound anew.

    An annotation of the name decides; without one, all its bindings must agree.
    """
    inferring = _Inferring(names, imported, plain)
    return {name: inferring.of_name(name) for name in names}


class _Inferring:
    """One reading of what the bindings of a notebook say."""

    def __init__(
        self, names: Mapping[str, Sequence[Binding]], imported: Mapping[str, str], plain: frozenset[str]
    ) -> None:
        self.names, self.imported, self.plain = names, imported, plain
        self._known: dict[str, str | None] = {}

    def of_name(self, name: str) -> str | None:
        if name not in self._known:
            # A name that is bound from itself (`x = x + 1`) is what its other bindings say.
            self._known[name] = "itself"
            self._known[name] = self._agreed(name)
        return self._known[name]

    def _agreed(self, name: str) -> str | None:
        bound = self.names.get(name, ())
        annotated = [
            binding.step.node.annotation
            for binding in bound
            if isinstance(binding.step.node, ast.AnnAssign) and name not in self.plain
        ]
        if annotated:
            return self.of_annotation(annotated[-1])
        # The first binding of a parameter is its declaration, and what is injected after it is plain, too.
        rest = bound[1:] if name in self.plain else bound
        found = {self._of_binding(name, binding) for binding in rest} - {"itself"}
        found |= {PLAIN} if name in self.plain else set()
        return found.pop() if len(found) == 1 else None

    def of_annotation(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Constant):
            if node.value is None:
                return PLAIN
            if isinstance(node.value, str):
                try:
                    return self.of_annotation(ast.parse(node.value, mode="eval").body)
                except SyntaxError:
                    return None
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = {self.of_annotation(node.left), self.of_annotation(node.right)}
            return sides.pop() if len(sides) == 1 else None
        if isinstance(node, ast.Subscript):
            if dotted(node.value, self.imported) in {"typing.Annotated", "typing.Final"}:
                inner = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
                return self.of_annotation(inner)
            return PLAIN if dotted(node.value, self.imported) == "typing.Literal" else self.of_annotation(node.value)
        full = dotted(node, self.imported)
        if full in _PLAIN_NAMES:
            return PLAIN
        if full.startswith("sklearn.") and full.rpartition(".")[2][:1].isupper():
            return ESTIMATOR
        return _OF_ANNOTATION.get(full)

    def _of_binding(self, name: str, binding: Binding) -> str | None:
        kinds = {self._of_statement(name, node) for node in _binders(binding.step.node, name)} - {"itself"}
        return kinds.pop() if len(kinds) == 1 else None if kinds else "itself"

    def _of_statement(self, name: str, node: ast.AST) -> str | None:
        if isinstance(node, ast.NamedExpr):
            return self.of(node.value)
        if isinstance(node, ast.Assign):
            kinds = {self._of_target(name, target, node.value) for target in node.targets} - {"elsewhere"}
            return kinds.pop() if len(kinds) == 1 else None
        if isinstance(node, ast.AnnAssign):
            return self.of_annotation(node.annotation)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            # Plain with plain stays plain; an array with anything stays an array.
            own, other = "itself", self.of(node.value)
            return own if other in {PLAIN, "itself"} or other == self._first(name) else None
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name) and node.target.id == name:
            is_range = isinstance(node.iter, ast.Call) and dotted(node.iter.func, self.imported) == "range"
            return PLAIN if is_range and not _binds_again(node.body, name) else None
        return None

    def _first(self, name: str) -> str | None:
        first = self.names[name][0].step.node
        return self.of(first.value) if isinstance(first, ast.Assign) else None

    def _of_target(self, name: str, target: ast.expr, value: ast.expr) -> str | None:
        if isinstance(target, ast.Name):
            return self.of(value) if target.id == name else "elsewhere"
        if isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
                pairs = zip(target.elts, value.elts, strict=True)
                kinds = {self._of_target(name, one, of) for one, of in pairs} - {"elsewhere"}
                return kinds.pop() if len(kinds) == 1 else "elsewhere" if not kinds else None
            held = {inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name)}
            return None if name in held else "elsewhere"
        return "elsewhere"

    def of(self, node: ast.expr) -> str | None:
        """The kind that an expression gives."""
        if isinstance(node, ast.Constant):
            return None if node.value is ... else PLAIN
        if isinstance(
            node, ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.Set | ast.ListComp | ast.SetComp | ast.DictComp
        ):
            return PLAIN
        if isinstance(node, ast.Name):
            return self.of_name(node.id) if node.id in self.names else None
        if isinstance(node, ast.Compare | ast.BoolOp):
            parts = [node.left, *node.comparators] if isinstance(node, ast.Compare) else node.values
            return self._joined(parts)
        if isinstance(node, ast.UnaryOp):
            return PLAIN if isinstance(node.op, ast.Not) else self.of(node.operand)
        if isinstance(node, ast.BinOp):
            return self._joined([node.left, node.right]) if not isinstance(node.op, ast.MatMult) else None
        if isinstance(node, ast.IfExp):
            return self._same([node.body, node.orelse])
        if isinstance(node, ast.NamedExpr):
            return self.of(node.value)
        return self._of_call(node) if isinstance(node, ast.Call) else None

    def _same(self, parts: Sequence[ast.expr]) -> str | None:
        kinds = {self.of(part) for part in parts} - {"itself"}
        return kinds.pop() if len(kinds) == 1 else None

    def _joined(self, parts: Sequence[ast.expr]) -> str | None:
        """The kind of an operation: that of its operands, where plain ones take the kind of the others."""
        kinds = {self.of(part) for part in parts}
        if kinds == {"itself"}:
            return "itself"
        kinds -= {"itself"}
        if None in kinds or len(kinds - {PLAIN}) > 1 or kinds - {PLAIN} - {ARRAY, TENSOR, SERIES, FRAME}:
            return None
        return (kinds - {PLAIN} or {PLAIN}).pop()

    def _of_call(self, node: ast.Call) -> str | None:
        full = dotted(node.func, self.imported)
        if full in _PLAIN_NAMES or full in _PLAIN_CALLS:
            return PLAIN
        if full in _REDUCED:
            return PLAIN if node.args and self._joined(node.args) == PLAIN else None
        top, _, rest = full.partition(".")
        if top == "numpy" and rest in _ARRAY_CALLS:
            return ARRAY
        if full in {"numpy.random.default_rng", "random.Random"}:
            return GENERATOR
        if top == "pandas" and (rest in _FRAME_CALLS or rest.startswith("read_")):
            return (
                FRAME if rest not in {"read_excel", "read_html"} and not _has(node, "chunksize", "iterator") else None
            )
        if full == "pandas.Series":
            return SERIES
        if top == "torch" and rest in _TENSOR_CALLS:
            return TENSOR
        if top == "sklearn" and rest.rpartition(".")[2][:1].isupper():
            return ESTIMATOR
        return self._of_method(node) or self._of_function(node)

    def _of_method(self, node: ast.Call) -> str | None:
        if not isinstance(node.func, ast.Attribute):
            return None
        method, on = node.func.attr, self.of(node.func.value)
        if method in _TEXT_METHODS and (
            on in {PLAIN, ARRAY} or method in {"state_dict", "hexdigest", "read_text", "join"}
        ):
            return PLAIN
        if _has(node, "inplace"):
            return None
        if (on == FRAME and method in _FRAME_METHODS) or (on == SERIES and method in _SERIES_METHODS):
            return on
        if on == PLAIN and method in {"copy", "get", "pop", "union", "intersection", "difference", "index", "count"}:
            return PLAIN
        if on == GENERATOR and _has(node, "size"):
            return ARRAY
        if on == GENERATOR and method == "permutation":
            return ARRAY
        if on == ESTIMATOR and method in {
            "predict",
            "predict_proba",
            "transform",
            "fit_transform",
            "decision_function",
        }:
            # What a transformer returns may be sparse, or a frame; the checkpoint looks.
            return ARRAY
        if on == ESTIMATOR and method == "fit":
            return ESTIMATOR
        return on if on is not None and method in _SAME_METHODS.get(on, ()) else None

    def _of_function(self, node: ast.Call) -> str | None:
        """What the notebook's own functions say that they return."""
        if not isinstance(node.func, ast.Name) or node.func.id not in self.names:
            return None
        found = [binding.step.node for binding in self.names[node.func.id]]
        if not all(isinstance(one, ast.FunctionDef) and one.returns for one in found):
            return None
        kinds = {self.of_annotation(one.returns) for one in found if isinstance(one, ast.FunctionDef) and one.returns}
        return kinds.pop() if len(kinds) == 1 else None


def _binders(node: ast.AST, name: str) -> list[ast.AST]:
    """The statements and expressions in `node` that bind `name`, wherever in it they are; what is unclear is itself."""
    if getattr(node, "name", None) == name and isinstance(node, ast.stmt):
        return [node]
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        targets: list[ast.AST] = []
        if isinstance(node, ast.Assign):
            targets = list(node.targets)
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.For | ast.NamedExpr):
            targets = [node.target]
        own = [node] if any(name in _stored(target) for target in targets) else []
        inside = [
            found for child in ast.iter_child_nodes(node) for found in _binders(child, name) if child not in targets
        ]
        if own or inside:
            return [*own, *inside]
        is_other = isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        is_named = name in {getattr(node, "name", None), getattr(node, "asname", None), getattr(node, "rest", None)}
        return [node] if is_other or is_named else []
    # A function that says `global` binds the name wherever in its body that is.
    return (
        [found for part in getattr(node, "body", []) for found in _binders(part, name)]
        if _says_global(node, name)
        else []
    )


def _says_global(node: ast.AST, name: str) -> bool:
    return any(isinstance(inner, ast.Global) and name in inner.names for inner in ast.walk(node))


def _stored(target: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}


def _has(node: ast.Call, *names: str) -> bool:
    return any(keyword.arg in names for keyword in node.keywords)


def _binds_again(body: Sequence[ast.stmt], name: str) -> bool:
    return any(
        isinstance(inner, ast.Name) and inner.id == name and not isinstance(inner.ctx, ast.Load)
        for part in body
        for inner in ast.walk(part)
    )
