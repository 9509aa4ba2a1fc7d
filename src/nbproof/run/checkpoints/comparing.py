"""Whether values are the same to the last bit, and what would come apart when they are stored. Runs inside a kernel."""

from __future__ import annotations

import array
import collections
import copyreg
import gc
import hashlib
import io
import math
import os
import random
import struct
import types
from typing import Any

from .values import PLAIN, Unstorable, Writer, is_estimator, is_index, layout, library, spelled, table_of

# No walk over the state of a local module looks at more objects than this.
MOST_OBJECTS = 200_000


class Digest:
    """A hash of a value down to its last bit: types, order, layout in memory and which parts are one object.

    With `is_lenient`, objects that cannot be looked into count by their type alone; without, they are refused. Where it
    `tells_layout`, arrays differ that lie in memory otherwise.
    """

    tells_layout = True

    def __init__(self, *, is_lenient: bool = False) -> None:
        self.hash, self.seen, self.is_lenient = hashlib.sha256(), {}, is_lenient  # type: ignore[var-annotated]
        self.kept: list[Any] = []

    def of(self, value: Any) -> str:
        self.walk(value)
        return self.hash.hexdigest()

    def put(self, *parts: Any) -> None:
        for part in parts:
            content = part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass")
            self.hash.update(len(content).to_bytes(8, "little"))
            self.hash.update(content)

    def walk(self, value: Any) -> None:
        kind = type(value)
        if value is None or kind in (bool, int, str, bytes, range):
            self.put(kind.__name__, value if kind is not int else hex(value))
            return
        if kind is float and value == value:
            self.put("float", struct.pack("<d", value))
            return
        if id(value) in self.seen and not is_index(value):
            self.put("again", self.seen[id(value)])
            return
        self.seen[id(value)] = len(self.seen)
        # Kept, so that no two objects have one address while this walks.
        self.kept.append(value)
        if len(self.kept) > MOST_OBJECTS and self.is_lenient:
            raise Unstorable("a local module holds too many objects to be compared")
        self.put(spelled(kind))
        self.walk_inside(value, kind)

    def all(self, values: Any) -> None:
        for value in values:
            self.walk(value)

    def walk_inside(self, value: Any, kind: type) -> None:
        numpy, pandas, torch = library("numpy"), library("pandas"), library("torch")
        if kind is float:
            shared = (value is math.nan, value is getattr(numpy, "nan", None))
            self.put(struct.pack("<d", value), shared)
        elif kind in (list, tuple, set, frozenset, collections.deque):
            self.put(len(value), getattr(value, "maxlen", None))
            if kind in (set, frozenset):
                self.put(*table_of(value)[:-1])
            # Sets in the order in which they are walked: what later cells print depends on it.
            if not self.alike(list(value)):
                self.all(value)
        elif isinstance(value, dict) and kind in (
            dict,
            collections.OrderedDict,
            collections.Counter,
            collections.defaultdict,
        ):
            self.put(len(value), repr(getattr(value, "default_factory", None)))
            for key, held in value.items():
                self.all((key, held))
        elif kind in PLAIN:
            self.put(repr(value), getattr(value, "fold", None))
        elif numpy is not None and isinstance(value, numpy.ndarray):
            self.array(value)
        elif numpy is not None and isinstance(value, numpy.generic):
            self.put(value.dtype.str, said_of(numpy.asarray(value)) if not value.dtype.hasobject else repr(value))
        elif numpy is not None and kind is numpy.dtype:
            self.put(value.str, repr(value))
        elif pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series | pandas.Index):
            self.pandas(value)
        elif pandas is not None and kind in (pandas.Timestamp, pandas.Timedelta):
            self.put(repr(value), value.unit, getattr(value, "fold", None))
        elif pandas is not None and (value is pandas.NaT or value is pandas.NA):
            return
        elif torch is not None and isinstance(value, torch.Tensor):
            content = value.detach().cpu().contiguous().reshape(-1)
            self.put(str(value.dtype), tuple(value.shape), value.stride(), value.requires_grad, str(value.device),
                     content.view(torch.uint8).numpy().tobytes() if value.numel() else b"")  # fmt: skip
        elif isinstance(
            value, type | types.FunctionType | types.BuiltinFunctionType | types.MethodType | types.ModuleType
        ):
            self.put(getattr(value, "__module__", ""), getattr(value, "__qualname__", getattr(value, "__name__", "")))
        else:
            self.reduced(value)

    def alike(self, values: list[Any]) -> bool:
        """Take many texts or numbers of one kind at once, if that is what they are."""
        kinds = set(map(type, values))
        if kinds == {str}:
            self.put(
                "texts", array.array("q", map(len, values)).tobytes(), "".join(values).encode("utf-8", "surrogatepass")
            )
        elif kinds == {int}:
            self.put("ints", ",".join(map(hex, values)).encode("ascii"))
        elif kinds == {float} and not any(map(math.isnan, values)):
            self.put("floats", array.array("d", values).tobytes())
        else:
            return False
        return True

    def array(self, value: Any) -> None:
        self.put(value.dtype.str, repr(value.dtype), value.shape)
        if value.dtype.hasobject:
            self.all(value.ravel().tolist())
            return
        strides = (
            [step for step, size in zip(value.strides, value.shape, strict=True) if size > 1] if value.size else []
        )
        # Between the fields of a record lies whatever was in memory.
        fields = value.dtype.names
        content = b"".join(said_of(value[name]) for name in fields) if fields else said_of(value)
        self.put(*((strides, bool(value.flags.writeable)) if self.tells_layout else ()), content)

    def pandas(self, value: Any) -> None:
        pandas, numpy = library("pandas"), library("numpy")
        if isinstance(value, pandas.DataFrame):
            self.put(value.shape, layout(value) if value.size and self.tells_layout else [])
            self.all((value.columns, value.index, value.attrs))
            for number in range(value.shape[1]):
                self.column(value.iloc[:, number]._values)
        elif isinstance(value, pandas.Series):
            self.all((value.index, value.name, value.attrs))
            self.column(value._values)
            has_strides = self.tells_layout and type(value._values) is numpy.ndarray and len(value) > 1
            self.put(value._values.strides if has_strides else None)
        elif isinstance(value, pandas.RangeIndex):
            self.put(value.start, value.stop, value.step)
            self.walk(value.name)
        elif isinstance(value, pandas.MultiIndex):
            self.all((tuple(value.names), len(value.levels)))
            for level, codes in zip(value.levels, value.codes, strict=True):
                self.pandas(level)
                self.put([int(code) for code in codes])
        else:
            self.all((value.name, str(getattr(value, "freqstr", None) if hasattr(value, "freq") else None)))
            self.column(value._values)

    def column(self, values: Any) -> None:
        pandas, numpy = library("pandas"), library("numpy")
        self.put(type(values).__name__, repr(values.dtype), len(values))
        if isinstance(values, pandas.Categorical):
            self.put(values.ordered, values.codes.tobytes())
            self.pandas(values.categories)
        elif type(values) is numpy.ndarray and not values.dtype.hasobject:
            self.put(numpy.ascontiguousarray(values).tobytes())
        elif hasattr(values, "_ndarray") and not values._ndarray.dtype.hasobject:
            self.put(numpy.ascontiguousarray(values._ndarray).tobytes())
        elif not self.alike(held := list(values)):
            self.all(held)

    def reduced(self, value: Any) -> None:
        if isinstance(value, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
            raise Unstorable(f"a {spelled(type(value))} cannot be looked into")
        try:
            parts = value.__reduce_ex__(2)
        except Exception:
            if self.is_lenient:
                return
            raise Unstorable(f"a {spelled(type(value))} cannot be looked into") from None
        if isinstance(parts, str):
            self.put(parts)
            return
        function, arguments, *rest = parts
        self.put(getattr(function, "__qualname__", repr(type(function))))
        self.walk(None if function is copyreg.__newobj__ else list(arguments))  # type: ignore[attr-defined]
        for part in rest[:1]:
            self.walk(part)
        for part in rest[1:3]:
            self.walk(None if part is None else list(part))


def said_of(value: Any) -> bytes:
    """The bytes of an array that say something: a long float fills its sixteen with whatever was in memory."""
    if value.dtype.char not in "gG":
        return bytes(value.tobytes())
    numpy = library("numpy")
    parts = [value.real, value.imag] if value.dtype.char == "G" else [value]
    found = b""
    with numpy.errstate(all="ignore"):
        for part in parts:
            shares, powers = numpy.frexp(part)
            upper = shares.astype("f8")
            # What no shorter float can hold is held by two of them.
            found += upper.tobytes() + (shares - upper).astype("f8").tobytes() + powers.tobytes()
    return found


def open_files() -> list[Any]:
    """The files that are open for writing."""
    kinds = (io.BufferedWriter, io.BufferedRandom, io.FileIO)
    # What stands for another object says so only when it is asked for its class, and may raise then.
    found = [one for one in gc.get_objects() if issubclass(type(one), kinds) and not one.closed and one.writable()]
    return [one for one in found if isinstance(getattr(one, "name", None), str | bytes)]


def check_files(before: list[Any]) -> None:
    """A file that is open for writing holds text that no copy of it has yet."""
    known = {id(one) for one in before}
    for one in open_files():
        if id(one) not in known:
            name = os.fsdecode(one.name)
            raise Unstorable(f"the file `{name}` is open for writing; expected it closed: `with open(…)`")


def check_sharing(writer: Writer) -> None:
    """Two arrays that share memory would come apart."""
    spans = sorted(span for value in writer.held for span in memory(value))
    last = {"numpy": (0, 0), "pandas": (0, 0), "torch": (0, 0)}
    for start, end, kind, owner in spans:
        for other, (until, whose) in last.items():
            if start < until and whose != owner and not (kind == other == "pandas"):
                raise Unstorable("two values share memory (one is a view of the other); expected a copy: `.copy()`")
        last[kind] = max(last[kind], (end, owner))


def memory(value: Any) -> list[tuple[int, int, str, int]]:
    numpy, pandas, torch = library("numpy"), library("pandas"), library("torch")
    if numpy is not None and type(value) is numpy.ndarray and value.size:
        start, end = (
            numpy.lib.array_utils.byte_bounds(value) if hasattr(numpy.lib, "array_utils") else numpy.byte_bounds(value)
        )
        return [(start, end, "numpy", id(value))]
    if torch is not None and isinstance(value, torch.Tensor) and value.numel():
        storage = value.untyped_storage()
        return [(storage.data_ptr(), storage.data_ptr() + storage.nbytes(), "torch", id(value))]
    if pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series):
        arrays = [block.values for block in value._mgr.blocks]
        found = []
        for array in arrays:
            array = getattr(array, "_ndarray", array)
            if type(array) is numpy.ndarray and array.size:
                found += [(start, end, "pandas", id(value)) for start, end, *_ in memory(array)]
        # Only from version 3 on do frames that share memory never see each other's changes.
        return found if int(pandas.__version__.split(".")[0]) >= 3 else [(s, e, "numpy", i) for s, e, _, i in found]
    return []


def is_mutable(value: Any) -> bool:
    libraries = (
        ("numpy", "ndarray"),
        ("numpy.random", "Generator"),
        ("pandas", "DataFrame"),
        ("pandas", "Series"),
        ("torch", "Tensor"),
    )
    kinds = [getattr(library(name), kind) for name, kind in libraries if hasattr(library(name), kind)]
    plain = (list, dict, set, bytearray, collections.deque, random.Random)
    return isinstance(value, (*plain, *kinds)) or is_estimator(value)
