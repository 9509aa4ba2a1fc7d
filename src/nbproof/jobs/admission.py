"""Which packages may become jobs: whole ones, whose approval holds when they are submitted and when they start."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import NotApproved, PackageBroken
from ..export.packaging import approved, provenance
from ..export.verifying import standing
from ..review.gate import UnsafeBypass, note_bypass
from ..review.policy import FILE as REVIEWERS


@dataclass(frozen=True, slots=True)
class Admission:
    """A package as it was admitted: its folder, its name, the hash of its provenance, and who approved it.

    `is_draft` where nobody did, and somebody asked for it all the same.
    """

    folder: str
    name: str
    sha256: str
    approval: str
    is_draft: bool
    project: str


def admit(package: Path, *, project: Path, unsafe: UnsafeBypass | None = None) -> Admission:
    """Verify a package that is to be submitted.

    An `unsafe` bypass admits a draft, and stands in the ledger before anything is submitted. Raises `PackageBroken`,
    `ApprovalInvalid` or `NotApproved`.
    """
    package = package.resolve()
    found = _admitted(package, project)
    if found.is_draft and unsafe is None:
        raise NotApproved(
            package.name,
            "it is a draft, which nobody has approved",
            hint='nbproof review request NOTEBOOK, and export it once it is approved; or --unsafe-draft "why"',
        )
    return found


def note_draft(admission: Admission, unsafe: UnsafeBypass, *, target: str) -> None:
    """Write into the ledger of the project that a draft is submitted, by whom, and why."""
    content = provenance.read(Path(admission.folder)).content["notebook"]
    note_bypass(
        Path(admission.project),
        unsafe,
        doing=f"submit to {target} although it is a draft",
        notebook=Path(content["file"]).name,
        digest=content["digest"],
    )


def _admitted(package: Path, project: Path) -> Admission:
    # Who counts is said by the project that submits; where it says nothing, by what came along with the package.
    name, words = standing(package, project=project if (project / REVIEWERS).is_file() else None)
    return Admission(str(package), name, _sha256(package), words, words == approved.DRAFT, str(project.resolve()))


def verify_again(told: Mapping[str, Any]) -> None:
    """Verify a package where it starts: it must be what was submitted, and its approval must still hold.

    Nothing is verified of a job without a package. Raises `PackageBroken`, `ApprovalInvalid` or `NotApproved`.
    """
    if not told:
        return
    before = Admission(**told)
    package = Path(before.folder)
    if _sha256(package) != before.sha256:
        raise PackageBroken(package, ["another package lies there than was submitted"])
    if _admitted(package, Path(before.project)).is_draft and not before.is_draft:
        raise NotApproved(package.name, "it is a draft, and what was submitted was none")


def to_json(admission: Admission) -> dict[str, Any]:
    """What `verify_again` reads."""
    return asdict(admission)


def _sha256(package: Path) -> str:
    path = package / provenance.FILE
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PackageBroken(package, [f"no {provenance.FILE} ({error.strerror})"]) from None
