"""A packaged model: a folder whose manifest names every file by its hash, and which is loaded only if they agree."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelRefused
from ..explain.model import LINEAR, TREES
from ..explain.torch_files import EXPORTED
from ..extras import require
from ..records import ContentHash
from .boosted import XGBOOST, load_xgboost
from .contents import Contents, read_contents
from .network import SUFFIXES, Network, load_network, refuse_odd
from .rows import Table
from .signature import Signature

MANIFEST = "manifest.json"
FORMAT = 1
# How many rows must come out the same when a model is asked without names.
PROBES = 256

# Code that may be rebuilt from a model file; a type from anywhere else is refused even when a manifest trusts it.
TRUSTED_ROOTS = ("builtins", "collections", "numpy", "scipy", "sklearn")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a package says of itself. `files` maps `model` and `signature` to a file name and its content hash.

    Weights of torch have a third one, `module`, whose code makes what they are put into.
    `trusted_types` are the classes that the model file may bring to life beyond those that skops trusts by itself.
    """

    name: str
    version: str
    files: Mapping[str, tuple[str, ContentHash]]
    trusted_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not {"model", "signature"} <= set(self.files) <= {"model", "signature", "module"}:
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

    contents: Contents
    manifest: Manifest
    signature: Signature

    @property
    def folder(self) -> Path:
        return self.contents.folder

    def said(self, file: str) -> Mapping[str, Any]:
        """What a further file of the package says, an object in JSON; nothing where there is no such file."""
        if file not in self.contents.files:
            return {}
        found = _parsed(self.contents, file, self.contents.of(file), lambda held: held)
        if not isinstance(found, dict):
            raise ModelRefused(self.folder, f"`{file}` with no object", "names and what is said of them")
        return found

    @property
    def is_code(self) -> bool:
        """Whether loading the model carries out what its writer wrote: an exported program, or code of a module."""
        return "module" in self.manifest.files or self._suffix == EXPORTED

    @property
    def _suffix(self) -> str:
        return Path(self.manifest.files["model"][0]).suffix.lower()

    def load(self, *, runs_code: bool = False) -> Model:
        """Return the model, of the bytes that were read; `runs_code` where somebody has vouched for what they do.

        Raises `ModelRefused`.
        """
        if self.is_code and not runs_code:
            raise ModelRefused(self.folder, "a model that runs code when it is loaded", "an approval of its content")
        content = _checked(self.contents, self.manifest, "model")
        if self._suffix in SUFFIXES:
            code = _checked(self.contents, self.manifest, "module") if "module" in self.manifest.files else None
            return Model.of_network(self.signature, load_network(content, self._suffix, code, where=self.folder),
                                    where=self.folder)  # fmt: skip
        if self._suffix in XGBOOST:
            estimator = load_xgboost(content, where=self.folder)
        else:
            estimator = load_estimator(content, self.manifest.trusted_types, where=self.folder)
        return Model.of(self.signature, estimator, where=self.folder)


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model that scores rows. `bare` takes numbers without names: the same estimator, proven to be."""

    signature: Signature
    estimator: Any
    bare: Any = None

    @classmethod
    def of(cls, signature: Signature, estimator: Any, *, where: Path) -> Model:
        """The model of an estimator that was rebuilt; raises `ModelRefused` for one that gives no probability."""
        names = getattr(estimator, "feature_names_in_", None)
        if names is not None and [str(name) for name in names] != [each.name for each in signature.inputs]:
            raise ModelRefused(where, "a signature with other fields than the model", "the fields it was trained on")
        classes = getattr(estimator, "classes_", None)
        if not hasattr(estimator, "predict_proba") or classes is None or len(classes) != 2:
            raise ModelRefused(where, f"{type(estimator).__name__}, which tells no two classes apart",
                               "a classifier of two classes with predict_proba")  # fmt: skip
        if any(each.type == "string" for each in signature.inputs):
            return cls(signature, estimator)
        try:
            return cls(signature, estimator, without_names(estimator, signature))
        except (ValueError, TypeError) as error:
            raise ModelRefused(
                where, f"a signature that admits rows which {type(estimator).__name__} cannot answer: "
                f"{str(error).splitlines()[0]}", "one that admits only what it can",
            ) from error  # fmt: skip

    @classmethod
    def of_network(cls, signature: Signature, network: Network, *, where: Path) -> Model:
        """The model of a network, which takes numbers alone; raises `ModelRefused` where the two do not fit."""
        if any(each.type == "string" for each in signature.inputs):
            raise ModelRefused(where, "a signature with text", "numbers, which are all that a network takes")
        names = tuple(each.name for each in signature.inputs)
        refuse_odd(network, names, probes(signature), where=where)
        return cls(signature, network, network)

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """Return the probability of the positive class for each validated row.

        Raises `ValueError` when the model gives anything but a probability: a wrong score is never sent.
        """
        scores: list[float] = self.scores(Table(len(rows), None, self.signature.columns(rows))).tolist()
        return scores

    def scores(self, table: Table) -> NDArray[np.float64]:
        """Like `score`, for rows of a request."""
        if self.bare is not None and table.block is not None:
            given = self.bare.predict_proba(table.block)
        else:
            given = self.estimator.predict_proba(_as_fitted(self.estimator, table, self.signature))
        scores = np.asarray(given, dtype=np.float64)[:, 1]
        # A NaN is neither, so it does not pass.
        if len(scores) != table.count or not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError("the model gave something that is no probability")
        return scores


def without_names(estimator: Any, signature: Signature) -> Any:
    """The same estimator without the names of its features, where it takes plain numbers; else None.

    To look at names costs more than to score a row. Only estimators that compare or weigh numbers, whatever their
    type, are taken; and they must answer the same, bit for bit, on rows that the signature admits. Raises `ValueError`
    or `TypeError`, whatever the estimator raises, where it cannot answer such rows.
    """
    probe = Table(PROBES, probes(signature))
    named = np.asarray(estimator.predict_proba(_as_fitted(estimator, probe, signature)))
    if type(estimator).__name__ == "XGBClassifier":
        # It looks at names only where it is given some.
        bare = estimator
    elif type(estimator).__name__ in TREES | LINEAR:
        bare = copy.copy(estimator)
        vars(bare).pop("feature_names_in_", None)
    else:
        return None
    return bare if np.array_equal(named, np.asarray(bare.predict_proba(probe.block))) else None


def _as_fitted(estimator: Any, table: Table, signature: Signature) -> Any:
    """Rows as the estimator was fitted on them: with names, or as bare numbers."""
    frame = table.frame(signature)
    return frame if hasattr(estimator, "feature_names_in_") else frame.to_numpy()


def probes(signature: Signature) -> NDArray[np.float64]:
    """Rows that a signature of numbers admits, the same each time."""
    rng = np.random.default_rng(0)
    columns = []
    for each in signature.inputs:
        if each.categories:
            column = rng.choice(np.asarray(each.categories, dtype=np.float64), PROBES)
        else:
            low = each.minimum if each.minimum is not None else min(0.0, (each.maximum or 0.0) - 1000.0)
            high = each.maximum if each.maximum is not None else low + 1000.0
            column = rng.uniform(low, high, PROBES) if each.type == "number" else rng.integers(
                int(np.ceil(low)), int(np.floor(high)), PROBES, endpoint=True
            ).astype(np.float64)  # fmt: skip
            column = column % 2.0 if each.type == "boolean" else column
        columns.append(np.where(rng.random(PROBES) < 0.1, np.nan, column) if each.nullable else column)
    return np.column_stack(columns)


def read(folder: Path) -> Package:
    """Return the package in `folder`; raises `ModelRefused` when it is not whole or not what it says."""
    return of_contents(read_contents(folder))


def of_contents(contents: Contents) -> Package:
    """Return the package that these files are; raises as `read` does."""
    manifest = _parsed(contents, MANIFEST, contents.of(MANIFEST), Manifest.read)
    content = _checked(contents, manifest, "signature")
    return Package(contents, manifest, _parsed(contents, manifest.files["signature"][0], content, Signature.read))


def load_estimator(content: bytes, trusted_types: Iterable[str], *, where: Path) -> Any:
    """Return the estimator in a skops file; raises `ModelRefused`, naming every type that nobody vouched for."""
    require("skops")
    import skops.io

    allowed = set(trusted_types)
    try:
        surplus = sorted(set(skops.io.get_untrusted_types(data=content)) - allowed)
    except Exception as error:
        # Whatever an archive that is none makes it raise.
        raise ModelRefused(where, f"no model that skops can read ({type(error).__name__})", "what it wrote") from error
    if surplus:
        raise ModelRefused(
            where, f"types that no one trusts: {', '.join(surplus)}", "only those that the manifest names"
        )
    return skops.io.loads(content, trusted=sorted(allowed))


def _parsed(contents: Contents, file: str, content: bytes, parse: Any) -> Any:
    try:
        return parse(json.loads(content))
    except ValueError as error:
        raise ModelRefused(contents.folder, f"`{file}`: {error}", "what `nbproof` wrote") from error


def _checked(contents: Contents, manifest: Manifest, key: str) -> bytes:
    file, expected = manifest.files[key]
    content = contents.of(file)
    found = ContentHash.of(content)
    if found != expected:
        raise ModelRefused(contents.folder, f"`{file}` with {found}", str(expected))
    return content
