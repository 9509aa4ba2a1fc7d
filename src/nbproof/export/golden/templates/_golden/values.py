"""Values as trees of plain parts, told apart down to the last bit, and back to values where that can be done.

A part is a JSON value, bytes, an array, or a mapping that says under `is` what it stands for.
"""

from __future__ import annotations

import builtins
import collections
import copyreg
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import importlib
import math
import pathlib
import sys
import sysconfig
import types
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# Longer arrays and texts are kept as a hash, with some of what is in them.
LONGEST = 200_000
SAMPLE = 12
# From so many on, values of one kind are held together.
MANY = 64
MOST_PARTS = 100_000
# Where libraries lie: elsewhere in each environment.
LIBRARIES = sysconfig.get_path("purelib")
# Whose version says for which hardware it was built: the same code is installed as another build elsewhere.
_BUILT = ("torch", "torchvision", "torchaudio")
# What says in a text all that it is.
_SPELT: dict[type, Callable[[str], Any]] = {
    decimal.Decimal: decimal.Decimal,
    fractions.Fraction: fractions.Fraction,
    uuid.UUID: uuid.UUID,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    datetime.datetime: datetime.datetime.fromisoformat,
}
_PATHS = (pathlib.PurePath,)


def library(name: str) -> Any:
    """Return a library that is loaded, or None: a value of one that is not cannot be there."""
    return sys.modules.get(name)


def spelled(kind: Any) -> str:
    """Return the full name of a class or function; what stands inside of a function goes by its own name."""
    name = str(getattr(kind, "__qualname__", getattr(kind, "__name__", kind))).rpartition("<locals>.")[2]
    module = getattr(kind, "__module__", None) or ""
    return name if module in ("builtins", "") else f"{module}.{name}"


class Untold(Exception):
    """A value that cannot be looked into, or not be made again from its parts."""


def without_places(text: str, here: str) -> str:
    """A text without what is another in each place: where a run happens, where libraries lie, how they were built."""
    text = text.replace(here, "{here}") if here else text
    text = text.replace(LIBRARIES, "{libraries}")
    for name, (version, build) in _builds().items():
        text = text.replace(f"{version}{build}", f"{version}{{build of {name}}}") if build else text
    return text


def with_places(text: str, here: str) -> str:
    """Undo `without_places` where this process runs."""
    text = text.replace("{here}", here).replace("{libraries}", LIBRARIES)
    for name, (_, build) in _builds().items() if "{build of " in text else ():
        text = text.replace(f"{{build of {name}}}", build)
    return text


def _builds() -> dict[str, tuple[str, str]]:
    """Versions of libraries that say their build, in two parts: `2.13.0` and `+cpu`, or nothing."""
    parts = {name: str(getattr(library(name), "__version__", "")).partition("+") for name in _BUILT}
    return {name: (version, mark + build) for name, (version, mark, build) in parts.items()}


