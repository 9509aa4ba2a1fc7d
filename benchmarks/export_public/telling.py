"""What a run computed, told so that any two ways to run a notebook can be compared. Knows nothing of nbproof.

Numbers may differ by rounding (a relative 1e-6); whatever cannot be looked into counts as alike. Runs in the process
that is measured, and needs only what the notebook has loaded itself.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import sys
import sysconfig
import types
from typing import Any

SKIPPED = {"In", "Out", "exit", "quit", "get_ipython", "open", "annotations"}
RELATIVE, ABSOLUTE = 1e-6, 1e-9
# These kinds carry data: a variable of another kind is no result.
DATA = {"number", "complex", "text", "bytes", "array", "frame", "series", "tensor", "module", "dict", "list", "set",
        "estimator"}  # fmt: skip
_OPAQUE = {"error", "deep", "cycle"}
_CODE = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_SAID = {"range", "slice", "datetime", "date", "timedelta", "Decimal", "Fraction", "time", "Timestamp", "Timedelta",
         "Period"}  # fmt: skip
_DEEPEST, _MOST = 5, 200
# Where classes of the notebook live besides the main program: in a package that was made of it.
own = "__main__"
# And what was beside it, in that package.
BESIDE = "_modules"

Told = dict[str, Any]


def snapshot(names: dict[str, Any]) -> dict[str, Told]:
    """Tell every variable that is the notebook's own."""
    told = {name: tell(value) for name, value in names.items() if not name.startswith("_") and name not in SKIPPED}
    return {name: value for name, value in told.items() if value["k"] != "code"}


def stir() -> None:
    """Leave other numbers where numpy takes memory for small arrays that nobody fills."""
    numpy = sys.modules.get("numpy")
    for size in range(1, 128) if hasattr(numpy, "full") else ():
        held = [numpy.full(size, -3.3e200) for _ in range(8)]  # type: ignore[union-attr]
        del held


