"""The checks that run: a notebook twice, in new kernels; what it makes goes to a folder that is gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...notebook.document import Document
from ...records import LOG_VARIABLE, LoggedEntry, Task
from ...run.attempt import Attempt
from ...run.build import kernel_environ
from ...run.fingerprint import reads
from ...run.ordering import make_order
from ...run.pipeline.loading import Loaded, load
from ...run.staging import Staging
from ...settings import THRESHOLD, Settings
from . import catalogue
from .findings import Check, Finding, Judgement, Outcome
from .noise import Said, differs, said, same
from .static import severity_of

LONGEST_S = 3600.0
VARIES = "varies"
_TEXTS = {".csv", ".json", ".jsonl", ".md", ".txt", ".yaml", ".yml"}
# Sets and dicts of objects come in another order with another seed: the second run has another one.
_SEEDS = ("0", "4711")

Tell = Callable[[str], None]
Metrics = tuple[tuple[str, float, str, Judgement], ...]


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run gave: why it failed ("": it did not), what each cell said, its text products, its metrics."""

    failure: str
    outputs: Mapping[str, tuple[Said, ...]] = field(default_factory=dict)
    products: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def dynamic_outcomes(
    notebook: Path, project: Path, settings: Settings, tell: Tell = lambda _: None
) -> tuple[tuple[Outcome, ...], Metrics]:
    """Run the notebook twice and judge what it gave; `tell` hears what is being done. The notebook is not touched."""
    loaded = load(notebook, project)
    task = next(held for held in loaded.pipeline.tasks if held.notebook.resolve() == notebook.resolve())
    missing = _missing(task, loaded)
    if missing:
        return not_run(settings, f"{missing} is not there: run what comes before it"), ()
    document = loaded.documents[task.name]
    tell("first run")
    first = run_once(task, loaded, settings, seed=_SEEDS[0], tell=tell)
    if first.failure:
        rerun = _outcome(catalogue.RERUN, settings, [Finding(first.failure)])
        return (rerun, *not_run(settings, "it does not run to its end", (catalogue.RERUN,))), ()
    rerun = _outcome(catalogue.RERUN, settings, [])
    outputs = _stored(document, task, loaded, first, settings)
    tell("second run")
    second = run_once(task, loaded, settings, seed=_SEEDS[1], tell=tell)
    metrics, judged = _measured(first.metrics, settings)
    made = (rerun, outputs, _twice(document, first, second, settings), metrics)
    return tuple(held for held in made if settings.review_severity.get(held.check.code) != "off"), judged


def run_once(task: Task, loaded: Loaded, settings: Settings, *, seed: str, tell: Tell = lambda _: None) -> Ran:
    """Run the notebook once; what it makes as products goes to a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="nbproof-review-", ignore_cleanup_errors=True) as made:
        scratch = Path(made).resolve()
        moved = _moved(task, scratch)
        staging = Staging(moved)
        staging.prepare()
        order = make_order(moved, staging, loaded, is_warm=False)
        folder = loaded.pipeline.folder
        environ = {**_tracker(loaded.pipeline.project, settings, scratch), "PYTHONHASHSEED": seed,
                   LOG_VARIABLE: str(folder / order.log)}  # fmt: skip
        attempt = Attempt(moved, 1, "review")
        attempt.start(
            order, folder=folder, scope=f"review-{uuid.uuid4().hex}", runtime=scratch / "kernels",
            environ=kernel_environ(environ, 1),
        )  # fmt: skip
        try:
            late = _heard(attempt, settings.timeout_s or LONGEST_S, tell)
        finally:
            attempt.end()
        finished = attempt.heard.get("finished", {})
        failure = late or str(finished.get("reason") or "") or ("" if finished else "its process ended")
        renamed = _renamed(moved, task, loaded, staging)
        logged = tuple(LoggedEntry.from_json(entry) for entry in finished.get("logged", ()))
        return Ran(failure, _outputs(folder / order.executed, renamed), _products(staging, renamed), _metrics(logged))


def _moved(task: Task, scratch: Path) -> Task:
    """The task with its products elsewhere; the executed notebook is kept as a notebook, whatever it is turned into."""
    folders = sorted({path.parent for path in task.products.values()})
    parents = {folder: scratch / str(number) for number, folder in enumerate(folders)}
    products = {key: parents[path.parent] / path.name for key, path in task.products.items()}
    products["nb"] = products["nb"].with_suffix(".ipynb")
    return replace(task, products=products)


def _renamed(moved: Task, task: Task, loaded: Loaded, staging: Staging) -> dict[str, str]:
    """What stands in outputs for a product's place while it is checked, and what stands there otherwise."""
    renamed = {}
    for key, staged in staging.products().items():
        final = task.products[key]
        for place, usual in ((staged, final), (staged.parent, final.parent)):
            renamed[str(place)] = str(usual)
            renamed[os.path.relpath(place, loaded.pipeline.folder)] = os.path.relpath(usual, loaded.pipeline.folder)
    return dict(sorted(renamed.items(), key=lambda pair: -len(pair[0])))


def _heard(attempt: Attempt, longest_s: float, tell: Tell) -> str:
    """Hear a run to its end; say so if it took too long."""
    deadline = time.monotonic() + longest_s
    with selectors.DefaultSelector() as selector:
        selector.register(attempt, selectors.EVENT_READ)
        while not attempt.is_over:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return f"ran longer than {longest_s:g} s"
            for message in attempt.messages():
                if message["kind"] == "cell":
                    tell(f"cell {message['cell']} of {message['cells']}")
                attempt.heard[message["kind"]] = message
    return ""