class Describer:
    """Takes values apart. What is one object is told once, so that two names of one thing stay that.

    `here` is the folder that the steps run in: it is another one each time, and left out of every text.
    """

    def __init__(self, here: str = "", *, longest: int = LONGEST) -> None:
        self.here, self.longest = here, longest
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []

    def of(self, value: Any) -> Any:
        """Take a value apart."""
        kind = type(value)
        if value is None or kind in (bool, int):
            return value
        if kind is str:
            return self.text(value)
        if kind is float:
            return value if math.isfinite(value) else {"is": "float", "value": repr(value)}
        if kind in (bytes, complex, range, slice, type(Ellipsis), type(NotImplemented)):
            return self.small(value, kind)
        if id(value) in self.seen and not self._is_fixed(value):
            return {"is": "again", "of": self.seen[id(value)]}
        self.seen[id(value)] = len(self.kept)
        # Kept, so that no two objects have one address meanwhile.
        self.kept.append(value)
        if len(self.kept) > MOST_PARTS:
            return {"is": "unknown", "class": spelled(kind), "why": "it holds too many parts"}
        try:
            return self.inside(value, kind)
        except RecursionError:
            return {"is": "unknown", "class": spelled(kind), "why": "it is nested too deeply"}
        except Exception as error:
            # Whatever an object does when it is asked, the others are told.
            why = f"it cannot be looked into ({type(error).__name__})"
            return {"is": "unknown", "class": spelled(kind), "why": why}

    def all(self, values: Iterable[Any]) -> list[Any]:
        return [self.of(value) for value in values]

    def text(self, value: str) -> Any:
        value = without_places(value, self.here)
        if len(value) <= self.longest:
            return value
        lines = value.split("\n")
        return {
            "is": "long text", "hash": _hash(value.encode("utf-8", "surrogatepass")), "lines": len(lines),
            "begins": lines[0][:200], "ends": lines[-1][-200:],
        }  # fmt: skip

    def small(self, value: Any, kind: type) -> Any:
        if kind is bytes:
            return {"is": "bytes", "data": self.data_of_bytes(value)}
        if kind is complex:
            return {"is": "complex", "parts": self.all((value.real, value.imag))}
        if kind in (range, slice):
            return {"is": kind.__name__, "parts": self.all((value.start, value.stop, value.step))}
        return {"is": "name", "value": repr(value)}

    def data_of_bytes(self, value: bytes) -> Any:
        return {"hash": _hash(value), "size": len(value)} if len(value) > self.longest else value

    def inside(self, value: Any, kind: type) -> Any:
        if kind in (list, tuple):
            return self.sequence(value, kind)
        if kind in (set, frozenset):
            # A set has no order of its own that anybody could rely on.
            parts = [Describer(self.here, longest=self.longest).of(each) for each in value]
            return {"is": kind.__name__, "items": sorted(parts, key=repr)}
        if kind in (dict, collections.OrderedDict, collections.Counter):
            return self.mapping(value, kind)
        if (kind in _SPELT and getattr(value, "tzinfo", None) is None) or isinstance(value, _PATHS):
            return {"is": "text", "class": spelled(kind), "value": self.text(str(value))}
        if isinstance(value, enum.Enum):
            return {"is": "name", "value": f"{spelled(kind)}.{value.name}"}
        if isinstance(
            value, type | types.FunctionType | types.BuiltinFunctionType | types.ModuleType | types.GenericAlias
        ):
            return {"is": "name", "value": spelled(value) if not isinstance(value, types.GenericAlias) else repr(value)}
        for name, describe in _OF_LIBRARIES:
            found = describe(self, value) if library(name) is not None else None
            if found is not None:
                return found
        return self.taken_apart(value, kind)

    def sequence(self, value: Any, kind: type) -> Any:
        alike = self._alike(value)
        if alike is not None:
            return {"is": kind.__name__, "of": alike[0], "data": alike[1]}
        return self.all(value) if kind is list else {"is": "tuple", "items": self.all(value)}

    def mapping(self, value: Any, kind: type) -> Any:
        if all(type(key) is str for key in value):
            return {"is": kind.__name__, "keys": {self.text(key): self.of(each) for key, each in value.items()}}
        return {"is": kind.__name__, "pairs": [self.all(pair) for pair in value.items()]}

    def _alike(self, value: Any) -> tuple[str, Any] | None:
        """Many numbers of one kind as an array."""
        numpy = library("numpy")
        if len(value) < MANY or numpy is None or len(set(map(type, value))) != 1:
            return None
        first = type(value[0])
        if first is float:
            return "float", self.data(numpy.array(value, "<f8"))
        if first is int and all(-(2**63) <= each < 2**63 for each in value):
            return "int", self.data(numpy.array(value, "<i8"))
        return None

    def data(self, array: Any) -> Any:
        """Copy an array for a file, or sum it up, where it is too long."""
        numpy = library("numpy")
        if array.nbytes <= self.longest:
            return numpy.array(array, order="C")
        return summary(array)

    def taken_apart(self, value: Any, kind: type) -> Any:
        """Tell an object by what makes it again: the way that copies take, written down."""
        if isinstance(value, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
            return {"is": "unknown", "class": spelled(kind), "why": "it can be gone through only once"}
        try:
            parts = value.__reduce_ex__(4)
        except Exception:
            return {"is": "unknown", "class": spelled(kind), "why": "it cannot be looked into"}
        if isinstance(parts, str):
            return {"is": "name", "value": f"{kind.__module__}.{parts}"}
        make, arguments, *rest = parts
        state, items, pairs = (*rest, None, None, None)[:3]
        if make is getattr(copyreg, "__newobj__", None):
            made = {"is": "object", "class": spelled(arguments[0]), "arguments": self.all(arguments[1:])}
        else:
            made = {"is": "made", "by": self.of(make), "class": spelled(kind), "arguments": self.all(arguments)}
        if state is not None:
            made["state"] = self.of(state)
        if items is not None:
            made["items"] = self.all(items)
        if pairs is not None:
            made["pairs"] = [self.all(pair) for pair in pairs]
        return made

    def _is_fixed(self, value: Any) -> bool:
        """Say whether a value never changes: then it is chance which of them are one."""
        pandas, numpy, sympy = library("pandas"), library("numpy"), library("sympy.core.basic")
        return (
            isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.ModuleType | enum.Enum)
            or type(value) in _SPELT
            or (type(value) in (tuple, frozenset) and not value)
            or isinstance(value, (*_PATHS, datetime.date, datetime.time, datetime.timedelta))
            or (pandas is not None and hasattr(pandas, "Index") and isinstance(value, pandas.Index))
            or (numpy is not None and isinstance(value, numpy.generic | numpy.dtype))
            # SymPy remembers terms for a while, so that an equal one may be that again.
            or (hasattr(sympy, "Basic") and isinstance(value, sympy.Basic))
        )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _content(flat: Any) -> bytes:
    """Tell the bytes that are numbers: between the fields of a record, and in wide numbers, lies whatever was there."""
    if flat.dtype.names:
        return b"".join(_content(flat[name]) for name in flat.dtype.names)
    if flat.dtype.kind == "c" and flat.dtype.itemsize > 16:
        return _content(flat.real) + _content(flat.imag)
    if flat.dtype.kind == "f" and flat.dtype.itemsize > 8:
        # The number nearest to it, and what is left, are the whole of it.
        near = flat.astype("f8")
        return bytes(near.tobytes() + (flat - near).astype("f8").tobytes())
    return bytes(flat.tobytes())