def without_imported(names: dict[str, Any], imported: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Leave out what still is what a module has: constants that were imported are no results."""
    found: dict[str, Any] = {}
    for module, name, own in imported:
        held = vars(sys.modules[module]) if module in sys.modules else {}
        found |= held if name == "*" else {own: held[name]} if name in held else {}
    return {name: value for name, value in names.items() if name not in found or found[name] is not value}


def is_data(told: Told) -> bool:
    return told.get("k") in DATA or (told.get("k") == "object" and "v" in told)


def tell(value: Any) -> Told:
    try:
        return _tell(value, 0, ())
    except Exception as error:
        return {"k": "error", "t": type(error).__name__}


def _tell(value: Any, depth: int, around: tuple[int, ...]) -> Told:
    kind = type(value)
    if value is None or kind is bool or value is Ellipsis:
        return {"k": "text", "v": repr(value)}
    if kind in (int, float):
        return {"k": "number", "v": value if math.isfinite(value) and abs(value) < 1e300 else repr(value)}
    if kind is complex:
        return {"k": "complex", "v": [value.real, value.imag]}
    if kind is str:
        # Each way to run a notebook has its libraries elsewhere.
        value = value.replace(sysconfig.get_path("purelib"), "{libraries}")
        return {"k": "text", "v": value if len(value) < 300 else _sha(value.encode("utf-8", "surrogatepass"))}
    if kind in (bytes, bytearray):
        return {"k": "bytes", "v": _sha(bytes(value))}
    if isinstance(value, _CODE):
        return {"k": "code"}
    if id(value) in around:
        return {"k": "cycle"}
    inside = depth + 1, (*around, id(value))
    return _of_library(value, *inside) or (
        {"k": "deep", "t": kind.__name__} if depth > _DEEPEST else _compound(value, *inside)
    )


def _of_library(value: Any, depth: int, around: tuple[int, ...]) -> Told | None:
    numpy, pandas, torch = (sys.modules.get(name) for name in ("numpy", "pandas", "torch"))
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in "biufc":
        return _tell(value.item(), depth, around)
    if numpy is not None and isinstance(value, numpy.ndarray):
        told: Told = {"k": "array", "shape": list(value.shape), "kind": value.dtype.kind}
        if value.dtype.kind in "biufc":
            return {**told, "sum": _summary(value)}
        if value.dtype.kind in "OV":
            return {**told, "items": [_tell(item, depth, around) for item in value.ravel()[:_MOST].tolist()]}
        return {**told, "sha": _sha(repr(value.ravel().tolist()).encode())}
    if pandas is not None and isinstance(value, pandas.DataFrame):
        columns = [_tell(value.iloc[:, at], depth + 1, around) for at in range(min(value.shape[1], _MOST))]
        return {"k": "frame", "shape": list(value.shape), "columns": [str(name) for name in value.columns],
                "index": _tell(value.index, depth, around), "c": columns}  # fmt: skip
    if pandas is not None and isinstance(value, pandas.Series | pandas.Index):
        return _series(value, depth, around)
    if torch is not None and isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        plain = plain.to(torch.float64) if plain.is_floating_point() else plain
        return {"k": "tensor", "a": _tell(plain.numpy(), depth, around)}
    if torch is not None and isinstance(value, torch.nn.Module):
        held = itertools.islice(value.state_dict().items(), 400)
        return {"k": "module", "t": type(value).__name__, "held": {k: _tell(v, depth, around) for k, v in held}}
    return None


def _series(value: Any, depth: int, around: tuple[int, ...]) -> Told:
    told: Told = {"k": "series", "n": len(value), "name": str(value.name)}
    if hasattr(value, "index") and depth < 3:
        told["index"] = _tell(value.index, depth + 3, around)
    if getattr(value.dtype, "kind", "O") in "biuf" and not hasattr(value, "levels"):
        return {**told, "sum": _summary(value.to_numpy(dtype="f8", na_value=float("nan")))}
    return {**told, "sha": _sha(repr([str(each) for each in value.tolist()]).encode())}


def _compound(value: Any, depth: int, around: tuple[int, ...]) -> Told:
    kind = type(value)
    if isinstance(value, dict):
        items = sorted(((str(key), held) for key, held in value.items()), key=lambda pair: pair[0])
        return {"k": "dict", "n": len(value), "i": {k[:200]: _tell(v, depth, around) for k, v in items[:_MOST]}}
    if isinstance(value, list | tuple) or kind.__name__ == "deque":
        every = list(value)
        numpy = sys.modules.get("numpy")
        if len(every) > _MOST and numpy is not None and all(type(each) in (int, float, bool) for each in every):
            return {"k": "list", "n": len(every), "sum": _summary(numpy.array(every, dtype="f8"))}
        some = every if len(every) <= _MOST else every[:80] + every[-40:]
        return {"k": "list", "n": len(every), "i": [_tell(each, depth, around) for each in some]}
    if isinstance(value, set | frozenset):
        is_plain = all(type(each) in (int, str, float, tuple) for each in value)
        return {"k": "set", "n": len(value), "sha": _sha(repr(sorted(map(repr, value))).encode()) if is_plain else ""}
    if hasattr(value, "get_params") and hasattr(value, "fit"):
        learnt = {k: v for k, v in sorted(vars(value).items()) if k.endswith("_") and not k.startswith("_")}
        return {"k": "estimator", "t": kind.__name__,
                "p": {k: _tell(v, depth + 2, around) for k, v in sorted(value.get_params(deep=False).items())},
                "a": {k: _tell(v, depth + 1, around) for k, v in learnt.items()}}  # fmt: skip
    if kind.__name__ in _SAID:
        return {"k": "text", "v": str(value)}
    parts = getattr(value, "__dict__", None)
    top, _, inside = kind.__module__.partition(".")
    is_own = top in (own, "__main__") and not inside.startswith(BESIDE)
    if depth < 4 and is_own and isinstance(parts, dict) and 0 < len(parts) <= 40:
        held = {k: _tell(v, depth + 1, around) for k, v in sorted(parts.items()) if not k.startswith("__")}
        return {"k": "object", "t": kind.__name__, "v": held}
    return {"k": "object", "t": kind.__name__}


def _summary(array: Any) -> Told:
    numpy = sys.modules["numpy"]
    flat = numpy.asarray(array).ravel()
    if flat.dtype.kind == "c":
        flat = numpy.concatenate([flat.real, flat.imag])
    flat = flat.astype("f8")
    finite = flat[numpy.isfinite(flat)]
    told: Told = {"n": int(flat.size), "finite": int(finite.size)}
    if finite.size:
        told |= {"mean": float(finite.mean()), "std": float(finite.std()), "min": float(finite.min()),
                 "max": float(finite.max()), "abs": float(numpy.abs(finite).sum())}  # fmt: skip
    step = max(1, flat.size // 48)
    return {**told, "some": [float(each) if math.isfinite(each) else None for each in flat[::step][:64]]}


def _sha(content: bytes) -> str:
    return f"sha:{hashlib.sha256(content).hexdigest()}"


def difference(one: Any, other: Any, at: str = "") -> str:
    """Where two told values differ first; empty if they are alike."""
    if isinstance(one, dict) and isinstance(other, dict):
        if _is_opaque(one) or _is_opaque(other):
            return ""
        if set(one) != set(other):
            return f"{at}: {json.dumps(one)[:40]} / {json.dumps(other)[:40]}"
        return next((found for key in one if (found := difference(one[key], other[key], f"{at}.{key}"))), "")
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return f"{at}: {len(one)} / {len(other)} parts"
        pairs = enumerate(zip(one, other, strict=True))
        return next((found for number, (a, b) in pairs if (found := difference(a, b, f"{at}[{number}]"))), "")
    if one == other or (_is_number(one) and _is_number(other) and _is_close(one, other)):
        return ""
    return f"{at}: {str(one)[:40]} / {str(other)[:40]}"


def _is_opaque(told: dict[str, Any]) -> bool:
    # A dictionary of the notebook may have a key of that name, too.
    kind = told.get("k")
    return isinstance(kind, str) and kind in _OPAQUE


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
