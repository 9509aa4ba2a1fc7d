"""Where a model comes from: a folder, or the version of a registry that an alias names."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ..errors import AskedWrongly, ModelRefused, TrackerUnavailable, UnknownName
from ..extras import require
from ..records import ContentHash
from .contents import Contents, digest_of, fingerprint, read_contents
from .package import MANIFEST, TRUSTED_ROOTS, Manifest
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
    """A model of the MLflow registry at `uri`, in the version that `alias` names."""

    model: str
    alias: str
    uri: str
    is_in_place: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"models:/{self.model}@{self.alias}"

    def contents(self) -> Contents:
        import mlflow

        version = self._version()
        with tempfile.TemporaryDirectory() as folder:
            try:
                at = mlflow.artifacts.download_artifacts(
                    artifact_uri=version.source, dst_path=folder, tracking_uri=self.uri
                )
            except (mlflow.exceptions.MlflowException, OSError) as error:
                raise TrackerUnavailable(_first_line(error)) from error
            found = read_contents(Path(at))
        return with_manifest(found, self.model, version.tags.get("semver") or f"{version.version}.0.0")

    def mark(self) -> Hashable:
        return str(self._version().version)

    def _version(self) -> Any:
        require("mlflow")
        import mlflow

        client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        try:
            return client.get_model_version_by_alias(self.model, self.alias)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise UnknownName("version of the registry", self.name, self._aliases(client)) from error
            raise TrackerUnavailable(_first_line(error)) from error

    def _aliases(self, client: Any) -> list[str]:
        import mlflow

        try:
            return [f"models:/{self.model}@{alias}" for alias in client.get_registered_model(self.model).aliases]
        except mlflow.exceptions.MlflowException:
            return []


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


def with_manifest(found: Contents, name: str, version: str) -> Contents:
    """A registered model with the manifest that its registry stands for; the content hash is that of the files there.

    What is registered is a model and its signature; name and version are the registry's. The types that the model file
    may bring to life are those of the packages that are trusted, and that somebody has approved the very file.
    """
    if MANIFEST in found.files:
        return found
    files = {"model": "model.skops", "signature": "signature.json"}
    for file in files.values():
        found.of(file)
    types = [each for each in untrusted_types(found.of("model.skops")) if each.split(".")[0] in TRUSTED_ROOTS]
    manifest = Manifest(
        name, version, {key: (file, ContentHash.of(found.of(file))) for key, file in files.items()}, tuple(types)
    )
    held = {**found.files, MANIFEST: json.dumps(manifest.written()).encode()}
    assert digest_of(found.files) == found.digest
    return Contents(found.folder, held, found.digest)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
