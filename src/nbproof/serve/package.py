"""A packaged model: a folder whose manifest names every file by its hash, and which is loaded only if they agree."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelRefused
from ..extras import require
from ..records import ContentHash
from .signature import Signature

MANIFEST = "manifest.json"
FORMAT = 1

# Code that may be rebuilt from a model file; a type from anywhere else is refused even when a manifest trusts it.
TRUSTED_ROOTS = ("builtins", "collections", "numpy", "scipy", "sklearn")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a package says of itself. `files` maps `model` and `signature` to a file name and its content hash.

    `trusted_types` are the classes that the model file may bring to life beyond those that skops trusts by itself.
    """

    name: str
    version: str
    files: Mapping[str, tuple[str, ContentHash]]
    trusted_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if set(self.files) != {"model", "signature"}:
            raise ValueError(f"a package has the files `model` and `signature`, found {sorted(self.files)}")
        for file, _ in self.files.values():
            if Path(file).name != file:
                raise ValueError(f"a package holds its files directly, found `{file}`")
        for each in self.trusted_types:
            if each.split(".")[0] not in TRUSTED_ROOTS:
                raise ValueError(f"the type `{each}` comes from no trusted package: {', '.join(TRUSTED_ROOTS)}")

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Manifest:
        """Return the manifest that `written` wrote; raises `ValueError` where it is none."""
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"unknown format {data['format']!r}, expected {FORMAT}")
            files = {key: (each["file"], ContentHash(each["sha256"])) for key, each in data["files"].items()}
            return cls(data["name"], data["version"], files, tuple(data["trusted_types"]))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a manifest: {error!r}") from error

    def written(self) -> dict[str, Any]:
        """Return the manifest as JSON data."""
        return {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "files": {key: {"file": file, "sha256": digest.hex} for key, (file, digest) in sorted(self.files.items())},
            "trusted_types": list(self.trusted_types),
        }


@dataclass(frozen=True, slots=True)
class Package:
    """A folder that was read and found whole; the model itself is not loaded yet."""

    folder: Path
    manifest: Manifest
    signature: Signature

    def load(self) -> Model:
        """Return the model, its file checked again; raises `ModelRefused`."""
        content = _checked(self.folder, self.manifest, "model")
        return Model(self.signature, load_estimator(content, self.manifest.trusted_types, where=self.folder))


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model that scores rows."""

    signature: Signature
    estimator: Any

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """Return the probability of the positive class for each validated row.

        Raises `ValueError` when the model gives anything but a probability: a wrong score is never sent.
        """
        import pandas as pd

        frame = pd.DataFrame(self.signature.columns(rows))
        scores = [float(each) for each in self.estimator.predict_proba(frame)[:, 1]]
        if len(scores) != len(rows) or not all(math.isfinite(each) and 0 <= each <= 1 for each in scores):
            raise ValueError("the model gave something that is no probability")
        return scores


def read(folder: Path) -> Package:
    """Return the package in `folder`; raises `ModelRefused` when it is not whole or not what it says."""
    manifest = _parsed(folder, MANIFEST, _bytes(folder, MANIFEST), Manifest.read)
    signature = _parsed(folder, manifest.files["signature"][0], _checked(folder, manifest, "signature"), Signature.read)
    return Package(folder, manifest, signature)


def load_estimator(content: bytes, trusted_types: Iterable[str], *, where: Path) -> Any:
    """Return the estimator in a skops file; raises `ModelRefused`, naming every type that nobody vouched for."""
    require("skops")
    import skops.io

    allowed = set(trusted_types)
    surplus = sorted(set(skops.io.get_untrusted_types(data=content)) - allowed)
    if surplus:
        raise ModelRefused(
            where, f"types that no one trusts: {', '.join(surplus)}", "only those that the manifest names"
        )
    return skops.io.loads(content, trusted=sorted(allowed))


def _parsed(folder: Path, file: str, content: bytes, parse: Any) -> Any:
    try:
        return parse(json.loads(content))
    except ValueError as error:
        raise ModelRefused(folder, f"`{file}`: {error}", "what `nbproof` wrote") from error


def _checked(folder: Path, manifest: Manifest, key: str) -> bytes:
    file, expected = manifest.files[key]
    content = _bytes(folder, file)
    found = ContentHash.of(content)
    if found != expected:
        raise ModelRefused(folder, f"`{file}` with {found}", str(expected))
    return content


def _bytes(folder: Path, file: str) -> bytes:
    try:
        return (folder / file).read_bytes()
    except OSError as error:
        raise ModelRefused(folder, f"`{file}` cannot be read ({error.strerror})", "a packaged model") from error
