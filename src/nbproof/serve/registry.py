"""Models by name and version: what the MLflow registry holds, and how a version enters it.

The registry is the tracker's own store. Each version carries its semantic version and the hashes of its parts as tags.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RegistryHolds, TrackerUnavailable, UnknownName
from ..extras import require
from ..records import ContentHash
from ..settings import Settings
from ..track.store import ARTIFACT_ROOT_VARIABLE, QUIET, artifacts, check_reachable, file_of, is_embedded, store_uri
from . import moves
from .moves import Change
from .release import Change as Kind
from .release import Release, Version, next_version

# A change of aliases is a tag of the model: its number stands in the name.
CHANGE = "nbproof.change."
SEMVER = "semver"
SIGNATURE = "signature.json"
# A command that prints JSON has no bars.
UNSEEN = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a model as the registry holds it; `version` is None where nobody gave it a semantic one."""

    name: str
    number: int
    version: Version | None
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    source: str
    run_id: str

    @property
    def told(self) -> str:
        """How people call it."""
        return f"{self.name} {self.version or f'version {self.number}'}"

    @property
    def digest(self) -> ContentHash | None:
        """The content hash of the model that its tags claim; `fetched` is what holds it against the bytes."""
        claimed = self.tags.get("model_sha256", "")
        return ContentHash(claimed) if claimed else None

    @property
    def release(self) -> Release | None:
        """What its version says about it; None for one without a semantic version."""
        if self.version is None:
            return None
        return Release(
            self.version,
            signature=self.tags.get("signature_sha256", ""),
            scores=self.tags.get("scores_sha256", ""),
            model=self.tags.get("model_sha256", ""),
            meaning=self.tags.get("meaning_sha256", ""),
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """All versions of one model, the newest first, what its aliases name and every recorded change in order."""

    name: str
    entries: tuple[Entry, ...]
    aliases: Mapping[str, int]
    changes: tuple[Change, ...]

    @property
    def open_change(self) -> Change | None:
        """The change that was cut short; None where none was."""
        return self.changes[-1] if self.changes and self.changes[-1].state == "begun" else None

    @property
    def surprises(self) -> list[str]:
        """What the aliases name that no recorded change explains, in words."""
        return [] if self.open_change else moves.differing(self.aliases, self.changes[-1] if self.changes else None)

    def entry(self, named: str) -> Entry:
        """The version called so: by an alias, a semantic version or `v` and its number. Raises `UnknownName`."""
        number = self.aliases.get(named)
        for entry in self.entries:
            if entry.number == number or named in (str(entry.version), f"v{entry.number}"):
                return entry
        known = [*self.aliases, *(str(entry.version or f"v{entry.number}") for entry in self.entries)]
        raise UnknownName(f"version of {self.name}", named, known, hint=f"nbproof models show {self.name}")

    def of_number(self, number: int) -> Entry:
        """The version with the registry's own number."""
        return self.entry(f"v{number}")


class Registry:
    """The model registry of one project."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client, self._uri = client, uri

    @property
    def client(self) -> Any:
        """MLflow's own client, for what only the registry can do."""
        return self._client

    def names(self) -> list[str]:
        """The names of all registered models."""
        return sorted(model.name for model in _all(self._client.search_registered_models))

    def holding(self, name: str) -> Holding:
        """Return all that is known of a model; raises `UnknownName`, and `RegistryHolds` for a tag nobody can read."""
        models = [model for model in _all(self._client.search_registered_models) if model.name == name]
        if not models:
            raise UnknownName("model", name, self.names(), hint="nbproof models list")
        # A search leaves the aliases out.
        model = self._client.get_registered_model(name)
        aliases = {alias: int(number) for alias, number in dict(model.aliases).items()}
        found = _all(lambda **page: self._client.search_model_versions(f"name='{name}'", **page))
        entries = [_entry(each, aliases) for each in found]
        return Holding(name, tuple(sorted(entries, key=lambda each: -each.number)), aliases, _changes(name, model.tags))

    def move(self, name: str, alias: str, number: int | None) -> None:
        """Let an alias name a version, or nothing; doing it again changes nothing."""
        if number is None:
            self._client.delete_registered_model_alias(name, alias)
        else:
            self._client.set_registered_model_alias(name, alias, str(number))

    def note(self, name: str, change: Change) -> None:
        """Write a change down, in the state that it has now."""
        self._client.set_registered_model_tag(name, f"{CHANGE}{change.number:06d}", change.written())

    @contextmanager
    def fetched(self, entry: Entry) -> Iterator[Path]:
        """The files of a version in a folder that goes when the block ends; raises `RegistryHolds`.

        Every file that a tag of the version hashes must have that hash: a tag says nothing about other bytes.
        """
        import mlflow

        with tempfile.TemporaryDirectory() as folder:
            path = Path(mlflow.artifacts.download_artifacts(
                artifact_uri=entry.source, dst_path=folder, tracking_uri=self._uri
            ))  # fmt: skip
            _check_hashes(entry, path)
            yield path

    def same_as(self, name: str, model: ContentHash) -> Entry | None:
        """The newest version whose model has this hash; None where there is none, or no model of this name."""
        if name not in self.names():
            return None
        return next((entry for entry in self.holding(name).entries if entry.digest == model), None)

    def register(
        self,
        name: str,
        files: Mapping[str, Path],
        *,
        signature: str,
        scores: str,
        experiment: str,
        meaning: str = "",
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> tuple[Entry, Kind]:
        """Make a version of `files` (`model` and, say, `signature`), or find the one that has the same model.

        `signature`, `scores` and `meaning` are the hashes that decide the semantic version; of `files` the hashes are
        taken here. The version and its tags come into being in one step, so it is never without them; no alias moves.
        """
        model = ContentHash.of(files["model"].read_bytes())
        held = self.same_as(name, model)
        if held is not None and held.version is not None:
            kind: Any = held.tags.get("change", "first")
            return held, kind
        entries = self.holding(name).entries if name in self.names() else ()
        releases = [entry.release for entry in entries if entry.release is not None]
        latest = max(releases, key=lambda release: release.version, default=None)
        version, change = next_version(latest, signature=signature, scores=scores, meaning=meaning)
        if name not in self.names():
            self._client.create_registered_model(name)
        hashes = {"model_sha256": model.hex, "signature_sha256": signature, "scores_sha256": scores}
        if meaning:
            hashes["meaning_sha256"] = meaning
        run_id, source = self._run(f"{name} {version}", files, experiment, hashes | dict(tags or {}), metrics or {})
        made = self._client.create_model_version(
            name, source, run_id=run_id, tags={SEMVER: str(version), "change": change, **dict(tags or {}), **hashes}
        )
        return _entry(made, {}), change

    def _run(
        self, title: str, files: Mapping[str, Path], experiment: str, tags: Mapping[str, str],
        metrics: Mapping[str, float],
    ) -> tuple[str, str]:  # fmt: skip
        """A run that holds the files; its id, and where they lie."""
        known = self._client.get_experiment_by_name(experiment)
        experiment_id = known.experiment_id if known else self._client.create_experiment(experiment)
        run = self._client.create_run(experiment_id, run_name=title, tags=dict(tags))
        for metric, value in metrics.items():
            self._client.log_metric(run.info.run_id, metric, value)
        for path in files.values():
            self._client.log_artifact(run.info.run_id, str(path), "model")
        self._client.set_terminated(run.info.run_id)
        return run.info.run_id, f"{run.info.artifact_uri}/model"


def open_registry(project: Path, settings: Settings) -> Registry:
    """The registry of the store that the settings name; raises `TrackerUnavailable` when nobody answers there.

    An embedded store that is not there yet is not made: then nothing is registered.
    """
    uri = store_uri(project, settings)
    file = file_of(uri)
    if file is not None and not file.exists():
        raise TrackerUnavailable(f"there is no store at {file.name} yet", hint="nbproof run")
    if is_embedded(project, settings):
        os.environ[ARTIFACT_ROOT_VARIABLE] = str(artifacts(project))
    return registry_at(uri)


def registry_at(uri: str) -> Registry:
    """The registry at a tracking URI, as a notebook knows it (`track.tracking_uri()`); it makes what is not there."""
    require("mlflow")
    check_reachable(uri)
    os.environ.update(QUIET | UNSEEN)
    from mlflow.tracking import MlflowClient

    return Registry(MlflowClient(tracking_uri=uri, registry_uri=uri), uri)


def _all(search: Any) -> list[Any]:
    """Everything that a search finds, page by page."""
    found, token = [], None
    while True:
        page = search(page_token=token)
        found += list(page)
        token = page.token
        if not token:
            return found


def _entry(found: Any, aliases: Mapping[str, int]) -> Entry:
    number, tags = int(found.version), dict(found.tags)
    try:
        version = Version.read(tags[SEMVER]) if SEMVER in tags else None
    except ValueError as error:
        raise RegistryHolds(f"{found.name} version {number}", str(error), "a semantic version") from None
    named = tuple(sorted(alias for alias, each in aliases.items() if each == number))
    return Entry(found.name, number, version, named, tags, found.source, found.run_id or "")


def _changes(name: str, tags: Mapping[str, str]) -> tuple[Change, ...]:
    try:
        return tuple(Change.read(tags[key]) for key in sorted(tags) if key.startswith(CHANGE))
    except ValueError as error:
        raise RegistryHolds(name, f"a recorded change that cannot be read ({error})", "what nbproof wrote") from None


def _check_hashes(entry: Entry, path: Path) -> None:
    files: Sequence[Path] = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    hashes = {each: ContentHash.of(each.read_bytes()).hex for each in files}
    model = entry.tags.get("model_sha256", "")
    if model and model not in hashes.values():
        raise RegistryHolds(entry.told, f"no file with the hash {model[:12]}", "the bytes that were registered")
    signature = entry.tags.get("signature_sha256", "")
    for file, digest in hashes.items():
        if file.name == SIGNATURE and signature and digest != signature:
            raise RegistryHolds(entry.told, f"`{SIGNATURE}` with the hash {digest[:12]}", signature[:12])
