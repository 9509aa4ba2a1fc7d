"""MLflow as a tracker: a run for the pipeline, below it one for each attempt at a notebook, below that its children.

Every tracked run carries a tag `nbproof.key` that says which record it is. It is looked up before anything is made,
so that a record delivered twice is held once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from ..errors import TrackerUnavailable
from ..records import ContentHash, LoggedEntry, RunFinished, RunStarted, TaskFinished, TaskStarted
from ..settings import Settings
from .capture.session import NotebookSession, as_json
from .lines import Entry, as_text
from .store import (
    ARTIFACT_ROOT_VARIABLE,
    QUIET,
    artifacts,
    check_reachable,
    database,
    is_embedded,
    store_uri,
    without_password,
)
from .tracker import Files

KEY = "nbproof.key"
RUN = "nbproof.run_id"
CUT_MARK = " … [cut; whole in parameters.json]"
LONGEST_PARAMETER, LONGEST_TAG = 6000, 8000
MOST_METRICS, MOST_OTHERS = 1000, 100
PAGE_ROWS = 1000
SESSION_STATUS = {"done": "FINISHED", "killed": "KILLED", "died": "FAILED"}
STATUS = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "blocked": "KILLED", "fresh": "FINISHED"}
# A request that is tried again inside the client could make a run twice; we look first, then try again ourselves.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


def open_tracker(project: Path, settings: Settings) -> MlflowTracker:
    """Reach the tracker that the settings name; the embedded store is made when it is not there yet.

    Raises `TrackerUnavailable`. Sets variables of this process that MLflow reads: no telemetry, no hidden retries.
    """
    uri = store_uri(project, settings)
    check_reachable(uri)
    os.environ.update(QUIET | IMPATIENT)
    with as_unavailable():
        from mlflow.tracking import MlflowClient

        if not is_embedded(project, settings):
            return MlflowTracker(MlflowClient(tracking_uri=uri), settings.experiment)
        os.environ[ARTIFACT_ROOT_VARIABLE] = str(artifacts(project))
        if not database(project).exists():
            create_store(database(project), workshop=project / ".nbproof" / "spool")
        return MlflowTracker(MlflowClient(tracking_uri=uri), settings.experiment, artifacts=artifacts(project))


def create_store(file: Path, *, workshop: Path) -> None:
    """Make an embedded store in the folder `workshop`; `file` then appears with all its tables, or not at all."""
    from mlflow.tracking import MlflowClient

    workshop.mkdir(parents=True, exist_ok=True)
    for left_over in workshop.glob(f".{file.name}.*"):
        left_over.unlink(missing_ok=True)
    new = workshop / f".{file.name}.{uuid.uuid4().hex}"
    try:
        MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
        # A link, not a rename: it never replaces a store that somebody else made meanwhile.
        with contextlib.suppress(FileExistsError):
            os.link(new, file)
    finally:
        new.unlink(missing_ok=True)


class MlflowTracker:
    """Records of runs in one experiment of an MLflow tracking store."""

    def __init__(self, client: Any, experiment: str, *, artifacts: Path | None = None) -> None:
        """`client` is an `MlflowClient`; `artifacts` is where a new experiment puts its files (None: it decides)."""
        self._client = client
        self._experiment = self._find_experiment(experiment, artifacts)
        self._known: dict[str, str] = {}
        self._told: dict[str, int] = {}

    def deliver(self, entry: Entry, files: Files) -> None:
        """Record one event of a run; raises `TrackerUnavailable` when MLflow does not take it."""
        with as_unavailable():
            match entry.event:
                case RunStarted():
                    self._begin_run(entry.event)
                case TaskStarted():
                    self._begin_task(entry.event)
                case TaskFinished():
                    self._end_task(entry.event, entry.notebook, files)
                case RunFinished():
                    self._end_run(entry.event)

    def interrupt(self, run_id: str, at: float) -> None:
        """Mark what is still running in `run_id` as killed; raises `TrackerUnavailable`."""
        with as_unavailable():
            self._end_left_over(run_id, at)

    def deliver_session(self, session: NotebookSession, files: Files) -> None:
        """Record a session of a notebook as far as it is known by now; raises `TrackerUnavailable`."""
        with as_unavailable():
            self._log_session(session, files)

    # Events

    def _begin_run(self, event: RunStarted) -> None:
        run = self._run(
            _key(event.run_id),
            name=event.pipeline,
            at=event.at,
            tags={RUN: event.run_id, "nbproof.pipeline": event.pipeline, "nbproof.kind": "pipeline"},
        )
        provenance = event.provenance
        tags = {
            "nbproof.environment": str(provenance.environment),
            "nbproof.git_dirty": str(provenance.git_dirty).lower(),
            "nbproof.python": provenance.python,
            "nbproof.version": provenance.nbproof,
            "nbproof.tasks": ", ".join(event.tasks),
            "mlflow.source.name": event.file,
            "mlflow.source.type": "PROJECT",
        }
        if provenance.git_commit is not None:
            tags["mlflow.source.git.commit"] = provenance.git_commit
        self._log(run, parameters=event.parameters, tags=tags)

    def _begin_task(self, event: TaskStarted) -> None:
        self._task_run(event.run_id, event.task, event.attempt, event.at, event.reason, event.parameters)

    def _task_run(
        self, run_id: str, task: str, attempt: int, at: float, reason: str, parameters: Mapping[str, Any]
    ) -> str:
        run = self._run(
            _key(run_id, task, attempt),
            name=task,
            at=at,
            tags={
                RUN: run_id,
                "nbproof.kind": "task",
                "nbproof.task": task,
                "nbproof.attempt": str(attempt),
                "mlflow.parentRunId": self._parent(run_id, at),
                "mlflow.source.type": "NOTEBOOK",
            },
        )
        self._log(run, parameters=parameters, tags={"nbproof.reason": reason} if reason else {})
        return run

    def _parent(self, run_id: str, at: float) -> str:
        return self._run(_key(run_id), name=run_id, at=at, tags={RUN: run_id, "nbproof.kind": "pipeline"})

    def _end_task(self, event: TaskFinished, notebook: ContentHash | None, files: Files) -> None:
        said = f"{event.outcome}: {event.reason}" if event.reason else event.outcome
        self._log(self._parent(event.run_id, event.at), tags={f"nbproof.task.{_tag_name(event.task)}": said})
        # Nothing ran: the parent says so, and there is nothing else to tell.
        if event.attempt == 0:
            return
        run = self._task_run(event.run_id, event.task, event.attempt, event.at - event.elapsed_s, "", {})
        self._log(
            run,
            tags={
                "nbproof.outcome": said,
                "nbproof.elapsed_s": f"{event.elapsed_s:.3f}",
                **{f"nbproof.product.{key}": content for key, (_, content) in event.products.items()},
            },
        )
        if event.products:
            products = {key: {"path": path, "sha256": content} for key, (path, content) in event.products.items()}
            self._client.log_dict(run, products, "products.json")
        if event.notebook is not None:
            self._upload(run, notebook, Path(event.notebook), Path(event.notebook).name, "notebook", files)
        self._log_entries(run, event, files)
        self._client.set_terminated(run, STATUS[event.outcome], _milliseconds(event.at))

    def _log_entries(self, run: str, event: TaskFinished, files: Files) -> None:
        for child in dict.fromkeys(entry.child for entry in event.logged):
            entries = [entry for entry in event.logged if entry.child == child]
            if child is None:
                self._log_own(run, entries, event.at, files)
                continue
            began, ended = entries[0].at or event.at, entries[-1].at or event.at
            nested = self._run(
                _key(event.run_id, event.task, event.attempt, child),
                name=child,
                at=began,
                tags={
                    RUN: event.run_id,
                    "nbproof.kind": "child",
                    "nbproof.task": event.task,
                    "nbproof.attempt": str(event.attempt),
                    "nbproof.child": child,
                    "mlflow.parentRunId": run,
                    "mlflow.source.type": "NOTEBOOK",
                },
            )
            self._log_own(nested, entries, event.at, files)
            self._client.set_terminated(nested, STATUS[event.outcome], _milliseconds(ended))

    def _log_own(self, run: str, entries: Iterable[LoggedEntry], at: float, files: Files) -> None:
        parameters: dict[str, Any] = {}
        tags: dict[str, str] = {}
        metrics: list[tuple[str, float, int, int]] = []
        for entry in entries:
            match entry.kind:
                case "parameters":
                    parameters |= entry.values
                case "tags":
                    tags |= {key: str(value) for key, value in entry.values.items()}
                case "metrics":
                    when = _milliseconds(entry.at or at)
                    metrics += [(key, float(value), when, entry.step) for key, value in entry.values.items()]
                case "artifact":
                    content, path = ContentHash(entry.values["sha256"]), Path(entry.values["path"])
                    self._upload(run, content, path, entry.values["name"], "files", files)
        self._log(run, parameters=parameters, tags=tags, metrics=metrics)

    def _end_run(self, event: RunFinished) -> None:
        parent = self._parent(event.run_id, event.at - event.elapsed_s)
        counts = {f"nbproof.count.{outcome}": str(number) for outcome, number in event.counts.items()}
        self._log(
            parent, tags={**counts, "nbproof.outcome": event.outcome, "nbproof.elapsed_s": f"{event.elapsed_s:.3f}"}
        )
        self._client.set_terminated(parent, STATUS[event.outcome], _milliseconds(event.at))
        self._end_left_over(event.run_id, event.at)
        self._drop_doubles(event.run_id)

    def _end_left_over(self, run_id: str, at: float) -> None:
        for run in self._search(f"tags.`{RUN}` = '{run_id}' and attributes.status = 'RUNNING'"):
            self._client.set_tag(run.info.run_id, "nbproof.outcome", "interrupted")
            self._client.set_terminated(run.info.run_id, "KILLED", max(run.info.start_time, _milliseconds(at)))

    # Sessions of notebooks

    def _log_session(self, session: NotebookSession, files: Files) -> None:
        run = self._run(
            _key("session", session.session_id),
            name=Path(session.notebook or "without a notebook").name,
            at=session.opened_at,
            tags={"nbproof.kind": "session", "nbproof.session": session.session_id, "mlflow.source.type": "NOTEBOOK"},
        )
        at = _milliseconds(session.last_at)
        numbers = _session_metrics(session)
        step = len(session.executions)
        metrics = [(name, value, at, step) for name, value in numbers.items()]
        self._log(run, tags=_session_tags(session), metrics=metrics)
        self._client.log_dict(run, _session_content(session, self._runs_made_in(session)), "executions.json")
        self._log_entries_of_session(run, session, files)
        if session.outcome == "running":
            return
        kept = [around.notebook_sha256 for around in session.around if around.notebook_sha256 is not None]
        if kept and session.notebook is not None:
            path = Path(session.notebook)
            self._upload(run, ContentHash(kept[-1]), path, path.name, "notebook", files)
        self._client.set_terminated(run, SESSION_STATUS[session.outcome], at)

    def _runs_made_in(self, session: NotebookSession) -> dict[str, list[str]]:
        """The runs of this store that say which execution made them; a kernel does not see each of nested runs."""
        if not any(execution.runs for execution in session.executions):
            return {}
        made: dict[str, list[str]] = {}
        experiments = [experiment.experiment_id for experiment in self._client.search_experiments()]
        for found in self._search(f"tags.`nbproof.session` = '{session.session_id}'", experiments):
            if "nbproof.exec_id" in found.data.tags:
                made.setdefault(found.data.tags["nbproof.exec_id"], []).append(str(found.info.run_id))
        return made

    def _log_entries_of_session(self, run: str, session: NotebookSession, files: Files) -> None:
        """What the notebook logged itself; by one tracker once, by another again, which changes nothing."""
        entries = [entry for _, entry in session.logged][self._told.get(session.session_id, 0) :]
        for child in dict.fromkeys(entry.child for entry in entries):
            own = [entry for entry in entries if entry.child == child]
            into = run if child is None else self._child_of_session(run, session, child, own[0].at)
            self._log_own(into, own, session.last_at, files)
        self._told[session.session_id] = len(session.logged)
        if session.outcome != "running":
            for child in {entry.child for _, entry in session.logged if entry.child is not None}:
                nested = self._child_of_session(run, session, child, session.last_at)
                self._client.set_terminated(nested, SESSION_STATUS[session.outcome], _milliseconds(session.last_at))

    def _child_of_session(self, run: str, session: NotebookSession, child: str, at: float) -> str:
        tags = {
            "nbproof.kind": "child",
            "nbproof.session": session.session_id,
            "nbproof.child": child,
            "mlflow.parentRunId": run,
            "mlflow.source.type": "NOTEBOOK",
        }
        return self._run(_key("session", session.session_id, child), name=child, at=at, tags=tags)

    # Runs

    def _run(self, key: str, *, name: str, at: float, tags: Mapping[str, str]) -> str:
        """The id of the tracked run called `key`; it is made when there is none."""
        if key not in self._known:
            found = self._search(f"tags.`{KEY}` = '{key}'")
            self._known[key] = self._only(found) if found else self._create(key, name, at, tags)
        return self._known[key]

    def _create(self, key: str, name: str, at: float, tags: Mapping[str, str]) -> str:
        all_tags = {KEY: key, **{name: _cut(value, LONGEST_TAG) for name, value in tags.items()}}
        run = self._client.create_run(
            self._experiment, start_time=_milliseconds(at), tags=all_tags, run_name=name[:LONGEST_TAG]
        )
        return str(run.info.run_id)

    def _only(self, runs: list[Any]) -> str:
        """The one of several runs with one key that holds the record; the others are deleted.

        There are several when a courier died, or gave up, while its request to make a run was under way and the
        server carried it out later: such a run is bare.
        """
        keep, *doubles = sorted(runs, key=lambda run: (-_weight(run), run.info.run_id))
        for double in doubles:
            self._client.delete_run(double.info.run_id)
        return str(keep.info.run_id)

    def _drop_doubles(self, run_id: str) -> None:
        by_key: dict[str, list[Any]] = {}
        for run in self._search(f"tags.`{RUN}` = '{run_id}'"):
            by_key.setdefault(run.data.tags.get(KEY, run.info.run_id), []).append(run)
        for runs in by_key.values():
            self._only(runs)

    def _search(self, query: str, experiments: list[str] | None = None) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs(
                experiments or [self._experiment], query, max_results=PAGE_ROWS, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def _find_experiment(self, name: str, artifacts: Path | None) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = str(artifacts / _tag_name(name)) if artifacts else None
            try:
                return str(self._client.create_experiment(name, artifact_location=location))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            raise TrackerUnavailable(f"the experiment `{name}` was deleted there; restore it or set another one")
        return str(found.experiment_id)

    # Values

    def _log(
        self,
        run: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Iterable[tuple[str, float, int, int]] = (),
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        texts = {name: as_text(value) for name, value in (parameters or {}).items()}
        all_tags = dict(tags or {})
        new_metrics = list(dict.fromkeys(metrics))
        if texts or new_metrics:
            held = self._client.get_run(run).data
            texts, conflicts = _split(texts, held.params)
            all_tags |= conflicts
            new_metrics = self._missing(run, new_metrics, held.metrics)
        if any(len(text) > LONGEST_PARAMETER for text in texts.values()):
            self._client.log_dict(run, texts, "parameters.json")
        for some_metrics in _chunks(new_metrics, MOST_METRICS):
            self._client.log_batch(run, metrics=[Metric(*metric) for metric in some_metrics])
        for some_texts in _chunks(sorted(texts.items()), MOST_OTHERS):
            params = [Param(name, _cut(text, LONGEST_PARAMETER)) for name, text in some_texts]
            self._client.log_batch(run, params=params)
        for some_tags in _chunks(sorted(all_tags.items()), MOST_OTHERS):
            self._client.log_batch(run, tags=[RunTag(name, _cut(text, LONGEST_TAG)) for name, text in some_tags])

    def _missing(
        self, run: str, metrics: list[tuple[str, float, int, int]], held: Mapping[str, float]
    ) -> list[tuple[str, float, int, int]]:
        """Those of `metrics` that are not in the history of `run` yet."""
        there = {
            (point.key, point.value, point.timestamp, point.step)
            for key in {metric[0] for metric in metrics} & set(held)
            for point in self._client.get_metric_history(run, key)
        }
        return [metric for metric in metrics if metric not in there]

    def _upload(self, run: str, content: ContentHash | None, path: Path, name: str, folder: str, files: Files) -> None:
        file = files(content, path) if content is not None else None
        if file is None:
            # Another content under this name would be a wrong record.
            said = f"{path}: changed or gone before it could be delivered"
            return self._log(run, tags={f"nbproof.missing.{_tag_name(name)}": said})
        with tempfile.TemporaryDirectory(prefix="nbproof-") as temporary:
            named = Path(temporary) / name
            shutil.copyfile(file, named)
            self._client.log_artifact(run, str(named), folder)
        return None


def _session_tags(session: NotebookSession) -> dict[str, str]:
    tags = {
        "nbproof.notebook": session.notebook or "",
        "nbproof.kernel_id": session.kernel_id,
        "nbproof.kernel_life": str(session.life),
        "nbproof.python": session.python,
        "nbproof.recording": session.level,
        "nbproof.outcome": session.outcome,
        "mlflow.source.name": session.notebook or "",
    }
    if session.around:
        first, last = session.around[0], session.around[-1]
        found = {
            "mlflow.source.git.commit": first.git_commit,
            "nbproof.environment": first.environment,
            "nbproof.digest": last.digest,
            # The commit says what ran only if nothing was changed, neither at the beginning nor at the end.
            "nbproof.git_dirty": str(
                any(around.git_dirty or around.git_commit != first.git_commit for around in session.around)
            ).lower(),
        }
        tags |= {name: value for name, value in found.items() if value is not None}
    if session.damaged or session.missed:
        missed = [f"{session.missed} lines were not written"] if session.missed else []
        tags["nbproof.damaged"] = "; ".join([*session.damaged, *missed])
    return tags


def _session_metrics(session: NotebookSession) -> dict[str, float]:
    outcomes = [execution.outcome for execution in session.executions]
    return {
        "executions": float(len(outcomes)),
        "errors": float(outcomes.count("error")),
        "lost": float(outcomes.count("lost")),
        # What a cell ran in its turn is part of its own time.
        "seconds": sum(each.seconds or 0.0 for each in session.executions if each.parent is None),
    }


def _session_content(session: NotebookSession, made: Mapping[str, list[str]]) -> dict[str, Any]:
    executions = [as_json(execution) for execution in session.executions]
    for execution in executions:
        execution["runs"] = list(dict.fromkeys([*execution["runs"], *made.get(execution["exec_id"], ())]))
    return {
        "session": session.session_id,
        "notebook": session.notebook,
        "kernel_id": session.kernel_id,
        "kernel_life": session.life,
        "outcome": session.outcome,
        "executions": executions,
        "logged": [
            {"exec_id": exec_id, "kind": entry.kind, "values": dict(entry.values), "child": entry.child,
             "step": entry.step, "at": entry.at}
            for exec_id, entry in session.logged
        ],
        "missed": session.missed,
        "damaged": list(session.damaged),
    }  # fmt: skip


def _key(*parts: object) -> str:
    """The parts joined by `/`, each spelt so that it holds neither `/` nor a quote."""
    return "/".join(quote(str(part), safe="") for part in parts)


def _tag_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_-. " else "_" for letter in text)[:200]


def _weight(run: Any) -> int:
    return len(run.data.tags) + len(run.data.params) + len(run.data.metrics)


def _milliseconds(at: float) -> int:
    return round(at * 1000)


def _cut(text: str, longest: int) -> str:
    """`text`, visibly cut when it is longer than the tracker takes."""
    return text if len(text) <= longest else text[: longest - len(CUT_MARK)] + CUT_MARK


def _split(texts: Mapping[str, str], held: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters to log, and as tags those whose name holds another value already: MLflow changes none."""
    conflicts = {name for name, text in texts.items() if name in held and held[name] != _cut(text, LONGEST_PARAMETER)}
    kept = {name: text for name, text in texts.items() if name not in conflicts}
    return kept, {f"nbproof.also.{name}"[:250]: texts[name] for name in conflicts}


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


@contextlib.contextmanager
def as_unavailable() -> Iterator[None]:
    """Whatever MLflow says no with, the record waits: so nothing is lost, and the reason is told."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError, sqlite3.Error) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrackerUnavailable(without_password(first)[:500]) from cast(Exception, error)