def summary(array: Any) -> dict[str, Any]:
    """Sum up a long array: its hash, some numbers about all of it, and some rows."""
    numpy = library("numpy")
    flat = numpy.ascontiguousarray(array).reshape(-1)
    told: dict[str, Any] = {"is": "summary", "hash": _hash(_content(flat)), "size": int(flat.size)}
    at = sample(len(flat))
    told["rows"] = at
    # Not every number is one in JSON.
    told["values"] = [each if isinstance(each, int) or _is_finite(each) else str(each) for each in flat[at].tolist()]
    if flat.dtype.kind in "iuf":
        known = flat[numpy.isfinite(flat)].astype("f8")
        if known.size:
            told |= {"least": float(known.min()), "most": float(known.max()), "mean": float(known.mean())}
        told["not finite"] = int(flat.size - known.size)
    return told


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def sample(size: int) -> list[int]:
    """Rows that stand for all: evenly spread, the first and the last among them."""
    if size <= SAMPLE:
        return list(range(size))
    return sorted({round(at * (size - 1) / (SAMPLE - 1)) for at in range(SAMPLE)})


# Arrays.


def _numpy(to: Describer, value: Any) -> Any:
    numpy = library("numpy")
    if isinstance(value, numpy.generic):
        if value.dtype.hasobject or value.dtype.kind in "V":
            return None
        if value.dtype.kind in "mM":
            content: Any = int(value.astype("i8"))
        else:
            content = to.of(value.item()) if value.dtype.itemsize <= 8 or value.dtype.kind in "US" else repr(value)
        return {"is": "number", "dtype": value.dtype.str, "value": content}
    if isinstance(value, numpy.dtype):
        return {"is": "dtype", "value": value.str, "text": repr(value)}
    if type(value) is not numpy.ndarray:
        return None
    if value.dtype.hasobject:
        return {"is": "array", "dtype": value.dtype.str, "shape": list(value.shape), "items": to.all(value.ravel())}
    told = {"is": "array", "dtype": value.dtype.str, "shape": list(value.shape), "data": to.data(value.reshape(-1))}
    if value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous:
        told["order"] = "columns"
    return told


