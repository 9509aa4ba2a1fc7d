"""A fitted estimator as bytes: the same estimator is always spelt the same, so that its hash stands for it.

skops names what it stores by memory address and stamps it with the time of day: two dumps of one model differ.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ..extras import require

SCHEMA = "schema.json"
# The earliest time that a zip archive can hold.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def dump(estimator: Any) -> bytes:
    """Return `estimator` in the skops format, in its one spelling."""
    require("skops")
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop(SCHEMA))
    numbers = {address: number for number, address in enumerate(dict.fromkeys(_addresses(schema)))}
    renamed = {_renumbered_name(name, numbers): content for name, content in members.items()}
    renamed[SCHEMA] = json.dumps(_renumbered(schema, numbers), separators=(",", ":")).encode()
    return _archive(renamed)


def untrusted_types(content: bytes) -> tuple[str, ...]:
    """Name the types in a skops file that a reader must vouch for before it is loaded."""
    require("skops")
    import skops.io

    return tuple(sorted(skops.io.get_untrusted_types(data=content)))


def _addresses(node: Any) -> Iterator[str]:
    """Every memory address in the schema, in the order of the schema itself."""
    if isinstance(node, dict):
        if "file" in node:
            yield PurePosixPath(node["file"]).stem
        if "__id__" in node:
            yield str(node["__id__"])
        for value in node.values():
            yield from _addresses(value)
    elif isinstance(node, list):
        for value in node:
            yield from _addresses(value)


def _renumbered(node: Any, numbers: dict[str, int]) -> Any:
    if isinstance(node, list):
        return [_renumbered(value, numbers) for value in node]
    if not isinstance(node, dict):
        return node
    again = {key: _renumbered(value, numbers) for key, value in node.items()}
    if "file" in node:
        again["file"] = _renumbered_name(node["file"], numbers)
    if "__id__" in node:
        again["__id__"] = numbers[str(node["__id__"])]
    return again


def _renumbered_name(name: str, numbers: dict[str, int]) -> str:
    path = PurePosixPath(name)
    return f"{numbers[path.stem]}{path.suffix}" if path.stem in numbers else name


def _archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            archive.writestr(entry, members[name])
    return buffer.getvalue()
