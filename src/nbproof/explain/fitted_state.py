"""The hash of a fitted object's state: the same in every process, and before and after it was saved."""

from __future__ import annotations

import hashlib
import types
from typing import Any

import numpy as np

from ..records import ContentHash

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), slice, range)


def hash_of_state(value: Any) -> ContentHash | None:
    """The SHA-256 of all that `value` holds, by what it is and not by what shares memory with what.

    None where that cannot be known: for code without a name to be found again under, and for what keeps its state
    where Python cannot see it.
    """
    try:
        return ContentHash(_digest(value, ()).hex())
    except (TypeError, ValueError, AttributeError, RecursionError):
        return None


def _digest(value: Any, within: tuple[int, ...]) -> bytes:
    """The digest of one value; `within` are the ids of what it lies in, so that a ring comes to its end."""
    if isinstance(value, np.ndarray):
        return _of_array(value, within)
    if isinstance(value, np.generic):
        return _joined("number", str(value.dtype).encode(), value.tobytes())
    if isinstance(value, PLAIN):
        return _joined(type(value).__name__, repr(value).encode())
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.MethodDescriptorType | np.ufunc):
        return _joined("code", _name(value).encode())
    if id(value) in within:
        return _joined("ring", str(len(within) - within.index(id(value))).encode())
    inside = (*within, id(value))
    if type(value) in (list, tuple):
        return _joined(type(value).__name__, *(_digest(each, inside) for each in value))
    if type(value) in (set, frozenset):
        return _joined("set", *sorted(_digest(each, inside) for each in value))
    if type(value) is dict:
        pairs = sorted(_digest(key, inside) + _digest(each, inside) for key, each in value.items())
        return _joined("dict", *pairs)
    return _of_object(value, inside)


def _of_array(array: Any, within: tuple[int, ...]) -> bytes:
    if array.dtype.names:
        # Field by field: what lies between the fields is not the array's.
        return _joined("fields", *(_digest(np.ascontiguousarray(array[name]), within) for name in array.dtype.names))
    facts = f"{array.dtype.str} {array.shape}".encode()
    if array.dtype.hasobject:
        return _joined("objects", facts, *(_digest(each, within) for each in array.ravel().tolist()))
    return _joined("array", facts, np.ascontiguousarray(array).tobytes())


def _of_object(value: Any, inside: tuple[int, ...]) -> bytes:
    """An object as pickle would take it apart; nothing is written."""
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        return _joined("name", reduced.encode())
    parts = list(reduced) + [None] * (5 - len(reduced))
    taken = [parts[0], parts[1], parts[2], list(parts[3] or ()), dict(parts[4] or ())]
    return _joined("object", _name(type(value)).encode(), *(_digest(each, inside) for each in taken))


def _name(code: Any) -> str:
    """Under what name code is found again. Raises `ValueError` where there is none that says what it does."""
    name = f"{getattr(code, '__module__', None) or 'builtins'}.{getattr(code, '__qualname__', None) or code.__name__}"
    if "<" in name or name.startswith("__main__."):
        raise ValueError(f"{name} says nothing")
    return name


def _joined(kind: str, *parts: bytes) -> bytes:
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