# Frames.


def _pandas(to: Describer, value: Any) -> Any:
    pandas = library("pandas")
    if isinstance(value, pandas.DataFrame) and type(value) is pandas.DataFrame:
        told = {
            "is": "frame",
            "shape": list(value.shape),
            "index": _index(to, value.index),
            "names": _index(to, value.columns),
            "columns": [_column(to, value.iloc[:, at]) for at in range(value.shape[1])],
        }
        return told | ({"attrs": to.of(value.attrs)} if value.attrs else {})
    if isinstance(value, pandas.Series) and type(value) is pandas.Series:
        told = {"is": "series", "name": to.of(value.name), "index": _index(to, value.index)}
        told |= {"values": _column(to, value)}
        return told | ({"attrs": to.of(value.attrs)} if value.attrs else {})
    if isinstance(value, pandas.Index):
        return {"is": "index", **_index(to, value)}
    if value is pandas.NaT or value is pandas.NA:
        return {"is": "name", "value": f"pandas.{value!r}".replace("<NA>", "NA")}
    if isinstance(value, pandas.Timestamp | pandas.Timedelta):
        return {"is": "moment", "class": spelled(type(value)), "value": str(value), "unit": value.unit,
                "zone": str(getattr(value, "tz", None))}  # fmt: skip
    if isinstance(value, pandas.api.extensions.ExtensionDtype):
        return {"is": "dtype", "value": str(value), "text": repr(value)}
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        return {"is": "column", **_column(to, value)}
    return None


def _index(to: Describer, index: Any) -> dict[str, Any]:
    pandas = library("pandas")
    told: dict[str, Any] = {"class": type(index).__name__}
    if isinstance(index, pandas.MultiIndex):
        names = to.all(index.names)
        levels = [_index(to, level) for level in index.levels]
        codes = [to.data(library("numpy").asarray(each, "i8")) for each in index.codes]
        return told | {"names": names, "levels": levels, "codes": codes}
    told["name"] = to.of(index.name)
    if isinstance(index, pandas.RangeIndex):
        return told | {"range": [index.start, index.stop, index.step]}
    if getattr(index, "freq", None) is not None:
        told["freq"] = index.freqstr
    return told | {"values": _column(to, index)}


def _column(to: Describer, held: Any) -> dict[str, Any]:
    """Tell a column by its type, and what is in it as arrays, or one by one."""
    pandas, numpy = library("pandas"), library("numpy")
    told: dict[str, Any] = {"dtype": str(held.dtype)}
    if isinstance(held.dtype, numpy.dtype):
        plain = held.to_numpy()
        return told | (_texts_or_items(to, plain.tolist()) if plain.dtype.hasobject else {"data": to.data(plain)})
    values = held if isinstance(held, pandas.api.extensions.ExtensionArray) else held.array
    if isinstance(values, pandas.Categorical):
        told |= {"ordered": bool(values.ordered), "categories": _index(to, values.categories)}
        return told | {"data": to.data(numpy.asarray(values.codes))}
    if hasattr(values, "_mask") and hasattr(values, "_data"):
        # What stands below a missing value is chance.
        content = numpy.where(values._mask, numpy.zeros((), values._data.dtype), values._data)
        return told | {"data": to.data(content), "missing": to.data(numpy.asarray(values._mask))}
    if isinstance(values.dtype, pandas.DatetimeTZDtype):
        return told | {"data": to.data(values.asi8)}
    return told | _texts_or_items(to, list(values))


