"""A notebook as the text of its file, cell by cell, so that what did not change is not written out again.

The text is the one that `nbformat.writes` makes, but for one thing: JSON that was displayed stands on one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any

# As in nbformat: these are written as lists of lines, and so is everything that is text/….
_TEXTS = frozenset({"application/javascript", "image/svg+xml"})
_JSON_LINE = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ": "))
_TRANSIENT = frozenset({"orig_nbformat", "orig_nbformat_minor", "signature"})


def notebook_bytes(notebook: Mapping[str, Any], cells: Iterable[bytes]) -> bytes:
    """The file of `notebook`, whose cells `cell_bytes` has written already."""
    metadata = {key: value for key, value in notebook["metadata"].items() if key not in _TRANSIENT}
    rest = {key: value for key, value in notebook.items() if key not in {"cells", "metadata"}}
    entries = [f' "{key}": {_plain(value, 1)}' for key, value in sorted({**rest, "metadata": metadata}.items())]
    written = b",\n".join(cells)
    opening, closing = (b'{\n "cells": [\n', b"\n ],\n") if written else (b'{\n "cells": [', b"],\n")
    return b"".join([opening, written, closing, _encoded(",\n".join(entries)), b"\n}"])


def cell_bytes(cell: Mapping[str, Any]) -> bytes:
    """One cell as it stands in the file."""
    metadata = {key: value for key, value in cell["metadata"].items() if key != "trusted"}
    written = {key: _plain(value, 3) for key, value in cell.items() if key not in {"outputs", "source", "attachments"}}
    written["metadata"] = _plain(metadata, 3)
    written["source"] = _text(cell["source"], 3)
    if "attachments" in cell:
        bundles = {name: _bundle(bundle, 4) for name, bundle in cell["attachments"].items()}
        written["attachments"] = _object(bundles, 3)
    if cell["cell_type"] == "code":
        outputs = ",\n    ".join([output_text(output) for output in cell["outputs"]])
        written["outputs"] = f"[\n    {outputs}\n   ]" if outputs else "[]"
    return _encoded("  " + _object(written, 2))


def output_text(output: Mapping[str, Any]) -> str:
    """One output as it stands in the file."""
    written = {key: _plain(value, 5) for key, value in output.items() if key not in {"data", "text"}}
    if "data" in output:
        # Who measured an output has written its JSON already.
        written["data"] = _bundle(output["data"], 5, getattr(output, "json_lines", None) or {})
    if "text" in output:
        written["text"] = _text(output["text"], 5)
    return _object(written, 4)


def _bundle(bundle: Mapping[str, Any], level: int, known: Mapping[str, str] = MappingProxyType({})) -> str:
    return _object({kind: known.get(kind) or _datum(kind, value, level + 1) for kind, value in bundle.items()}, level)


def _datum(kind: str, value: Any, level: int) -> str:
    if isinstance(value, str):
        return _text(value, level) if kind.startswith("text/") or kind in _TEXTS else encode_basestring(value)
    return json_line(value)


def json_line(value: Any) -> str:
    """JSON on one line: the encoder is many times faster that way, and nobody reads such data line by line."""
    return _JSON_LINE.encode(value)


def _text(text: Any, level: int) -> str:
    """A text as the list of its lines."""
    if not isinstance(text, str):
        return _plain(text, level)
    if not text:
        return "[]"
    indent = "\n" + " " * level
    return f"[{indent} " + f",{indent} ".join(map(encode_basestring, text.splitlines(keepends=True))) + f"{indent}]"


def _object(written: Mapping[str, str], level: int) -> str:
    if not written:
        return "{}"
    indent = "\n" + " " * level
    entries = [f"{indent} {encode_basestring(key)}: {text}" for key, text in sorted(written.items())]
    return "{" + ",".join(entries) + f"{indent}}}"


def _plain(value: Any, level: int) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, separators=(",", ": "))
    return text.replace("\n", "\n" + " " * level)


def _encoded(text: str) -> bytes:
    # Half a character, which UTF-8 does not know, has a spelling in JSON, and it is the one of this error handler.
    return text.encode("utf-8", "backslashreplace")
