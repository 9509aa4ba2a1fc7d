"""The installed distributions with their versions, as `importlib.metadata` tells them, without most of its cost."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping

# The metadata of nearly every distribution begins so.
_BEGINNING = re.compile(
    rb"Metadata-Version: [0-9.]+\r?\nName: ([A-Za-z0-9._-]+)\r?\nVersion: ([A-Za-z0-9.!+_-]+)\r?\n(?![ \t])"
)
_BEGINNING_BYTES = 512
_HEADER = re.compile(rb"([!-9;-~]+):[ \t]*(.*)")
_PLAIN = re.compile(rb"[A-Za-z0-9.!+_-]+")


def installed() -> Mapping[str, str]:
    """Map each distribution that this process could import from to its version; the last on the path wins."""
    found = _found_quickly()
    return dict(_found_in_full() if found is None else found)


def search_path() -> list[str]:
    """The module search path that a new process would have, too.

    Setuptools adds the folder of what it brings for itself to the path of whoever imports it, a Jupyter server with
    many extensions, say. A kernel has none of that, and is not another environment for it.
    """
    return [folder for folder in sys.path if not folder.replace(os.sep, "/").endswith("/setuptools/_vendor")]


def _found_in_full() -> Iterator[tuple[str, str]]:
    from importlib.metadata import distributions

    for found in distributions(path=search_path()):
        if found.metadata["Name"]:
            yield normalised(found.metadata["Name"]), found.version


def normalised(name: str) -> str:
    """The one spelling of a distribution's name."""
    return name.lower().replace("_", "-")


def _found_quickly() -> list[tuple[str, str]] | None:
    """What a plain search of folders finds; None where more than folders must be searched."""
    if any(hasattr(finder, "find_distributions") for finder in sys.meta_path if not _is_own(finder)):
        return None
    found: list[tuple[str, str]] = []
    for folder in search_path():
        entries = _entries(folder or ".")
        if entries is None:
            return None
        here: dict[str, str] = {}
        for entry in entries:
            named = _named(entry)
            # Which one of two counts is for the full search to say.
            if named is None or here.setdefault(*named) != named[1]:
                return None
        found.extend(here.items())
    return found


def _is_own(finder: object) -> bool:
    return getattr(finder, "__module__", "") == "_frozen_importlib_external"


def _entries(folder: str) -> list[str] | None:
    """The metadata in `folder`; None when it is an archive or an egg."""
    if folder.lower().endswith(".egg"):
        return None
    try:
        names = os.listdir(folder)  # noqa: PTH208 (thousands of names, of which few are looked at)
    except FileNotFoundError:
        return []
    except OSError:
        return None
    return [f"{folder}{os.sep}{name}" for name in names if name.lower().endswith((".dist-info", ".egg-info"))]


def _named(entry: str) -> tuple[str, str] | None:
    """The name and the version in the metadata at `entry`; None when they are not plainly there."""
    for file in (f"{entry}{os.sep}METADATA", f"{entry}{os.sep}PKG-INFO", entry):
        try:
            with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 (hundreds of files)
                content = opened.read(_BEGINNING_BYTES)
                match = _BEGINNING.match(content)
                if match:
                    return normalised(match[1].decode()), match[2].decode()
                return _in_headers(content + opened.readall())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
    return None


def _in_headers(content: bytes) -> tuple[str, str] | None:
    """The first name and the first version among the headers, read line by line as mail is."""
    headers: dict[bytes, bytes] = {}
    last = b""
    for line in content.splitlines():
        if not line:
            break
        if line[:1] in {b" ", b"\t"}:
            # Whatever goes on over a line is not plain.
            headers[last] = b""
            continue
        match = _HEADER.fullmatch(line)
        if not match:
            return None
        last = match[1].lower()
        headers.setdefault(last, match[2])
    name, version = headers.get(b"name", b""), headers.get(b"version", b"")
    if not _PLAIN.fullmatch(name) or not _PLAIN.fullmatch(version):
        return None
    return normalised(name.decode()), version.decode()
