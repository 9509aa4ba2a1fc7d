"""All checks of one notebook, and what they said last: kept, so that who decides can sign it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import NbproofError, ReviewRefused
from ..files import write_atomically
from ..records import ContentHash
from ..settings import Settings
from .binding import bind, relative
from .checks.findings import Report
from .checks.rerun import Tell, dynamic_outcomes, not_run
from .checks.static import static_outcomes
from .statement import Checked, Measured

FOLDER = ".nbproof/review"


def check(
    project: Path,
    notebook: Path,
    settings: Settings,
    *,
    is_static: bool = False,
    tell: Tell = lambda _: None,
) -> Report:
    """Make the checks; without `is_static` the notebook is run, twice. What they said is kept for who decides."""
    project = project.resolve()
    name = relative(project, notebook.resolve())
    outcomes = static_outcomes(notebook, project, settings)
    bound = _bound(project, notebook, settings)
    if is_static:
        return Report(name, (*outcomes, *not_run(settings, "only the static checks were asked for")), bound)
    try:
        dynamic, metrics = dynamic_outcomes(notebook, project, settings, tell)
    except NbproofError as error:
        dynamic, metrics = not_run(settings, str(error)), ()
    # What it was when it was looked at is what was judged; an edit meanwhile belongs to nobody's verdict.
    is_same = _bound(project, notebook, settings) == bound
    report = Report(name, (*outcomes, *dynamic), bound if is_same else "", metrics)
    if report.bound:
        keep(project, report, settings)
    return report


def require_passing(project: Path, notebook: Path, settings: Settings) -> None:
    """Raise `ReviewRefused` when a check that only reads fails: nobody is asked about what cannot be approved."""
    report = check(project, notebook, settings, is_static=True)
    if report.failed:
        told = [f"{held.check.code}: {held.check.sentence}: not so" for held in report.failed]
        raise ReviewRefused(f"`{report.notebook}`", told, hint=f"nbproof review check --static {report.notebook}")


def keep(project: Path, report: Report, settings: Settings) -> None:
    """Keep what the checks said last."""
    told = {**report.to_json(), "held_to": dict(settings.review_thresholds)}
    content = json.dumps(told, indent=1, ensure_ascii=False).encode()
    write_atomically(_file(project, report.notebook), content)


def kept(project: Path, notebook: str, core: str, settings: Settings) -> dict[str, Any] | None:
    """What the checks said last, if they looked at what is there now, and held it to the thresholds of now."""
    try:
        found: dict[str, Any] = json.loads(_file(project, notebook).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not core:
        return None
    is_same = found.get("bound") == core and found.get("held_to") == dict(settings.review_thresholds)
    return found if is_same else None


def to_sign(
    project: Path, notebook: Path, settings: Settings, core: str
) -> tuple[tuple[Checked, ...], tuple[Measured, ...]]:
    """What a decision says of the checks: the static ones made now, the others as they were made last."""
    project = project.resolve()
    name = relative(project, notebook.resolve())
    checked = [
        Checked(held.check.code, held.severity, held.verdict, len(held.findings), held.reason)
        for held in static_outcomes(notebook, project, settings)
    ]
    last = kept(project, name, core, settings) or {}
    known = {one.code for one in checked}
    checked += [
        Checked(one["code"], one["severity"], one["verdict"], len(one["findings"]), one["reason"])
        for one in last.get("checks", ())
        if one["code"] not in known
    ]
    if not last:
        checked += [
            Checked(held.check.code, held.severity, held.verdict, 0, held.reason)
            for held in not_run(settings, "it has not been run for its review")
        ]
    measured = [
        Measured(one["name"], one["value"], one["threshold"], one["verdict"]) for one in last.get("metrics", ())
    ]
    return tuple(checked), tuple(measured)


def _bound(project: Path, notebook: Path, settings: Settings) -> str:
    """What is there now; "" where it cannot be told, for then nothing can be signed either."""
    try:
        return bind(project, notebook, lock=settings.review_lock).core.hex
    except NbproofError:
        return ""


def _file(project: Path, notebook: str) -> Path:
    return project / FOLDER / f"{ContentHash.of(notebook.encode()).short}.json"