def _texts_or_items(to: Describer, values: list[Any]) -> dict[str, Any]:
    numpy = library("numpy")
    if len(values) >= MANY and all(type(each) is str and not each.endswith("\0") for each in values):
        values = [without_places(each, to.here) for each in values]
        return {"data": to.data(numpy.array(values, dtype=str))}
    if len(values) > MANY and sum(len(each) for each in values if type(each) is str) > to.longest:
        kept = [Describer(to.here, longest=to.longest).of(values[at]) for at in sample(len(values))]
        return {"hash": _hash(repr(values).encode("utf-8", "surrogatepass")), "size": len(values), "items": kept}
    return {"items": to.all(values)}


# Tensors.


def _torch(to: Describer, value: Any) -> Any:
    torch = library("torch")
    if isinstance(value, torch.dtype | torch.device):
        return {"is": "name", "value": str(value)}
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        return None
    flat = value.detach().cpu().contiguous().reshape(-1)
    # NumPy knows no such short floats.
    is_odd = flat.dtype in (torch.bfloat16,)
    content = (flat.view(torch.int16) if is_odd else flat.resolve_conj().resolve_neg()).numpy()
    return {"is": "tensor", "class": spelled(type(value)), "dtype": str(value.dtype), "shape": list(value.shape),
            "grad": value.requires_grad, "device": str(value.device), "data": to.data(content)}  # fmt: skip


def _matplotlib(to: Describer, value: Any) -> Any:
    from .pictures import drawn

    return drawn(to, value)


_OF_LIBRARIES: tuple[tuple[str, Callable[[Describer, Any], Any]], ...] = (
    ("numpy", _numpy),
    ("pandas", _pandas),
    ("torch", _torch),
    ("matplotlib.artist", _matplotlib),
)


