"""Values as typed files, exactly, and back: tagged JSON, `.npy`, Parquet and skops; nothing is pickled.

Runs inside a kernel, where nbproof may not be installed: it is sent there as text. It needs the standard library and
the libraries of the values themselves.
"""

from __future__ import annotations

import base64
import collections
import ctypes
import datetime
import decimal
import fractions
import importlib
import json
import math
import pathlib
import random
import struct
import sys
import uuid
import zoneinfo
from typing import Any

FACTORIES = {
    "bool": bool,
    "dict": dict,
    "float": float,
    "int": int,
    "list": list,
    "set": set,
    "str": str,
    "tuple": tuple,
}
PLAIN = (
    type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range, slice,
    collections.OrderedDict, collections.defaultdict, collections.Counter, collections.deque, datetime.date,
    datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone, zoneinfo.ZoneInfo, decimal.Decimal,
    fractions.Fraction, uuid.UUID, pathlib.PosixPath, pathlib.PurePosixPath,
)  # fmt: skip


# In what a set is given its elements, in their order; of keys it makes room for all of them at once.
GIVEN_AS: Any = {"list": list, "keys": dict.fromkeys}


# Types of these libraries may be part of an estimator.
TRUSTED = ("numpy.", "scipy.", "sklearn.")


class Unstorable(Exception):
    """A value that the typed files cannot hold exactly."""


