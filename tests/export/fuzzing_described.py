"""A value as plain data, told apart without pickle, hash or any code of the exporter; functions by what they answer.

Where code lives is what an export changes, and is no part of it: `__main__.A` and `package.steps.A` are one class.
"""

from __future__ import annotations

import collections
import enum
import functools
import io
import re
import struct
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

PROBES: tuple[tuple[Any, ...], ...] = ((), (1,), (2, 3), ("a",), ([1, 2],))
MOST_DRAWN, DEEPEST = 25, 30
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_LOCAL = re.compile(r"(?:\w+\.)*\w+\.<locals>\.")


class Describing:
    """One walk over some values, in which a thing met again is named instead of told again."""

    def __init__(self, package: str = "", *, is_shown: bool = False) -> None:
        # Of what is shown only so much is told as can be seen; to look into an iterator would use it up.
        self.is_shown = is_shown
        self.home = re.compile(rf"(?<![\w.]){re.escape(package)}(?:\.\w+)*\.(?=\w)") if package else None
        self.package = package
        self.met: dict[int, int] = {}
        self.alive: list[Any] = []
        self.depth = 0

    def text(self, text: str) -> str:
        """A text that names code, without where the code lives."""
        text = _ADDRESS.sub("0x", _LOCAL.sub("", text))
        return (self.home.sub("__main__.", text) if self.home else text).replace("__main__.", "")

    def kind(self, kind: type) -> str:
        module = kind.__module__
        name = kind.__qualname__.rpartition("<locals>.")[2]
        if name == "SList" and module.startswith("IPython"):
            # What a program says is a list of lines; IPython's has shortcuts besides.
            return "list"
        is_own = module == "__main__" or (self.package and module.partition(".")[0] == self.package)
        return name if is_own or module == "builtins" else f"{module}.{name}"

    def of(self, value: Any) -> Any:
        if value is None or value is Ellipsis or value is NotImplemented or type(value) is bool:
            return repr(value)
        if type(value) is int:
            return value if abs(value) < 1 << 50 else str(value)
        if type(value) is str:
            return ["str", value]
        if type(value) is bytes:
            return ["bytes", value.hex()]
        if type(value) is float:
            return ["float", struct.pack("<d", value).hex() if value == value else "nan"]
        if type(value) is complex:
            return ["complex", repr(value)]
        if id(value) in self.met and not isinstance(value, enum.Enum | type | types.ModuleType):
            return ["again", self.met[id(value)]]
        if self.depth > DEEPEST:
            return ["deep", self.kind(type(value))]
        self.met[id(value)] = len(self.met)
        self.alive.append(value)
        self.depth += 1
        try:
            return [self.kind(type(value)), *self.inside(value)]
        finally:
            self.depth -= 1

    def all(self, values: Any) -> list[Any]:
        return [self.of(value) for value in values]

    def inside(self, value: Any) -> Iterator[Any]:
        kind = type(value)
        if self.is_shown and isinstance(value, collections.abc.Iterator | types.MethodType):
            return
        if (self.is_shown and isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType)) or isinstance(
            value, types.ModuleType
        ):
            yield value.__name__
        elif isinstance(value, type):
            yield self.kind(value)
            yield sorted(self.kind(base) for base in value.__mro__)
        elif isinstance(value, types.FunctionType | functools._lru_cache_wrapper):
            yield value.__name__.rpartition(".")[2]
            # What it answers while other cells are to come would change what these find.
            yield [] if self.is_shown else [self.answer(value, probe) for probe in PROBES]
        elif isinstance(value, types.MethodType):
            yield value.__name__
            yield self.of(value.__self__)
        elif isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
            yield value.__name__
            yield self.of(None if isinstance(value.__self__, types.ModuleType) else value.__self__)
        elif isinstance(value, functools.partial):
            yield self.of(value.func)
            yield self.all(value.args)
            yield self.of(value.keywords)
        elif isinstance(value, enum.Enum):
            yield value.name
        elif isinstance(value, list | tuple | set | frozenset | collections.deque):
            yield self.all(list(value))
            if self.kind(kind) != "list":
                yield from self.attributes(value)
        elif isinstance(value, dict | types.MappingProxyType):
            yield [[self.of(key), self.of(held)] for key, held in value.items()]
            yield from self.attributes(value)
            if isinstance(value, collections.defaultdict):
                yield self.of(value.default_factory)
        elif isinstance(value, range | slice | re.Pattern | complex | int | float | str):
            yield self.text(repr(value))
        elif isinstance(value, bytearray | memoryview):
            yield bytes(value).hex()
        elif isinstance(value, BaseException):
            yield self.all(value.args)
            yield self.of(value.__cause__)
            yield self.of(value.__context__)
            yield from self.attributes(value)
        elif isinstance(value, weakref.ref):
            yield self.of(value())
        elif isinstance(value, io.StringIO | io.BytesIO):
            yield self.of(value.getvalue())
            yield value.tell()
        elif isinstance(value, io.IOBase):
            yield bool(value.closed)
        elif kind.__module__.partition(".")[0] in ("numpy", "pandas"):
            yield from self.table(value)
        elif kind.__module__.partition(".")[0] == "matplotlib":
            return
        elif isinstance(value, collections.abc.Iterator) and not isinstance(value, io.IOBase):
            yield from self.drawn(value)
        elif kind.__module__ in ("typing", "logging"):
            # A type that only describes, and what is the whole process's.
            yield getattr(value, "__name__", None) or getattr(value, "name", None) or self.shown(value)
        elif kind.__module__ == "_contextvars" and hasattr(value, "get"):
            yield self.of(value.get(None))
        else:
            told = list(self.attributes(value))
            yield from told or [self.shown(value)]

    def attributes(self, value: Any) -> Iterator[Any]:
        """What an object of somebody's own class holds."""
        held = dict(getattr(value, "__dict__", {}))
        for base in type(value).__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, name) and name not in ("__dict__", "__weakref__"):
                    held[name] = getattr(value, name)
        if held:
            yield [[name, self.of(part)] for name, part in held.items()]

    def shown(self, value: Any) -> str:
        try:
            return self.text(repr(value))
        except Exception as error:
            return f"! {type(error).__name__}"

    def answer(self, function: Any, probe: tuple[Any, ...]) -> Any:
        """What the function gives, or with which kind of error it fails."""
        output, sys.stdout = sys.stdout, io.StringIO()
        try:
            return self.of(function(*probe))
        except Exception as error:
            return ["raises", type(error).__name__]
        finally:
            sys.stdout = output

    def drawn(self, value: Any) -> Iterator[Any]:
        """What is left in an iterator."""
        told = []
        try:
            for _ in range(MOST_DRAWN):
                told.append(self.of(next(value)))
        except StopIteration:
            told.append("the end")
        except Exception as error:
            told.append(["raises", type(error).__name__])
        yield told

    def table(self, value: Any) -> Iterator[Any]:
        numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
        if numpy is not None and isinstance(value, numpy.ndarray):
            yield str(value.dtype)
            yield list(value.shape)
            yield [self.number(one) for one in value.ravel().tolist()]
        elif numpy is not None and isinstance(value, numpy.generic):
            yield self.number(value.item())
        elif pandas is not None and isinstance(value, pandas.DataFrame):
            yield self.all(value.columns.tolist())
            yield self.all(value.index.tolist())
            yield [[str(value.dtypes.iloc[at]), [self.number(one) for one in value.iloc[:, at].tolist()]]
                   for at in range(value.shape[1])]  # fmt: skip
        elif pandas is not None and isinstance(value, pandas.Series | pandas.Index):
            yield self.of(value.name)
            yield str(value.dtype)
            yield [self.number(one) for one in value.tolist()]
            if isinstance(value, pandas.Series):
                yield [self.number(one) for one in value.index.tolist()]
        else:
            yield self.shown(value)

    def number(self, value: Any) -> Any:
        """A value out of a table: equal ones may be one object there, or not."""
        return Describing(self.package).of(value)
