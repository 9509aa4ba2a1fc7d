"""The one door that everything passes which needs an approval: `export`, `submit`, `schedule`, `serve`, `score`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ReviewAskedWrongly
from .ledger import Ledger
from .names import problem_of_person
from .standing import Standing, require_approval, standing
from .statement import moment


@dataclass(frozen=True, slots=True)
class UnsafeBypass:
    """Somebody wants it without an approval, and says why; both are noted in the ledger for whoever looks later."""

    by: str
    why: str

    def __post_init__(self) -> None:
        problem = problem_of_person(self.by)
        if problem or not self.why.strip():
            raise ReviewAskedWrongly("an unsafe bypass", problem or "no reason", "who wants it, and why")


def let_pass(
    project: Path,
    notebook: Path,
    *,
    doing: str,
    lock: str | None = None,
    unsafe: UnsafeBypass | None = None,
) -> Standing:
    """Return the standing of a notebook that may be used for `doing` (the name of a command).

    Raises `NotApproved`, `ApprovalInvalid` or `LedgerBroken` unless it is approved. An `unsafe` bypass lets pass what
    is not approved and writes that down first; the standing that comes back still says that it is not approved.
    """
    if unsafe is None:
        return require_approval(project, notebook, lock=lock)
    found = standing(project, notebook, lock=lock)
    if not found.is_approved:
        _note(project, found, unsafe, doing)
    return found


def _note(project: Path, found: Standing, unsafe: UnsafeBypass, doing: str) -> None:
    binding = found.binding
    ledger = Ledger(project.resolve())
    with ledger.held() as entries:
        ledger.append(
            entries,
            at=moment(datetime.now(UTC)),
            kind="unsafe-bypass",
            notebook=found.notebook,
            digest=binding.digest.hex if binding else "",
            bound=binding.bound.hex if binding else "",
            by=unsafe.by,
            comment=f"{doing} although {found.state}: {unsafe.why.strip()}",
        )