class named:  # noqa: N801 (reads as a statement)
    """Says which name a problem is about."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, RecursionError):
            raise Unstorable(f"`{self.name}`: nested too deeply") from None
        if isinstance(error, Exception):
            raise Unstorable(f"`{self.name}`: {error}".splitlines()[0]) from None


def spelled(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def library(name: str) -> Any:
    """A library that the notebook has imported, or None: a value of one that it has not cannot be there."""
    return sys.modules.get(name)


def table_of(found: Any) -> tuple[int, int, int, int, bytes]:
    """How CPython keeps a set: places taken and in use, the last place, where `pop` goes on, and what lies where.

    Its order alone does not tell where the next element will stand (`PySetObject`, Include/cpython/setobject.h).
    """
    if sys.implementation.name != "cpython":
        raise Unstorable("a set of a Python that is not CPython; expected a list")
    taken, used, last, table, _, finger = (ctypes.c_ssize_t * 6).from_address(id(found) + object.__basicsize__)
    if used != len(found) or not used <= taken <= last + 1:
        raise Unstorable("a set, of which this Python does not tell how it is kept; expected a list")
    return taken, used, last, finger, ctypes.string_at(table, (last + 1) * 2 * ctypes.sizeof(ctypes.c_ssize_t))


def way_to_make(found: Any) -> str:
    """How a set is made anew so that it is kept as it was: what is added later comes to stand where it would have."""
    for way, given in GIVEN_AS.items():
        if table_of(type(found)(given(found))) == table_of(found):
            return str(way)
    raise Unstorable("a set whose order comes from what was taken out of it, or how it grew; expected a list")


def is_plain(value: Any) -> bool:
    numpy = library("numpy")
    return type(value) in PLAIN or (numpy is not None and isinstance(value, numpy.generic))


def is_estimator(value: Any) -> bool:
    base = library("sklearn.base")
    return base is not None and isinstance(value, base.BaseEstimator) and type(value).__module__.startswith("sklearn.")


def is_index(value: Any) -> bool:
    pandas = library("pandas")
    return pandas is not None and hasattr(pandas, "Index") and isinstance(value, pandas.Index)


class Writer:
    """Values as tagged JSON, with files beside it for what is large. An object that is met twice is written once."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.memo, self.held, self.files = folder, {}, [], 0  # type: ignore[var-annotated]

    def encode(self, value: Any) -> Any:
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int:
            return value if value.bit_length() < 1000 else {"t": "int", "v": hex(value)}
        if type(value) is float:
            if math.isfinite(value):
                return value
            # `x in values` finds the very same NaN only.
            if value is math.nan or value is getattr(library("numpy"), "nan", None):
                return {"t": "nan", "v": "math" if value is math.nan else "numpy"}
            if not math.isnan(value):
                return {"t": "float", "v": struct.pack("<d", value).hex()}
        # An index never changes, so two that are one may become two.
        if id(value) in self.memo and not is_index(value):
            return {"t": "ref", "i": self.memo[id(value)]}
        number = self.memo[id(value)] = len(self.held)
        self.held.append(value)
        return {"i": number, **self.tagged(value)}

    def all(self, values: Any) -> list[Any]:
        return [self.encode(value) for value in values]

    def pairs(self, value: Any) -> list[Any]:
        return [self.all(pair) for pair in value.items()]

    def tagged(self, value: Any) -> dict[str, Any]:
        kind = type(value)
        if kind is float:
            return {"t": "own_nan", "v": struct.pack("<d", value).hex()}
        if kind in (set, frozenset):
            return {"t": kind.__name__, "w": way_to_make(value), "v": self.all(value)}
        if kind in (list, tuple):
            return {"t": kind.__name__, "v": self.all(value)}
        if kind in (dict, collections.OrderedDict, collections.Counter):
            return {"t": kind.__name__, "v": self.pairs(value)}
        if kind is collections.defaultdict:
            factory = value.default_factory
            if factory is not None and FACTORIES.get(getattr(factory, "__name__", "")) is not factory:
                raise Unstorable("a defaultdict whose factory is no built-in type")
            return {"t": "defaultdict", "f": factory and factory.__name__, "v": self.pairs(value)}
        if kind is collections.deque:
            return {"t": "deque", "m": value.maxlen, "v": self.all(value)}
        if kind in (bytes, bytearray):
            return {"t": kind.__name__, "v": base64.b64encode(value).decode("ascii")}
        if kind is complex:
            return {"t": "complex", "v": self.all([value.real, value.imag])}
        if kind in (range, slice):
            return {"t": kind.__name__, "v": self.all([value.start, value.stop, value.step])}
        if kind in (decimal.Decimal, fractions.Fraction, uuid.UUID, pathlib.PosixPath, pathlib.PurePosixPath):
            return {"t": kind.__name__, "v": str(value)}
        return self.moment(value) or self.of_library(value)

    def moment(self, value: Any) -> dict[str, Any] | None:
        kind = type(value)
        if kind is datetime.date:
            return {"t": "date", "v": value.isoformat()}
        if kind is datetime.timedelta:
            return {"t": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
        if kind in (datetime.datetime, datetime.time):
            plain = value.replace(tzinfo=None).isoformat()
            return {"t": kind.__name__, "v": plain, "fold": value.fold, "tz": self.encode(value.tzinfo)}
        if kind is datetime.timezone:
            if value is datetime.UTC:
                return {"t": "utc"}
            arguments = value.__getinitargs__()
            return {"t": "timezone", "v": self.all(arguments)}
        if kind is zoneinfo.ZoneInfo and value.key:
            return {"t": "zoneinfo", "v": value.key}
        return None

    def of_library(self, value: Any) -> dict[str, Any]:
        numpy, pandas, torch = library("numpy"), library("pandas"), library("torch")
        kind = type(value)
        if numpy is not None:
            if kind is numpy.ndarray:
                return self.array(value)
            is_scalar = isinstance(value, numpy.generic) and not value.dtype.hasobject and value.dtype.names is None
            if is_scalar and kind is value.dtype.type:
                return {"t": "scalar", "d": value.dtype.str, "v": value.tobytes().hex()}
            if kind is numpy.random.Generator:
                bits = value.bit_generator
                seed = bits.seed_seq
                if type(bits).__module__.startswith("numpy.random.") and type(seed) is numpy.random.SeedSequence:
                    seeded = [seed.entropy, list(seed.spawn_key), seed.pool_size, seed.n_children_spawned]
                    return {
                        "t": "generator",
                        "b": type(bits).__name__,
                        "v": self.encode(bits.state),
                        "q": self.encode(seeded),
                    }
        if kind is random.Random:
            return {"t": "random", "v": self.encode(value.getstate())}
        if pandas is not None:
            if kind is pandas.DataFrame:
                return self.frame(value)
            if kind is pandas.Series:
                return self.series(value)
            if isinstance(value, pandas.Index):
                return self.index(value)
            if kind is pandas.Timestamp:
                tz = None if value.tz is None else str(value.tz)
                return {
                    "t": "Timestamp",
                    "v": value.tz_localize(None).isoformat(),
                    "u": value.unit,
                    "tz": tz,
                    "fold": value.fold,
                }
            if kind is pandas.Timedelta:
                return {"t": "Timedelta", "v": int(value.asm8.view("i8")), "u": value.unit}
            if value is pandas.NaT or value is pandas.NA:
                return {"t": "missing", "v": "NaT" if value is pandas.NaT else "NA"}
        if torch is not None and kind in (torch.Tensor, torch.nn.Parameter):
            return self.tensor(value)
        if is_estimator(value):
            return self.estimator(value)
        raise Unstorable(
            f"a {spelled(kind)} cannot be kept in a typed file; expected plain values, arrays, frames or estimators"
        )

    def file(self, ending: str) -> pathlib.Path:
        self.files += 1
        return self.folder / f"value-{self.files}.{ending}"

    def array(self, value: Any) -> dict[str, Any]:
        numpy = library("numpy")
        if value.dtype.hasobject:
            raise Unstorable("an array of Python objects; expected numbers, text or times")
        if any(step <= 0 for step, size in zip(value.strides, value.shape, strict=True) if size > 1):
            raise Unstorable(
                "an array that is a reversed or repeated view of another; expected a copy of its own: `.copy()`"
            )
        path = self.file("npy")
        numpy.save(path, value, allow_pickle=False)
        return {"t": "array", "file": path.name, "s": list(value.strides), "w": bool(value.flags.writeable)}

    def columns(self, columns: list[Any]) -> dict[str, Any]:
        """One-dimensional pandas data: Python's own objects as tagged JSON, all else as one Parquet file."""
        pandas = library("pandas")
        objects = {str(n): self.all(one) for n, one in enumerate(columns) if dtype_name(one.dtype) == "object"}
        rest = {str(n): pandas.Series(one, copy=False) for n, one in enumerate(columns) if str(n) not in objects}
        if not rest or not len(columns[0]):
            return {"file": None, "objects": objects}
        path = self.file("parquet")
        frame = pandas.concat(list(rest.values()), axis=1, keys=list(rest))
        frame.to_parquet(path, engine="pyarrow", index=False)
        return {"file": path.name, "objects": objects}

    def frame(self, value: Any) -> dict[str, Any]:
        check_flags(value)
        columns = [value.iloc[:, number]._values for number in range(value.shape[1])]
        return {
            "t": "DataFrame", "f": self.columns(columns),
            "d": [dtype_name(one.dtype) for one in columns],
            "x": self.encode(value.index), "c": self.encode(value.columns),
            "a": self.encode(value.attrs), "b": blocks(value), "n": [len(value), len(columns)],
        }  # fmt: skip

    def series(self, value: Any) -> dict[str, Any]:
        numpy = library("numpy")
        check_flags(value)
        strides = list(value._values.strides) if type(value._values) is numpy.ndarray else None
        return {
            "t": "Series", "d": dtype_name(value.dtype),
            "f": self.columns([value._values]),
            "x": self.encode(value.index), "n": self.encode(value.name), "a": self.encode(value.attrs), "s": strides,
        }  # fmt: skip

    def index(self, value: Any) -> dict[str, Any]:
        pandas = library("pandas")
        if type(value) is pandas.RangeIndex:
            return {"t": "RangeIndex", "v": [value.start, value.stop, value.step], "n": self.encode(value.name)}
        if type(value) is pandas.MultiIndex:
            codes = [codes.tolist() for codes in value.codes]
            return {"t": "MultiIndex", "l": self.all(value.levels), "c": codes, "n": self.all(value.names)}
        if type(value) not in (pandas.Index, pandas.DatetimeIndex, pandas.TimedeltaIndex, pandas.CategoricalIndex):
            raise Unstorable(f"a {spelled(type(value))} cannot be kept in a typed file")
        freq = getattr(value, "freqstr", None) if type(value) in (pandas.DatetimeIndex, pandas.TimedeltaIndex) else None
        if dtype_name(value.dtype) in {"object", "str"}:
            return {
                "t": "Index",
                "v": self.all(value.tolist()),
                "d": dtype_name(value.dtype),
                "n": self.encode(value.name),
            }
        return {"t": "Index", "f": self.columns([value._values]),
                "d": dtype_name(value.dtype), "n": self.encode(value.name), "q": freq}  # fmt: skip

    def tensor(self, value: Any) -> dict[str, Any]:
        numpy, torch = library("numpy") or importlib.import_module("numpy"), library("torch")
        if value.layout is not torch.strided or value.is_quantized or value.is_conj() or value.is_neg():
            raise Unstorable("a tensor that is sparse, quantized or a lazy view; expected a dense one")
        if not value.is_leaf or value.grad is not None:
            raise Unstorable(
                "a tensor that is part of a gradient's graph; expected a detached one: `.detach().clone()`"
            )
        if any(step <= 0 for step, size in zip(value.stride(), value.shape, strict=True) if size > 1):
            raise Unstorable("a tensor that is an expanded view; expected a copy of its own: `.clone()`")
        path = self.file("npy")
        data = (
            value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            if value.numel()
            else torch.empty(0, dtype=torch.uint8)
        )
        numpy.save(path, data.numpy(), allow_pickle=False)
        return {
            "t": "tensor", "file": path.name, "d": str(value.dtype).removeprefix("torch."), "n": list(value.shape),
            "s": list(value.stride()), "g": value.requires_grad, "p": type(value) is torch.nn.Parameter,
            "v": str(value.device),
        }  # fmt: skip

    def estimator(self, value: Any) -> dict[str, Any]:
        try:
            skops = importlib.import_module("skops.io")
        except ImportError:
            raise Unstorable(
                "a scikit-learn estimator needs `skops` in the kernel's environment: pip install skops"
            ) from None
        path = self.file("skops")
        skops.dump(value, path)
        foreign = [name for name in skops.get_untrusted_types(file=path) if not name.startswith(TRUSTED)]
        if foreign:
            raise Unstorable(f"an estimator that holds a {foreign[0]}; expected scikit-learn's and numpy's own types")
        return {"t": "estimator", "file": path.name}


class Reader:
    """What `Writer` wrote, as new objects."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.objects = folder, {}  # type: ignore[var-annotated]

    def read(self) -> dict[str, Any]:
        content = json.loads((self.folder / "values.json").read_text(encoding="ascii"))
        return {name: self.decode(value) for name, value in content["values"].items()}

    def decode(self, found: Any) -> Any:
        if not isinstance(found, dict):
            return found
        if found["t"] == "ref":
            if found["i"] not in self.objects:
                raise Unstorable("a tuple, set or frame that holds itself")
            return self.objects[found["i"]]
        if found["t"] == "int":
            return int(found["v"], 16)
        if found["t"] == "nan":
            return importlib.import_module(found["v"]).nan
        if found["t"] == "float":
            return struct.unpack("<d", bytes.fromhex(found["v"]))[0]
        growing = {
            "list": list,
            "dict": dict,
            "OrderedDict": collections.OrderedDict,
            "Counter": collections.Counter,
        }
        if found["t"] in growing:
            value: Any = growing[found["t"]]()
        elif found["t"] == "deque":
            value = collections.deque(maxlen=found["m"])
        elif found["t"] == "defaultdict":
            value = collections.defaultdict(FACTORIES[found["f"]] if found["f"] else None)
        else:
            value = self.objects[found["i"]] = getattr(self, f"read_{found['t']}")(found)
            return value
        # Known before it is filled, for it may hold itself.
        self.objects[found["i"]] = value
        if isinstance(value, dict):
            for key, held in found["v"]:
                value[self.decode(key)] = self.decode(held)
        else:
            for held in found["v"]:
                value.append(self.decode(held))
        return value

    def all(self, found: list[Any]) -> list[Any]:
        return [self.decode(one) for one in found]

    def read_own_nan(self, found: Any) -> Any:
        return struct.unpack("<d", bytes.fromhex(found["v"]))[0]

    def read_tuple(self, found: Any) -> Any:
        return tuple(self.all(found["v"]))

    def read_set(self, found: Any) -> Any:
        return set(GIVEN_AS[found["w"]](self.all(found["v"])))

    def read_frozenset(self, found: Any) -> Any:
        return frozenset(GIVEN_AS[found["w"]](self.all(found["v"])))

    def read_bytes(self, found: Any) -> Any:
        return base64.b64decode(found["v"])

    def read_bytearray(self, found: Any) -> Any:
        return bytearray(base64.b64decode(found["v"]))

    def read_complex(self, found: Any) -> Any:
        return complex(*self.all(found["v"]))

    def read_range(self, found: Any) -> Any:
        return range(*self.all(found["v"]))

    def read_slice(self, found: Any) -> Any:
        return slice(*self.all(found["v"]))

    def read_Decimal(self, found: Any) -> Any:  # noqa: N802 (named for the type)
        return decimal.Decimal(found["v"])

    def read_Fraction(self, found: Any) -> Any:  # noqa: N802
        return fractions.Fraction(found["v"])

    def read_UUID(self, found: Any) -> Any:  # noqa: N802
        return uuid.UUID(found["v"])

    def read_PosixPath(self, found: Any) -> Any:  # noqa: N802
        return pathlib.PosixPath(found["v"])

    def read_PurePosixPath(self, found: Any) -> Any:  # noqa: N802
        return pathlib.PurePosixPath(found["v"])

    def read_date(self, found: Any) -> Any:
        return datetime.date.fromisoformat(found["v"])

    def read_timedelta(self, found: Any) -> Any:
        return datetime.timedelta(*found["v"])

    def read_datetime(self, found: Any) -> Any:
        return datetime.datetime.fromisoformat(found["v"]).replace(tzinfo=self.decode(found["tz"]), fold=found["fold"])

    def read_time(self, found: Any) -> Any:
        return datetime.time.fromisoformat(found["v"]).replace(tzinfo=self.decode(found["tz"]), fold=found["fold"])

    def read_utc(self, found: Any) -> Any:
        return datetime.UTC

    def read_timezone(self, found: Any) -> Any:
        return datetime.timezone(*self.all(found["v"]))

    def read_zoneinfo(self, found: Any) -> Any:
        return zoneinfo.ZoneInfo(found["v"])

    def read_scalar(self, found: Any) -> Any:
        numpy = importlib.import_module("numpy")
        return numpy.frombuffer(bytes.fromhex(found["v"]), dtype=numpy.dtype(found["d"]))[0]

    def read_array(self, found: Any) -> Any:
        numpy = importlib.import_module("numpy")
        value = strided(numpy.load(self.folder / found["file"], allow_pickle=False), found["s"])
        value.flags.writeable = found["w"]
        return value

    def read_generator(self, found: Any) -> Any:
        numpy = importlib.import_module("numpy")
        entropy, key, size, spawned = self.decode(found["q"])
        seed = numpy.random.SeedSequence(entropy, spawn_key=key, pool_size=size, n_children_spawned=spawned)
        bits = getattr(numpy.random, found["b"])(seed)
        bits.state = self.decode(found["v"])
        return numpy.random.Generator(bits)

    def read_random(self, found: Any) -> Any:
        value = random.Random()  # noqa: S311 (the notebook's own)
        value.setstate(self.decode(found["v"]))
        return value

    def read_Timestamp(self, found: Any) -> Any:  # noqa: N802
        pandas = importlib.import_module("pandas")
        value = pandas.Timestamp(found["v"]).as_unit(found["u"])
        return value if found["tz"] is None else value.tz_localize(found["tz"], ambiguous=not found["fold"])

    def read_Timedelta(self, found: Any) -> Any:  # noqa: N802
        return importlib.import_module("pandas").Timedelta(found["v"], found["u"]).as_unit(found["u"])

    def read_missing(self, found: Any) -> Any:
        return getattr(importlib.import_module("pandas"), found["v"])

    def columns(self, found: dict[str, Any], dtypes: list[str]) -> list[Any]:
        pandas, numpy = importlib.import_module("pandas"), importlib.import_module("numpy")
        frame = {} if found["file"] is None else pandas.read_parquet(self.folder / found["file"], engine="pyarrow")
        columns = []
        for number, dtype in enumerate(dtypes):
            name = str(number)
            if name in found["objects"]:
                held = numpy.empty(len(found["objects"][name]), dtype=object)
                for place, one in enumerate(self.all(found["objects"][name])):
                    held[place] = one
                columns.append(pandas.Series(held, dtype=object, copy=False))
            else:
                read = frame[name] if name in frame else pandas.Series([], dtype=dtype)
                columns.append(read if dtype_name(read.dtype) == dtype else read.astype(dtype))
        return columns

    def read_DataFrame(self, found: Any) -> Any:  # noqa: N802
        pandas = importlib.import_module("pandas")
        _, width = found["n"]
        columns = self.columns(found["f"], found["d"])
        index, names = self.decode(found["x"]), self.decode(found["c"])
        if width:
            value = with_blocks(columns, found["b"], index, names)
        else:
            value = pandas.DataFrame(index=index, columns=names)
        value.attrs = self.decode(found["a"])
        return value

    def read_Series(self, found: Any) -> Any:  # noqa: N802
        pandas = importlib.import_module("pandas")
        (column,) = self.columns(found["f"], [found["d"]])
        held = column._values
        if found["s"] is not None and len(column) and held.dtype != object:
            held = strided(held, found["s"])
        value = pandas.Series(held, index=self.decode(found["x"]), name=self.decode(found["n"]), copy=False)
        value.attrs = self.decode(found["a"])
        return value

    def read_RangeIndex(self, found: Any) -> Any:  # noqa: N802
        return importlib.import_module("pandas").RangeIndex(*found["v"], name=self.decode(found["n"]))

    def read_MultiIndex(self, found: Any) -> Any:  # noqa: N802
        pandas = importlib.import_module("pandas")
        return pandas.MultiIndex(levels=self.all(found["l"]), codes=found["c"], names=self.all(found["n"]))

    def read_Index(self, found: Any) -> Any:  # noqa: N802
        pandas = importlib.import_module("pandas")
        if "v" in found:
            return pandas.Index(self.all(found["v"]), dtype=found["d"], name=self.decode(found["n"]))
        (column,) = self.columns(found["f"], [found["d"]])
        value = pandas.Index(column._values, name=self.decode(found["n"]))
        if found["q"] is not None:
            value.freq = found["q"]
        return value

    def read_tensor(self, found: Any) -> Any:
        numpy, torch = importlib.import_module("numpy"), importlib.import_module("torch")
        data = torch.from_numpy(numpy.load(self.folder / found["file"], allow_pickle=False))
        dtype = getattr(torch, found["d"])
        flat = data.view(dtype) if data.numel() else torch.empty(0, dtype=dtype)
        value = torch.empty_strided(found["n"], found["s"], dtype=dtype, device=found["v"])
        value.copy_(flat.reshape(found["n"]))
        if found["p"]:
            return torch.nn.Parameter(value, requires_grad=found["g"])
        return value.requires_grad_(found["g"]) if found["g"] else value

    def read_estimator(self, found: Any) -> Any:
        skops, path = importlib.import_module("skops.io"), self.folder / found["file"]
        trusted = [name for name in skops.get_untrusted_types(file=path) if name.startswith(TRUSTED)]
        return skops.load(path, trusted=trusted)


def check_flags(value: Any) -> None:
    if not value.flags.allows_duplicate_labels:
        raise Unstorable("a frame that forbids duplicate labels; expected pandas' own default")


def dtype_name(dtype: Any) -> str:
    return str(dtype)


def strided(value: Any, strides: list[int]) -> Any:
    """A copy of `value` that lies in memory as it did: in which order numbers are added decides their last digit."""
    numpy = importlib.import_module("numpy")
    if not value.size or list(value.strides) == strides or value.ndim == 0:
        return value if value.flags.owndata and value.flags.writeable else value.copy(order="K")
    span = sum(step * (size - 1) for step, size in zip(strides, value.shape, strict=True)) + value.itemsize
    placed = numpy.ndarray(value.shape, value.dtype, numpy.zeros(span, numpy.uint8).data, 0, strides)
    placed[...] = value
    return placed


def blocks(frame: Any) -> list[dict[str, Any]]:
    """How a frame lies in memory: for each block of numpy columns, which columns and with which strides."""
    numpy = library("numpy")
    found = [
        {"c": block.mgr_locs.as_array.tolist(), "s": list(block.values.strides), "d": str(block.values.dtype)}
        for block in frame._mgr.blocks
        if type(block.values) is numpy.ndarray and block.values.dtype != object
    ]  # fmt: skip
    return sorted(found, key=lambda block: block["c"])


def layout(frame: Any) -> list[Any]:
    """The same, less the strides along which there is but one value."""
    found = []
    for block in blocks(frame):
        sizes = (len(block["c"]), len(frame))
        steps = [step for step, size in zip(block["s"], sizes, strict=True) if size > 1]
        found.append([block["c"], steps, block["d"]])
    return found


def with_blocks(columns: list[Any], wanted: list[dict[str, Any]], index: Any, names: Any) -> Any:
    numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")
    built, placed = [], set()
    for block in wanted:
        values = numpy.stack([columns[place].to_numpy() for place in block["c"]])
        built.append(
            (strided(values, block["s"]) if values.size else values, numpy.array(block["c"], dtype=numpy.intp))
        )
        placed.update(block["c"])
    for place, column in enumerate(columns):
        if place not in placed:
            held = column.to_frame()._mgr.blocks[0].values
            built.append((held, numpy.array([place], dtype=numpy.intp)))
    internals = importlib.import_module("pandas.api.internals")
    return (
        internals.create_dataframe_from_blocks(built, index=index, columns=names)
        if built
        else pandas.DataFrame(index=index)
    )
