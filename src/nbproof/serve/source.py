"""Where a model comes from: a folder, or the version of a registry that an alias names."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from ..errors import AskedWrongly, ModelRefused, NbproofError, TrackerUnavailable
from ..records import ContentHash
from .contents import Contents, fingerprint, read_contents
from .package import MANIFEST, TRUSTED_ROOTS, Manifest
from .registry import Entry, Registry, registry_at
from .spelling import untrusted_types

REGISTERED = re.compile(r"models:/([^/@]+)@([^/@]+)")


class Source(Protocol):
    """A place that holds a model now, and may hold another one later."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def is_in_place(self) -> bool:
        """Whether what answers lies here, so that it was altered when something else does."""

    def contents(self) -> Contents:
        """What is there now, read once. Raises `ModelRefused`, and `TrackerUnavailable` for a registry."""

    def mark(self) -> Hashable:
        """What is another value, cheaply told, as soon as something else is there."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine."""

    path: Path
    is_in_place: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return str(self.path)

    def contents(self) -> Contents:
        return read_contents(self.path)

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

    def contents(self) -> Contents:
        registry, entry = self._entry()
        try:
            with registry.fetched(entry) as path:
                found = read_contents(path)
        except Exception as error:
            raise _unreachable(error) from error
        return with_manifest(found, entry)

    def mark(self) -> Hashable:
        return self._entry()[1].number

    def _entry(self) -> tuple[Registry, Entry]:
        try:
            registry = registry_at(self.uri)
            return registry, registry.holding(self.model).entry(self.alias)
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


def with_manifest(found: Contents, entry: Entry) -> Contents:
    """The files of a registered version, with the manifest that the registry stands for where they have none.

    The content hash is the one by which the version is approved: that of the model file that its tags name, else of
    all the files. Raises `ModelRefused` where the bytes that were read are not those.
    """
    digest = entry.digest or found.digest
    if entry.digest is not None and entry.digest not in map(ContentHash.of, found.files.values()):
        raise ModelRefused(found.folder, "no file with the hash that was registered", entry.digest.short)
    if MANIFEST in found.files:
        return Contents(Path(entry.told), found.files, digest)
    files = {"model": "model.skops", "signature": "signature.json"}
    hashes = {key: (file, ContentHash.of(found.of(file))) for key, file in files.items()}
    # Types of foreign packages are refused all the same; those of the trusted ones came with the approved file.
    types = [each for each in untrusted_types(found.of("model.skops")) if each.split(".")[0] in TRUSTED_ROOTS]
    manifest = Manifest(entry.name, str(entry.version or f"{entry.number}.0.0"), hashes, tuple(types))
    held = {**found.files, MANIFEST: json.dumps(manifest.written()).encode()}
    return Contents(Path(entry.told), held, digest)


def _unreachable(error: Exception) -> NbproofError:
    """What our errors say already, or that the registry did not answer: MLflow raises whatever comes."""
    if isinstance(error, NbproofError):
        return error
    return TrackerUnavailable((str(error).splitlines() or [type(error).__name__])[0])
