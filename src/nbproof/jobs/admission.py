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


def admit(package: Path, *, project: Path, allow_draft: bool) -> Admission:
    """Verify a package that is to be submitted. Raises `PackageBroken`, `ApprovalInvalid` or `NotApproved`."""
    package = package.resolve()
    name, words = standing(package, project=project)
    if words == approved.DRAFT and not allow_draft:
        raise NotApproved(
            package.name,
            "it is a draft, which nobody has approved",
            hint="nbproof review request NOTEBOOK, and export it once it is approved; or submit it with --unsafe-draft",
        )
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
    admit(package, project=Path(before.project), allow_draft=before.is_draft)


def to_json(admission: Admission) -> dict[str, Any]:
    """What `verify_again` reads."""
    return asdict(admission)


def _sha256(package: Path) -> str:
    path = package / provenance.FILE
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PackageBroken(package, [f"no {provenance.FILE} ({error.strerror})"]) from None