def _tracker(project: Path, settings: Settings, scratch: Path) -> dict[str, str]:
    """A tracker of its own: a copy of the project's store, to which nothing is added by looking."""
    store, artifacts = project / "mlflow.db", scratch / "mlruns"
    copy = scratch / "mlflow.db"
    if store.is_file():
        with contextlib.suppress(OSError, sqlite3.Error):
            shutil.copyfile(store, copy)
            with contextlib.closing(sqlite3.connect(copy)) as database, database:
                database.execute(
                    "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)",
                    (str(project / "mlruns"), str(artifacts)),
                )
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{copy}",
        "MLFLOW_EXPERIMENT_NAME": settings.experiment,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(artifacts),
        "NBPROOF_KEEP": str(scratch / "kept"),
    }


def _missing(task: Task, loaded: Loaded) -> str:
    given = reads(task, loaded.contracts[task.name], loaded.pipeline)
    paths = [(name, path) for name, products in given.items() for path in products.values()]
    return next((f"what its upstream `{name}` makes ({path.name})" for name, path in paths if not path.exists()), "")


def _outputs(executed: Path, renamed: Mapping[str, str]) -> dict[str, tuple[Said, ...]]:
    if not executed.is_file():
        return {}
    cells = json.loads(executed.read_bytes())["cells"]
    return {cell["id"]: said(cell.get("outputs", ()), renamed) for cell in cells if cell["cell_type"] == "code"}


def _products(staging: Staging, renamed: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key, path in staging.products().items():
        if path.suffix in _TEXTS and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for staged, final in renamed.items():
                text = text.replace(staged, final)
            found[key] = text
    return found


def _metrics(logged: tuple[LoggedEntry, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in logged:
        if entry.kind == "metrics":
            prefix = f"{entry.child}." if entry.child else ""
            found |= {f"{prefix}{name}": float(value) for name, value in entry.values.items()}
    return found


def _stored(document: Document, task: Task, loaded: Loaded, ran: Ran, settings: Settings) -> Outcome:
    check = catalogue.OUTPUTS
    cells = [cell for cell in document.content["cells"] if cell["cell_type"] == "code"]
    if not any(cell.get("outputs") for cell in cells):
        return _unknown(check, settings, "the notebook has no stored outputs")
    if dict(task.parameters) != loaded.contracts[task.name].defaults():
        return _unknown(check, settings, "the pipeline gives it other parameters than those it was saved with")
    stored = {cell["id"]: said(cell.get("outputs", ()), {}) for cell in cells}
    return _outcome(check, settings, list(_apart(document, stored, ran.outputs)))


def _twice(document: Document, first: Ran, second: Ran, settings: Settings) -> Outcome:
    if second.failure:
        return _outcome(catalogue.DETERMINISM, settings, [Finding(f"the second run failed: {second.failure}")])
    findings = list(_apart(document, first.outputs, second.outputs))
    for key in sorted({*first.products, *second.products}):
        if not same(first.products.get(key, ""), second.products.get(key, "")):
            findings.append(Finding(f"its product `{key}` is another one in the second run"))
    return _outcome(catalogue.DETERMINISM, settings, findings)


def _apart(
    document: Document, before: Mapping[str, tuple[Said, ...]], after: Mapping[str, tuple[Said, ...]]
) -> Iterator[Finding]:
    for number, cell in enumerate(document.cells, start=1):
        if cell.kind != "code" or VARIES in cell.tags or cell.id not in after:
            continue
        how = differs(before.get(cell.id, ()), after[cell.id])
        if how:
            yield Finding(how, cell.id, number)


def _measured(found: Mapping[str, float], settings: Settings) -> tuple[Outcome, Metrics]:
    check = catalogue.METRICS
    if not settings.review_thresholds:
        return _unknown(check, settings, "no thresholds are declared"), ()
    findings, judged = [], []
    for name, bound in sorted(settings.review_thresholds.items()):
        value = found.get(name)
        if value is None:
            findings.append(Finding(f"`{name}` was not measured; it must be {bound}"))
            continue
        holds = _holds(value, bound)
        verdict: Judgement = "passed" if holds else "failed"
        judged.append((name, value, bound, verdict))
        if not holds:
            findings.append(Finding(f"`{name}` is {value:g}; it must be {bound}"))
    return _outcome(check, settings, findings), tuple(judged)


def _holds(value: float, bound: str) -> bool:
    match = THRESHOLD.fullmatch(bound)
    assert match is not None
    sign, limit = match.group(1), float(match.group(2))
    return {">=": value >= limit, "<=": value <= limit, ">": value > limit, "<": value < limit}[sign]


def _outcome(check: Check, settings: Settings, findings: list[Finding]) -> Outcome:
    return Outcome(check, severity_of(check, settings), "failed" if findings else "passed", tuple(findings))


def _unknown(check: Check, settings: Settings, reason: str) -> Outcome:
    return Outcome(check, severity_of(check, settings), "not evaluated", reason=reason)


def not_run(settings: Settings, reason: str, but: tuple[Check, ...] = ()) -> tuple[Outcome, ...]:
    """The dynamic checks, none of which could be made."""
    off = {code for code, weight in settings.review_severity.items() if weight == "off"}
    dynamic = (check for check in catalogue.ALL if check.is_dynamic and check not in but and check.code not in off)
    return tuple(_unknown(check, settings, reason) for check in dynamic)
