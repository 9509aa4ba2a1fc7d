"""The tracker of a project, read: runs page by page, one run whole, the history of a metric. It makes no store."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...errors import EntryInvalid, JournalDamaged, RequestInvalid, TrackerUnavailable, UnknownName
from ...extras import require
from ...settings import Settings
from ..delivery import offset_files
from ..journal import entries, path_of
from ..mlflow_tracker import as_unavailable
from ..notebook import LONGEST_NAME, NAME, RESERVED
from ..store import QUIET, check_reachable, database, is_embedded, store_uri
from .history import Point, thinned
from .summary import KINDS, NOTE, PARENT, STATUS, Kind, Status, Summary, is_found, summarise, true_number

PAGE_ROWS, MOST_PAGES = 1000, 5
MOST_EXPERIMENTS, MOST_CHILDREN = 200, 200
LONGEST_NOTE, LONGEST_VALUE = 8000, 8000
RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
HINT = "nbproof doctor"

Sort = Literal["start", "end", "name", "status"]
COLUMN: Mapping[Sort, str] = {
    "start": "attributes.start_time",
    "end": "attributes.end_time",
    "name": "attributes.run_name",
    "status": "attributes.status",
}


@dataclass(frozen=True, slots=True)
class Query:
    """Which runs: of one experiment ("": of those that `RunStore` means), of a kind, in a state, with all the words.

    `tasks` asks for the attempts at tasks of these names; together with `notebook`, either is enough.
    """

    experiment: str = ""
    kind: Kind | None = None
    status: Status | None = None
    words: tuple[str, ...] = ()
    notebook: str = ""
    tasks: frozenset[str] = field(default_factory=frozenset)
    sort: Sort = "start"
    is_rising: bool = False

    def __post_init__(self) -> None:
        for what, value, known in (
            ("the kind of run", self.kind, KINDS),
            ("the state of a run", self.status, (*STATUS.values(), "interrupted")),
            ("the order of runs", self.sort, tuple(COLUMN)),
        ):
            if value is not None and value not in known:
                raise RequestInvalid(what, repr(value)[:80], f"one of {', '.join(dict.fromkeys(known))}")

    def holds(self, run: Summary) -> bool:
        """Whether a run is among those that are meant."""
        return (
            (self.kind is None or run.kind == self.kind)
            and (self.status is None or run.status == self.status)
            and (not (self.notebook or self.tasks) or run.notebook == self.notebook or run.task in self.tasks)
            and is_found(run, self.words)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Runs in the order asked for; `next_page` says where the list goes on, "" at its end. `looked` runs were read."""

    runs: tuple[Summary, ...]
    next_page: str
    looked: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Runs that began, ended or run since; unless `is_whole` there were too many, and the list is to be read anew."""

    runs: tuple[Summary, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Run:
    """One run whole. `experiment` is a name; `artifacts_uri` is where its files are; `all_tags` holds every tag."""

    summary: Summary
    experiment: str
    note: str
    all_tags: Mapping[str, str]
    artifacts_uri: str
    children: tuple[Summary, ...]


def open_runs(project: Path, settings: Settings) -> RunStore | None:
    """Reach the tracker of a project to read it; None while there is no embedded store, so that no run was tracked.

    Raises `TrackerUnavailable` or `ExtraMissing`. MLflow is imported here, and told not to report its use.
    """
    uri = store_uri(project, settings)
    embedded = is_embedded(project, settings)
    # A file without anything in it is a store that is still to be made: MLflow would make it here.
    if embedded and not (database(project).is_file() and database(project).stat().st_size):
        return None
    require("mlflow")
    os.environ.update(QUIET)
    with reached():
        check_reachable(uri)
        from mlflow.tracking import MlflowClient

        return RunStore(MlflowClient(tracking_uri=uri), None if embedded else settings.experiment, project)


class RunStore:
    """What an MLflow store holds, as frozen values; every method raises `TrackerUnavailable` when it is silent."""

    def __init__(self, client: Any, experiment: str | None, project: Path) -> None:
        """`client` is an `MlflowClient`; without a name of an experiment, runs of all of them are meant."""
        self.client, self.project = client, project
        self._experiment = experiment
        self._names: dict[str, str] = {}

    def experiments(self) -> dict[str, str]:
        """The names of the experiments by their ids."""
        if not self._names:
            with reached():
                found = self.client.search_experiments(max_results=MOST_EXPERIMENTS)
            self._names = {experiment.experiment_id: experiment.name for experiment in found}
        return dict(self._names)

    def page(self, query: Query, *, rows: int = PAGE_ROWS, after: str = "") -> Page:
        """The next runs that `query` means. A store cannot look for words: up to five pages are read through for them.

        Raises `UnknownName` for an experiment that is not there.
        """
        ids, chosen = self._ids(query.experiment), _filter(query)
        order = [f"{COLUMN[query.sort]} {'ASC' if query.is_rising else 'DESC'}"]
        found: list[Summary] = []
        looked, token = 0, after or None
        with reached():
            for _ in range(MOST_PAGES):
                page = self.client.search_runs(ids, chosen, max_results=rows, order_by=order, page_token=token)
                summaries = [summarise(run) for run in page]
                found += [summary for summary in summaries if query.holds(summary)]
                looked, token = looked + len(summaries), page.token
                if not token or len(found) >= rows or not _is_sifted(query):
                    break
        # A store in SQL gives bytes, a server text.
        next_page = token.decode() if isinstance(token, bytes) else token or ""
        return Page(tuple(found), next_page, looked)

    def changed(self, since_ms: int, experiment: str = "") -> Changes:
        """The runs that began or ended since then, that are running, or whose records have been delivered since."""
        ids, since_ms = self._ids(experiment), min(since_ms, self._delivered_from(since_ms))
        found: dict[str, Summary] = {}
        is_whole = True
        with reached():
            for chosen in (
                f"attributes.start_time >= {since_ms}",
                f"attributes.end_time >= {since_ms}",
                "attributes.status = 'RUNNING'",
            ):
                page = self.client.search_runs(ids, chosen, max_results=PAGE_ROWS)
                is_whole = is_whole and not page.token
                found |= {run.info.run_id: summarise(run) for run in page}
        return Changes(tuple(found.values()), is_whole)

    def run(self, run_id: str) -> Run:
        """One run whole, with those nested in it; raises `UnknownName`."""
        held = self.held(run_id)
        summary, tags = summarise(held), dict(held.data.tags)
        with reached():
            nested = self.client.search_runs(
                [held.info.experiment_id], f"tags.`{PARENT}` = '{run_id}'", max_results=MOST_CHILDREN,
                order_by=["attributes.start_time ASC"],
            )  # fmt: skip
        experiment = self.experiments().get(held.info.experiment_id, held.info.experiment_id)
        children = tuple(summarise(child) for child in nested)
        return Run(summary, experiment, tags.get(NOTE, ""), tags, held.info.artifact_uri or "", children)

    def held(self, run_id: str) -> Any:
        """A run as MLflow holds it; raises `UnknownName`."""
        from mlflow.exceptions import MlflowException

        if not RUN_ID.fullmatch(run_id):
            raise UnknownName("run", run_id[:80], ())
        with reached():
            try:
                found = self.client.get_run(run_id)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    raise UnknownName("run", run_id, (), hint="reload the list: it may have been deleted") from None
                raise
        return found

    def lineage(self, run_id: str) -> Iterator[Any]:
        """A run and those that it is nested in, the innermost first, as MLflow holds them."""
        seen: set[str] = set()
        while run_id and run_id not in seen and len(seen) < 5:
            seen.add(run_id)
            held = self.held(run_id)
            yield held
            run_id = held.data.tags.get(PARENT, "")

    def history(self, run_id: str, metric: str) -> list[Point]:
        """The values of a metric, thinned to at most a thousand with the highest and the lowest among them."""
        self.held(run_id)
        with reached():
            found = self.client.get_metric_history(run_id, metric)
        return thinned([Point(point.step, point.timestamp, true_number(point.value)) for point in found])

    # Writing

    def set_note(self, run_id: str, note: str) -> None:
        """Write the note of a run, as MLflow's own page shows it."""
        if len(note) > LONGEST_NOTE:
            raise EntryInvalid("the note", f"{len(note)} characters", f"at most {LONGEST_NOTE}")
        self._tag(run_id, NOTE, note)

    def set_tag(self, run_id: str, name: str, value: str | None) -> None:
        """Give a run a tag of the user's, or take it away (None). Names that nbproof and MLflow give are refused."""
        if name.startswith(RESERVED):
            raise EntryInvalid(f"tag `{name[:80]}`", "a reserved name", "a name that begins otherwise")
        if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            raise EntryInvalid(
                f"tag `{name[:80]}`", "that name", f"up to {LONGEST_NAME} letters, digits and any of _ . - / : or space"
            )
        if value is not None and len(value) > LONGEST_VALUE:
            raise EntryInvalid(f"tag `{name}`", f"{len(value)} characters", f"at most {LONGEST_VALUE}")
        self._tag(run_id, name, value)

    def _tag(self, run_id: str, name: str, value: str | None) -> None:
        held = self.held(run_id)
        with reached():
            if value is not None:
                self.client.set_tag(run_id, name, value)
            elif name in held.data.tags:
                self.client.delete_tag(run_id, name)

    # What is asked of the store

    def _ids(self, experiment: str) -> list[str]:
        """The ids of the experiments that are meant; none while the project's own one has not been made."""
        names = self.experiments()
        wanted = experiment or self._experiment
        if wanted is None:
            return list(names)
        found = [id_ for id_, name in names.items() if name == wanted]
        if experiment and not found:
            raise UnknownName("experiment", experiment[:80], list(names.values())[:20])
        return found

    def _delivered_from(self, since_ms: int) -> int:
        """When the earliest run began of whose records some were delivered since then: they may be much older."""
        began = [since_ms]
        for file in offset_files(self.project):
            try:
                if file.stat().st_mtime * 1000 < since_ms:
                    continue
                first, _ = next(entries(path_of(self.project, file.stem)), (None, 0))
            except (OSError, ValueError, JournalDamaged):
                continue
            if first is not None:
                began.append(int(first.event.at * 1000))
        return min(began)


def _filter(query: Query) -> str:
    """The part of a query that a store can decide; every value of it is one of ours."""
    parts = []
    if query.kind not in (None, "own"):
        parts.append(f"tags.`nbproof.kind` = '{query.kind}'")
    # The other states stand for several of MLflow's, or for one and a tag; they are told apart here.
    if query.status in ("done", "failed"):
        parts.append(f"attributes.status = '{'FINISHED' if query.status == 'done' else 'FAILED'}'")
    return " and ".join(parts)


def _is_sifted(query: Query) -> bool:
    """Whether rows of the store are left out here."""
    return bool(query.words or query.notebook or query.tasks or query.status or query.kind == "own")


@contextlib.contextmanager
def reached() -> Iterator[None]:
    """Tell a reader, in one line and with what to type, that the store does not answer or cannot be read."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with as_unavailable():
            yield
    except TrackerUnavailable as error:
        raise TrackerUnavailable(error.reason, hint=HINT) from error.__cause__
    except SQLAlchemyError as error:
        raise TrackerUnavailable(str(getattr(error, "orig", error)).partition("\n")[0][:500], hint=HINT) from error


def shortened(text: str, longest: int) -> str:
    """A text cut to a length, visibly."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