class Rebuilder:
    """Makes values again from their parts. What was one object becomes one.

    Classes and functions are looked up by name in modules that `knows` says yes to: whatever the files name, nothing
    else is imported.
    """

    def __init__(self, here: str, knows: Callable[[str], bool]) -> None:
        self.here, self.knows = here, knows
        self.made: list[Any] = []

    def of(self, told: Any) -> Any:
        if told is None or type(told) in (bool, int, float):
            return told
        if type(told) is str:
            return with_places(told, self.here)
        if type(told) is list:
            at = self._place()
            made: list[Any] = []
            self.made[at] = made
            made.extend(self.of(each) for each in told)
            return made
        return self.one(told["is"], told)

    def _place(self) -> int:
        self.made.append(None)
        return len(self.made) - 1

    def one(self, what: str, told: Mapping[str, Any]) -> Any:
        if what == "float":
            return float(told["value"])
        if what == "bytes" and isinstance(told["data"], bytes):
            return told["data"]
        if what == "complex":
            return complex(*self.of_all(told["parts"]))
        if what in ("range", "slice"):
            return {"range": range, "slice": slice}[what](*self.of_all(told["parts"]))
        if what == "again":
            return self.made[told["of"]]
        make = getattr(self, f"make_{what}", None)
        if make is None:
            raise Untold(f"{what} cannot be made again")
        at = self._place()
        self.made[at] = made = make(told, at)
        return made

    def of_all(self, told: Iterable[Any]) -> list[Any]:
        return [self.of(each) for each in told]

    def array(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            raise Untold("it is too large to be kept whole")
        return data.copy()

    def make_list(self, told: Mapping[str, Any], at: int) -> Any:
        return self.array(told["data"]).tolist()

    def make_tuple(self, told: Mapping[str, Any], at: int) -> Any:
        return tuple(self.array(told["data"]).tolist() if "data" in told else self.of_all(told["items"]))

    def make_set(self, told: Mapping[str, Any], at: int) -> Any:
        # Each was told for itself.
        return {Rebuilder(self.here, self.knows).of(each) for each in told["items"]}

    def make_frozenset(self, told: Mapping[str, Any], at: int) -> Any:
        return frozenset(self.make_set(told, at))

    def make_dict(self, told: Mapping[str, Any], at: int) -> Any:
        kind = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}[told["is"]]
        self.made[at] = made = kind()
        # A counter would count what it is updated with.
        if "keys" in told:
            for key, each in told["keys"].items():
                made[self.of(key)] = self.of(each)
        else:
            for key, each in map(self.of_all, told["pairs"]):
                made[key] = each
        return made

    make_OrderedDict = make_Counter = make_dict  # noqa: N815 (called after what they make)

    def make_text(self, told: Mapping[str, Any], at: int) -> Any:
        kind = self.named(told["class"])
        return _SPELT.get(kind, kind)(self.of(told["value"]))

    def make_name(self, told: Mapping[str, Any], at: int) -> Any:
        for constant in (Ellipsis, NotImplemented):
            if told["value"] == repr(constant):
                return constant
        return self.named(told["value"])

    def named(self, name: str) -> Any:
        """Find a class, function or module by its full name."""
        words = name.split(".")
        if len(words) == 1 and hasattr(builtins, name):
            return getattr(builtins, name)
        for cut in range(len(words), 0, -1):
            module = ".".join(words[:cut])
            if not self.knows(module):
                continue
            try:
                found = importlib.import_module(module)
            except ImportError:
                continue
            try:
                return functools.reduce(getattr, words[cut:], found)
            except AttributeError:
                break
        raise Untold(f"`{name}` is not found")

    def make_number(self, told: Mapping[str, Any], at: int) -> Any:
        numpy = library("numpy")
        kind = numpy.dtype(told["dtype"])
        if kind.kind in "mM":
            return numpy.array(told["value"], "i8").view(kind)[()]
        if kind.itemsize > 8 and kind.kind not in "US":
            raise Untold("so wide a number cannot be written down")
        return numpy.array(self.of(told["value"]), kind)[()]

    def make_dtype(self, told: Mapping[str, Any], at: int) -> Any:
        return library("pandas").api.types.pandas_dtype(told["value"])

    def make_array(self, told: Mapping[str, Any], at: int) -> Any:
        numpy = library("numpy")
        if "items" in told:
            made = numpy.empty(len(told["items"]), dtype=object)
            made[:] = self.of_all(told["items"])
        else:
            made = self.array(told["data"])
        made = (made if made.dtype.names else made.astype(told["dtype"], copy=False)).reshape(told["shape"])
        return numpy.asfortranarray(made) if told.get("order") else made

    def make_frame(self, told: Mapping[str, Any], at: int) -> Any:
        pandas = library("pandas")
        index = self.index(told["index"])
        names = self.index(told["names"])
        columns = {at: pandas.Series(self.column(each), index=index) for at, each in enumerate(told["columns"])}
        made = pandas.DataFrame(columns, index=index)
        made.columns = names
        made.attrs = self.of(told["attrs"]) if "attrs" in told else {}
        return made

    def make_series(self, told: Mapping[str, Any], at: int) -> Any:
        name = self.of(told["name"])
        made = library("pandas").Series(index=self.index(told["index"]), data=self.column(told["values"]), name=name)
        made.attrs = self.of(told["attrs"]) if "attrs" in told else {}
        return made

    def make_index(self, told: Mapping[str, Any], at: int) -> Any:
        return self.index(told)

    def make_column(self, told: Mapping[str, Any], at: int) -> Any:
        return self.column(told)

    def index(self, told: Mapping[str, Any]) -> Any:
        pandas = library("pandas")
        if "levels" in told:
            names = self.of_all(told["names"])
            levels = [self.index(level) for level in told["levels"]]
            codes = [self.array(each) for each in told["codes"]]
            return pandas.MultiIndex(levels=levels, codes=codes, names=names)
        name = self.of(told["name"])
        if "range" in told:
            return pandas.RangeIndex(*told["range"], name=name)
        made = pandas.Index(self.column(told["values"]), name=name)
        if "freq" in told:
            made = type(made)(made, freq=told["freq"], name=name)
        if type(made).__name__ != told["class"]:
            raise Untold(f"a {told['class']} cannot be made again")
        return made

    def column(self, told: Mapping[str, Any]) -> Any:
        pandas, numpy = library("pandas"), library("numpy")
        if "hash" in told:
            raise Untold("it is too large to be kept whole")
        if "categories" in told:
            categories = pandas.CategoricalDtype(self.index(told["categories"]), ordered=told["ordered"])
            return pandas.Categorical.from_codes(self.array(told["data"]), dtype=categories)
        dtype = pandas.api.types.pandas_dtype(told["dtype"])
        if "missing" in told:
            return dtype.construct_array_type()(self.array(told["data"]), self.array(told["missing"]))
        if "items" in told:
            if dtype.kind == "O":
                made = numpy.empty(len(told["items"]), dtype=object)
                made[:] = self.of_all(told["items"])
                return made
            return pandas.array(self.of_all(told["items"]), dtype=dtype)
        data = self.array(told["data"])
        if isinstance(dtype, pandas.DatetimeTZDtype):
            return pandas.Series(data).astype(dtype).array
        if data.dtype.kind == "U":
            return pandas.array(data.tolist(), dtype=dtype) if dtype.kind != "O" else data.astype(object)
        return data

    def make_moment(self, told: Mapping[str, Any], at: int) -> Any:
        if told["zone"] != "None":
            raise Untold("a moment with its time zone cannot be made again")
        return self.named(told["class"])(told["value"]).as_unit(told["unit"])

    def make_tensor(self, told: Mapping[str, Any], at: int) -> Any:
        torch = importlib.import_module("torch")
        content = torch.from_numpy(self.array(told["data"]))
        dtype = functools.reduce(getattr, told["dtype"].split(".")[1:], torch)
        made = (content.view(dtype) if dtype is torch.bfloat16 else content).reshape(told["shape"])
        if told["device"] != "cpu":
            raise Untold(f"it lay on {told['device']}")
        if told["class"].endswith(".Parameter"):
            return torch.nn.Parameter(made, requires_grad=told["grad"])
        return made.requires_grad_(told["grad"]) if told["grad"] else made

    def make_object(self, told: Mapping[str, Any], at: int) -> Any:
        kind = self.named(told["class"])
        made = self.made[at] = kind.__new__(kind, *self.of_all(told["arguments"]))
        return self.finished(made, told)

    def make_made(self, told: Mapping[str, Any], at: int) -> Any:
        make = self.of(told["by"])
        made = self.made[at] = make(*self.of_all(told["arguments"]))
        return self.finished(made, told)

    def finished(self, made: Any, told: Mapping[str, Any]) -> Any:
        """Give an object its state and what it holds, as copies are given theirs."""
        if "state" in told:
            state = self.of(told["state"])
            if hasattr(made, "__setstate__"):
                made.__setstate__(state)
            else:
                plain, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
                made.__dict__.update(plain or {})
                for name, value in (slots or {}).items():
                    setattr(made, name, value)
        for item in self.of_all(told.get("items", ())):
            made.append(item)
        for key, value in (self.of_all(pair) for pair in told.get("pairs", ())):
            made[key] = value
        return made


def unknown(told: Any, at: str = "") -> Iterable[tuple[str, str, str]]:
    """Tell what of a value could not be looked into: where, its class, and why."""
    if isinstance(told, Mapping):
        if told.get("is") == "unknown":
            yield at, told["class"], told["why"]
        for name, part in told.items():
            yield from unknown(part, at if name in ("items", "keys", "state") else f"{at}.{name}" if at else name)
    elif isinstance(told, list):
        for number, part in enumerate(told):
            yield from unknown(part, f"{at}[{number}]")
