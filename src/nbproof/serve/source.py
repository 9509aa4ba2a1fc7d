"""Where a model comes from: a folder, or the version of a registry that an alias names."""

from __future__ import annotations

import re
import time
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import unquote, urlsplit

from ..errors import AskedWrongly, ModelRefused, NbproofError, RegistryHolds, TrackerUnavailable
from .contents import Contents, fingerprint, read_contents
from .registered import contents_of, how_to_ask
from .registry import Entry, Registry, registry_at

REGISTERED = re.compile(r"models:/([^/@]+)@([^/@]+)")
# How often the bytes of a version are fetched again from a store that is not on this machine.
FAR_S = 300.0


class Source(Protocol):
    """A place that holds a model now, and may hold another one later."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def asking(self) -> str | None:
        """What to type for an approval of it; None where that is said already."""

    @property
    def is_in_place(self) -> bool:
        """Whether what answers lies here, so that it was altered when something else does."""

    def contents(self) -> Contents:
        """What is there now, read once. Raises `ModelRefused`, and `TrackerUnavailable` for a registry."""

    def mark(self) -> Hashable:
        """What is another value, cheaply told, as soon as something else is there."""

    def looked(self, held: Contents, before: Hashable) -> Hashable:
        """Look whether what was read still lies where it did; what comes back is given as `before` the next time.

        Raises `NbproofError` where it does not, and `TrackerUnavailable` where nobody can say.
        """


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine."""

    path: Path
    is_in_place: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def asking(self) -> str | None:
        return None

    def contents(self) -> Contents:
        mark = self.mark()
        return replace(read_contents(self.path), mark=mark)

    def looked(self, held: Contents, before: Hashable) -> Hashable:
        return before

    def mark(self) -> Hashable:
        try:
            return fingerprint(self.path)
        except OSError as error:
            raise ModelRefused(
                self.path, f"no folder that can be read ({error.strerror})", "a packaged model"
            ) from error


@dataclass(frozen=True, slots=True)
class Registered:
    """A model of the registry at `uri`, in the version that `alias` names (or a semantic version)."""

    model: str
    alias: str
    uri: str
    is_in_place: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"models:/{self.model}@{self.alias}"

    @property
    def asking(self) -> str | None:
        return how_to_ask(self.model, self.alias)

    def contents(self) -> Contents:
        registry, entry = self._entry(self.alias)
        return self._read(registry, entry)

    def mark(self) -> Hashable:
        return self._entry(self.alias)[1].number

    def looked(self, held: Contents, before: Hashable) -> Hashable:
        registry, entry = self._entry(f"v{held.mark}")
        now = self._seen(entry)
        if now != before and self._read(registry, entry).digest != held.digest:
            raise RegistryHolds(entry.told, "other files or another version than was loaded", held.digest.short)
        return now

    def _seen(self, entry: Entry) -> Hashable:
        """What tells that the files of a version, or what is said of it, may have changed."""
        told = (str(entry.version), entry.digest)
        place = local_place(entry.source)
        if place is not None:
            return told, Folder(place).mark()
        # A store elsewhere tells nothing but the bytes themselves.
        return told, int(time.monotonic() / FAR_S)

    def _read(self, registry: Registry, entry: Entry) -> Contents:
        try:
            return replace(contents_of(registry, entry), mark=entry.number)
        except Exception as error:
            raise _unreachable(error) from error

    def _entry(self, named: str) -> tuple[Registry, Entry]:
        try:
            registry = registry_at(self.uri)
            return registry, registry.holding(self.model).entry(named)
        except Exception as error:
            raise _unreachable(error) from error


def find(model: str, *, uri: str | None) -> Source:
    """The source that `model` names: `models:/NAME@ALIAS` of the registry at `uri`, or a folder."""
    found = REGISTERED.fullmatch(model)
    if found is not None:
        if uri is None:
            raise AskedWrongly(f"{model}: found no tracker, expected one with a registry")
        return Registered(found[1], found[2], uri)
    if model.startswith("models:"):
        raise AskedWrongly(f"the model {model}: found no alias, expected models:/NAME@ALIAS",
                           hint="say which version is meant: nbproof serve models:/NAME@champion")  # fmt: skip
    return Folder(Path(model).absolute())


def local_place(uri: str) -> Path | None:
    """The folder of this machine that an artifact URI names; None for one that is elsewhere."""
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme and Path(uri).is_absolute() else None


def _unreachable(error: Exception) -> NbproofError:
    """What our errors say already, or that the registry did not answer: MLflow raises whatever comes."""
    if isinstance(error, NbproofError):
        return error
    return TrackerUnavailable((str(error).splitlines() or [type(error).__name__])[0])
