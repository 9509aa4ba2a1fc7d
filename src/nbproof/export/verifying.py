"""A package verified anywhere: every file is what was written, the approval holds, and both still give the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NotEquivalent, NotExported, PackageBroken
from ..notebook import digest as digests
from ..notebook import document as documents
from ..notebook.document import Document
from ..records import ContentHash
from ..run.sources.distributions import installed
from .draft import notebook_runner
from .equivalence.compare import Compared
from .equivalence.proving import Pair, Proof, prove, unsteady_rows
from .packaging import approved, provenance
from .packaging.provenance import Provenance
from .reading import read
from .working import Needed, Working

_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Verified:
    """A package that holds. `notes` is what is not as it was when it was exported, and need not be."""

    name: str
    notebook: str
    digest: str
    approval: str
    proofs: tuple[Proof, ...]
    notes: tuple[str, ...]


def verify(
    package: Path,
    *,
    data: Path | None = None,
    project: Path | None = None,
    timeout_s: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Verified:
    """Verify a package. `data` is a folder that holds what did not come along, laid out as it was.

    Raises `PackageBroken` for files that are not what was written, `ApprovalInvalid` and `NotApproved` for an approval
    that does not hold (that of who counts in `project`, or else of who came along), and `NotEquivalent`.
    """
    found, document, digest = _whole(package)
    content = found.content
    approval = _standing(package, content, digest, project)
    needed = _needed(package, found, data)
    pair = _pair(package, found, document, needed)
    proofs: list[Proof] = []
    for row in content["equivalence"]:
        tell("runs package and notebook" + "".join(f", {name}={value!r}" for name, value in row["parameters"].items()))
        unsteady = unsteady_rows(proofs[0].equivalence) if proofs else ()
        values = row["parameters"]
        proofs.append(prove(pair, values, unsteady=unsteady, is_twice=not proofs, timeout_s=timeout_s))
    wrong = [_told(proof, row) for proof in proofs for row in proof.equivalence.wrong]
    if wrong:
        more = [f"and {len(wrong) - _MOST_TOLD} more"] if len(wrong) > _MOST_TOLD else []
        raise NotEquivalent(package, [*wrong[:_MOST_TOLD], *more])
    notes = [*_other_versions(content["environment"]["versions"]), *_other_values(content["equivalence"], proofs)]
    return Verified(found.name, document.path.name, digest.hex, approval, tuple(proofs), tuple(notes))


def standing(package: Path, *, project: Path | None = None) -> tuple[str, str]:
    """The name of a package and who approved it, or `approved.DRAFT`, without running anything of it.

    Raises `PackageBroken` for files that are not what was written, `ApprovalInvalid` and `NotApproved` as `verify`.
    """
    found, _, digest = _whole(package)
    return found.name, _standing(package, found.content, digest, project)


def _whole(package: Path) -> tuple[Provenance, Document, ContentHash]:
    """A package whose every file is what was written, its notebook, and that one's digest."""
    found = provenance.read(package)
    problems = list(provenance.problems(package, found))
    if problems:
        raise PackageBroken(package, problems)
    document = documents.read(package / found.content["notebook"]["file"])
    digest = digests.digest(document)
    if digest.hex != found.content["notebook"]["digest"]:
        raise PackageBroken(package, [f"its notebook has the digest {digest.short}"])
    return found, document, digest


def _standing(package: Path, content: Mapping[str, Any], digest: ContentHash, project: Path | None) -> str:
    if content["approval"]["state"] == approved.DRAFT:
        return approved.DRAFT
    return approved.check(package, content["approval"], digest, project=project)


def _needed(package: Path, found: Provenance, data: Path | None) -> Working:
    """What the runs need, from the package itself, and from `data` what did not come along."""
    told = found.content["working"]
    own = package.resolve() / "src" / found.name / "_data"
    held: list[Needed] = []
    problems: list[str] = []
    for each in told["data"]:
        source = (own if each["along"] else data.resolve() if data else own) / each["path"]
        held.append(Needed(each["path"], source, each["sha256"], each["size"]))
        problems += _problem(each, source, "" if each["along"] or data else ", which did not come along: --data DIR")
    for each in told["elsewhere"]:
        problems += _problem(each, Path(each["path"]), "")
    if problems:
        raise PackageBroken(package, problems)
    modules = [
        (each["name"], Needed(each["path"], package.resolve() / each["file"], each["sha256"], each["size"]))
        for each in told["modules"]
    ]
    return Working(own, told["folder"], tuple(held), tuple(modules), tuple(told["folders"]))


def _problem(told: Mapping[str, Any], source: Path, how: str) -> Iterator[str]:
    if not source.is_file():
        yield f"the data `{told['path']}` is not there{how}"
        return
    with source.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != told["sha256"]:
            yield f"the data `{told['path']}` changed"


def _pair(package: Path, found: Provenance, document: Document, needed: Working) -> Pair:
    held = {each.path: each.source for each in needed.data}

    def find(name: str) -> Path:
        path = os.path.normpath(f"{needed.folder}/{name}")
        return held.get(path, needed.root / path)

    reading = read(document, find)
    if reading.refusals:
        raise NotExported(document.path, [str(refusal) for refusal in reading.refusals])
    within = f"src/{found.name}/"
    sources = {
        name.removeprefix(within): (package / name).read_bytes() for name in found.files if name.startswith(within)
    }
    return Pair(reading, needed, found.name, sources, notebook_runner(reading), is_apart=False)


def _told(proof: Proof, row: Compared) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in proof.parameters.items())
    sides = f" ({row.notebook or 'nothing'}; in the package {row.package or 'nothing'})" if row.package else ""
    return f"the {row.what} `{row.name}` {row.verdict}{sides}" + (f" with {values}" if values else "")


def _other_versions(versions: Mapping[str, str]) -> Iterator[str]:
    here = installed()
    other = [f"{name} {here.get(name, 'is not installed')}, not {version}" for name, version in versions.items()
             if here.get(name) != version]  # fmt: skip
    if other:
        yield f"this is not the environment of the export: {'; '.join(other)}"


def _other_values(recorded: Sequence[Mapping[str, Any]], proofs: Sequence[Proof]) -> Iterator[str]:
    """Values that package and notebook agree on here, and that are not those of the export."""
    changed = []
    for before, now in zip(recorded, proofs, strict=True):
        was = {(row["what"], row["name"]): row.get("digest") for row in before["rows"]}
        steady = [row for row in now.equivalence.rows if row.verdict == "equal" and row.digest]
        changed += [row.name for row in steady if was.get((row.what, row.name)) not in (None, row.digest)]
    if changed:
        named = ", ".join(changed[:_MOST_TOLD])
        yield f"package and notebook agree, and yet on other values than at the export: {named}"
