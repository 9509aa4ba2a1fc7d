"""The review of a notebook, for its panel: how it stands, what the checks find, decisions, and what is made of a yes.

What is signed is what lies on the server's disk, with the key that its settings name; the page only says what its
reader saw, and is refused when that is not what is there.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ..errors import NbproofError, RequestInvalid, ReviewRefused
from .doors import Asked, Route

LONGEST_COMMENT = 4000
MOST_CONDITIONS, MOST_JOBS = 50, 30

_busy: set[Path] = set()
_lock = threading.Lock()


def state(asked: Asked) -> dict[str, Any]:
    """How the notebook `path` stands, what the checks find, and who would decide here."""
    from ..review.binding import relative
    from ..review.checking import kept
    from ..review.checks.findings import Report
    from ..review.checks.rerun import not_run
    from ..review.checks.static import static_outcomes
    from ..review.standing import standing
    from ..review.telling import standing_to_json

    notebook, project = asked.file(), asked.project
    name = relative(project.root.resolve(), notebook)
    settings = project.settings
    found = standing(project.root, notebook, lock=settings.review_lock)
    last = kept(project.root, name, found.binding.core.hex, settings) if found.binding else None
    read = Report(name, static_outcomes(notebook, project.root, settings)).to_json()["checks"]
    ran = [one for one in (last or {}).get("checks", ()) if one["code"] not in {held["code"] for held in read}]
    missing = Report(name, not_run(settings, "it has not been run for its review")).to_json()["checks"]
    return {
        **standing_to_json(found),
        "checks": [*read, *(ran or missing)],
        "metrics": (last or {}).get("metrics", []),
        "checking": notebook in _busy,
        "package": package.name if (package := _package(project.root, notebook)) else None,
        "asker": _said(lambda: _asker(asked)),
        "signer": _said(lambda: _signer(asked).name),
    }


def difference(asked: Asked) -> dict[str, Any]:
    """What changed since the last approval; null where there never was one."""
    from ..review.against import against_last
    from ..review.difference import to_json
    from ..review.standing import standing

    notebook, project = asked.file(), asked.project
    found = standing(project.root, notebook, lock=project.settings.review_lock)
    last = against_last(project.root, notebook, found)
    if last is None or found.last is None:
        return {"difference": None, "since": None}
    return {"difference": to_json(last), "since": found.last.approval.at}


def check(asked: Asked) -> dict[str, Any]:
    """Begin to run the notebook for its review, twice; open pages hear how it goes."""
    notebook, project = asked.file(), asked.project

    def work(tell: Callable[[str], None]) -> str:
        from ..review.checking import check as check_one

        report = check_one(project.root, notebook, project.settings, tell=tell)
        return "" if report.bound else "it changed while it was checked, or nothing can be bound"

    return _begin(asked, work)


def export(asked: Asked) -> dict[str, Any]:
    """Begin to export the notebook, which is refused unless it is approved; open pages hear how it goes."""
    notebook, project = asked.file(), asked.project

    def work(tell: Callable[[str], None]) -> str:
        from ..export.exporting import Asked as Wanted
        from ..export.exporting import export as export_one

        export_one(Wanted(project.root, notebook, lock=project.settings.review_lock), tell=tell)
        return ""

    return _begin(asked, work)


def submit(asked: Asked) -> dict[str, Any]:
    """Submit the package that the notebook was exported to, with its own defaults, to the target that is named."""
    from ..jobs import submitting
    from ..jobs.submitting import Asked as Wanted

    root, path = asked.project.root, asked.text("path")
    package = _package(root, asked.file())
    if package is None:
        raise ReviewRefused(f"`{path}`", ["it has not been exported"], hint=f"nbproof export {path}")
    job, admitted = submitting.prepared(package, Wanted(parameters={}), project=root)
    return {"id": submitting.submit(job, admitted, asked.text("target"), project=root).id}


def jobs(asked: Asked) -> list[dict[str, Any]]:
    """The newest jobs of the project, and how they stand."""
    from ..jobs import place, standing

    found = [standing.of(each) for each in itertools.islice(place.all_of(asked.project.root), MOST_JOBS)]
    return [
        {"id": one.id, "target": one.target, "state": one.state, "done": one.counted().get("done", 0),
         "size": len(one.elements), "at": one.at, "note": one.note}
        for one in found
    ]  # fmt: skip


def _package(root: Path, notebook: Path) -> Path | None:
    """The folder that a notebook was exported to, approved; None where there is none."""
    from ..export.exporting import EXPORTS
    from ..export.packaging import provenance
    from ..export.packaging.naming import package_name

    folder = root / EXPORTS / package_name(notebook)
    return folder if (folder / provenance.FILE).is_file() else None


def _begin(asked: Asked, work: Callable[[Callable[[str], None]], str]) -> dict[str, Any]:
    """Do something with a notebook that takes its time, once at a time; `work` says what came in its way."""
    notebook, path = asked.file(), asked.text("path")
    with _lock:
        if notebook in _busy:
            raise ReviewRefused(f"`{path}`", ["it is being checked or exported"], hint="wait until it is done")
        _busy.add(notebook)

    def tell(said: str, **more: Any) -> None:
        asked.server.tell("review", {"path": path, "doing": said, **more})

    def carry_out() -> None:
        problem = ""
        try:
            problem = work(tell)
        except NbproofError as error:
            problem = f"{error}. {error.hint}" if error.hint else str(error)
        except Exception as error:
            # Whatever happens, the page must not wait for ever.
            problem = f"{type(error).__name__}: {error}"
        finally:
            with _lock:
                _busy.discard(notebook)
            tell("", done=True, problem=problem[:2000])

    threading.Thread(target=carry_out, name="nbproof-review", daemon=True).start()
    return {"started": True}


def request(asked: Asked) -> dict[str, Any]:
    """Ask for a review of what was seen."""
    from ..review.checking import require_passing
    from ..review.deciding import request as ask
    from ..review.identity import asker
    from ..review.standing import standing

    notebook, project = asked.file(), asked.project
    settings = project.settings
    by, key = asker(project.root, settings, asked.user)
    require_passing(project.root, notebook, settings)
    found = standing(project.root, notebook, lock=settings.review_lock)
    files = found.binding.files if found.binding else {}
    ask(
        project.root,
        notebook,
        by=by,
        key=key,
        lock=settings.review_lock,
        files=files,
        comment=_comment(asked),
        seen=_seen(asked),
    )
    return state(asked)


def approve(asked: Asked) -> dict[str, Any]:
    """Sign that what was seen is good, perhaps with conditions."""
    conditions = _conditions(asked.body)
    return _decide(asked, "approved-with-conditions" if conditions else "approved", conditions)


def reject(asked: Asked) -> dict[str, Any]:
    """Sign that what was seen is not good."""
    return _decide(asked, "rejected", ())


def _decide(asked: Asked, decision: Any, conditions: tuple[tuple[str, str | None], ...]) -> dict[str, Any]:
    from ..review.binding import bind
    from ..review.checking import to_sign
    from ..review.deciding import Verdict, decide
    from ..review.statement import Condition

    notebook, project, seen, comment = asked.file(), asked.project, _seen(asked), _comment(asked)
    settings = project.settings
    signer = _signer(asked)
    core = bind(project.root, notebook, lock=settings.review_lock).core.hex
    checks, metrics = to_sign(project.root, notebook, settings, core)
    asked_for = tuple(Condition(text, due) for text, due in conditions)
    verdict = Verdict(decision=decision, conditions=asked_for, comment=comment, bound=seen)
    decide(project.root, notebook, verdict, signer.key, lock=settings.review_lock, checks=checks, metrics=metrics)
    return state(asked)


def _asker(asked: Asked) -> str:
    from ..review.identity import asker

    return asker(asked.project.root, asked.project.settings, asked.user)[0]


def _signer(asked: Asked) -> Any:
    from ..review.identity import signer

    project = asked.project
    return signer(project.root, project.settings, asked.user)


def _said(who: Any) -> dict[str, str]:
    """Who it is, or why nobody is."""
    try:
        return {"name": who(), "reason": "", "hint": ""}
    except NbproofError as error:
        return {"name": "", "reason": str(error), "hint": error.hint}


def _seen(asked: Asked) -> str:
    """The hash of what the reader of the page saw; without it nothing is signed."""
    seen = asked.text("bound")
    if len(seen) != 64:
        raise RequestInvalid("bound", repr(seen)[:80], "the hash of what was seen")
    return seen


def _comment(asked: Asked) -> str:
    comment = asked.text("comment", "")
    if len(comment) > LONGEST_COMMENT:
        raise RequestInvalid("comment", f"{len(comment)} characters", f"at most {LONGEST_COMMENT}")
    return comment


def _conditions(body: Mapping[str, Any]) -> tuple[tuple[str, str | None], ...]:
    found = body.get("conditions", [])
    if not isinstance(found, list) or len(found) > MOST_CONDITIONS:
        raise RequestInvalid("conditions", type(found).__name__, f"a list of at most {MOST_CONDITIONS}")
    return tuple(_condition(one) for one in found)


def _condition(found: Any) -> tuple[str, str | None]:
    text = found.get("text") if isinstance(found, dict) else None
    due = found.get("due") if isinstance(found, dict) else None
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_COMMENT:
        raise RequestInvalid("a condition", repr(found)[:80], "words")
    try:
        return text.strip(), None if not due else date.fromisoformat(due).isoformat()
    except (TypeError, ValueError):
        raise RequestInvalid("a condition", repr(due)[:40], "a date, as 2027-01-31") from None


ROUTES = (
    Route("review", get=state),
    Route("review/diff", get=difference),
    Route("review/check", post=check),
    Route("review/request", post=request),
    Route("review/approve", post=approve),
    Route("review/reject", post=reject),
    Route("review/export", post=export),
    Route("review/submit", post=submit),
    Route("jobs", get=jobs),
)
