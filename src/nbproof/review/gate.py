"""The one door that everything passes which needs an approval: `export`, `submit`, `schedule`, `serve`, `score`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import NotApproved, ReviewAskedWrongly
from ..records import ContentHash
from .covering import Cover, require_cover
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
        binding = found.binding
        note_bypass(
            project,
            unsafe,
            doing=f"{doing} although {found.state}",
            notebook=found.notebook,
            digest=binding.digest.hex if binding else "",
            bound=binding.bound.hex if binding else "",
        )
    return found


def let_pass_model(
    project: Path, model: str, digest: ContentHash, *, doing: str, unsafe: UnsafeBypass | None = None
) -> Cover | None:
    """Return who approved the model with this content hash, which may be used for `doing`; None for a bypass.

    `model` names it to people; its hash is that of a file, or of a folder as `run.sources.hashes` takes it. Raises
    `NotApproved`, `ApprovalInvalid` or `LedgerBroken` unless it is approved; an `unsafe` bypass is written down first.
    """
    try:
        return require_cover(project, model, digest)
    except NotApproved as error:
        if unsafe is None:
            raise
        doing = f"{doing} although not approved: {error.found}"
        note_bypass(project, unsafe, doing=doing, notebook=model, digest=digest.hex)
        return None


def note_bypass(
    project: Path, unsafe: UnsafeBypass, *, doing: str, notebook: str, digest: str, bound: str = ""
) -> None:
    """Write into the ledger that somebody did something with a notebook that nobody has approved."""
    ledger = Ledger(project.resolve())
    with ledger.held() as entries:
        ledger.append(
            entries,
            at=moment(datetime.now(UTC)),
            kind="unsafe-bypass",
            notebook=notebook,
            digest=digest,
            bound=bound,
            by=unsafe.by,
            comment=f"{doing}: {unsafe.why.strip()}",
        )
