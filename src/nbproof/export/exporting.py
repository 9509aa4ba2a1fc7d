"""The whole way from a notebook to a package in its folder: approved, proven equal, and put in place at once."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import NotApproved, NotExported
from ..notebook import digest as digests
from ..notebook import document as documents
from ..records import ContentHash
from ..run.sources import environment
from .draft import SHAPES, Draft, draft, may_run_beside, notebook_runner
from .equivalence.compare import Compared, tally
from .equivalence.proving import Pair, Proof, prove_others
from .golden.coverage import Coverage
from .golden.writing import TESTS, write_tests
from .packaging import approved, folder, provenance
from .packaging.naming import check_name, package_name
from .packaging.readme import readme
from .packaging.requirements import Requirements, requirements
from .packaging.writing import Described, bare, described, plain, project, sources
from .reading import Reading
from .shaping.package import Shape, Shaped
from .working import Needed, Working, vendored

EXPORTS = "exports"
OTHERS_S = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What an export is asked for.

    `others_s` is how long other values of the parameters are compared. The notebook works in `folder`, else in its own.
    """

    project: Path
    notebook: Path
    out: Path | None = None
    name: str | None = None
    is_draft: bool = False
    lock: str | None = None
    parameters: Mapping[str, Any] | None = None
    timeout_s: float | None = None
    others_s: float = OTHERS_S
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it: where the package lies, what was compared, and how long each part took."""

    folder: Path
    name: str
    shape: Shape
    is_draft: bool
    standing: str
    proofs: tuple[Proof, ...]
    passed_over: tuple[str, ...]
    seconds: Mapping[str, float]
    coverage: Coverage = field(default_factory=Coverage)


def export(asked: Asked, *, tell: Callable[[str], None] = lambda _: None) -> Exported:
    """Export a notebook.

    Raises `NotApproved` where nobody has approved it and no draft was asked for, `NotExported` with every reason, and
    what the folder itself stands against it: `AskedWrongly`, `HandEdited`, `Unwritable`.
    """
    began = time.monotonic()
    document = documents.read(asked.notebook)
    agreed = None if asked.is_draft else _approved(asked, digests.digest(document))
    name = _name(asked)
    target = (asked.out or asked.project / EXPORTS).resolve() / name
    folder.check_free(target)
    about = functools.partial(described, name, document=document, approved_by=agreed.people if agreed else "")

    def complete(reading: Reading, shaped: Shaped, needed: Working) -> Mapping[str, bytes]:
        made = sources(about(shaped), reading, shaped, needed)
        within = f"src/{name}/"
        merged = folder.kept(target, made, below=within)
        return {path.removeprefix(within): content for path, content in merged.items()}

    proven, proofs = _proven(asked, name, complete, tell)
    if agreed:
        # What such a notebook does is no part of what was signed for the one that runs it.
        for ran in proven.reading.runs:
            if ran.path.suffix == ".ipynb":
                approved.approval(asked.project, ran.path, asked.lock)
    told_s = time.monotonic() - began
    with folder.staged(target) as place:
        assert proven.first.loaded is not None
        told = about(proven.shaped)
        required = requirements(proven.reading, proven.first.loaded)
        files = {f"src/{name}/{path}": content for path, content in proven.sources.items()}
        tell("records what each step does, for the tests of the package")
        coverage = _tested(proven, place, files, asked.timeout_s)
        files |= {f"notebook/{document.path.name}": bare(document), **project(told, required, coverage.needs)}
        files |= dict(agreed.files) if agreed else {}
        compared = [(proof.parameters, proof.equivalence.rows) for proof in proofs]
        text = readme(told, proven.reading, proven.needed, proven.shape, compared)
        files["README.md"] = text.encode()
        # Those were run with what was kept in them.
        files = folder.kept(target, files, but=f"src/{name}/")
        files[provenance.FILE] = provenance.spelled(
            _provenance(told, proven, proofs, required, agreed, coverage, files)
        )
        for path, content in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        if agreed:
            # Whoever changed anything meanwhile has changed what was approved.
            _approved(asked, agreed.digest)
        folder.put_in_place(place, target)
    own_s = sum(cell.seconds for cell in proven.first.cells)
    took = {"notebook": own_s, "proof": told_s, "all": time.monotonic() - began}
    return Exported(
        target, name, proven.shape, asked.is_draft, told.standing, tuple(proofs), proven.passed_over, took, coverage
    )


def _tested(proven: Draft, place: Path, files: dict[str, bytes], timeout_s: float | None) -> Coverage:
    """Add the tests of the package to its `files`; what they cover comes back."""
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    coverage = write_tests(proven, place, timeout_s=timeout_s)
    for path in sorted((place / TESTS).rglob("*")):
        if path.is_file():
            files[path.relative_to(place).as_posix()] = path.read_bytes()
    return coverage


def _approved(asked: Asked, digest: ContentHash) -> approved.Approved:
    found = approved.approval(asked.project, asked.notebook, asked.lock)
    if found.digest != digest:
        raise NotApproved(asked.notebook.name, f"it changed while it was exported: {digest.short} is approved no more")
    return found


def _name(asked: Asked) -> str:
    if asked.name is not None:
        return check_name(asked.name, asked.notebook) + ("_draft" if asked.is_draft else "")
    return package_name(asked.notebook, is_draft=asked.is_draft)


def _proven(
    asked: Asked,
    name: str,
    complete: Callable[[Reading, Shaped, Working], Mapping[str, bytes]],
    tell: Callable[[str], None],
) -> tuple[Draft, list[Proof]]:
    """The most pleasant shape that is equal with the values asked for, and with others, too."""
    shapes = SHAPES
    while True:
        made = draft(
            asked.notebook, parameters=asked.parameters, timeout_s=asked.timeout_s, name=name, complete=complete,
            shapes=shapes, checks_types=True, folder=asked.folder, tell=tell,
        )  # fmt: skip
        own_s = sum(cell.seconds for cell in made.first.cells)
        others = prove_others(
            _pair(made, name), made.parameters, made.equivalence, own_s=own_s, seconds=asked.others_s, tell=tell
        )
        wrong = [proof for proof in others if not proof.equivalence.holds]
        if not wrong:
            return made, [Proof(made.parameters, made.equivalence), *others]
        reasons = [*made.passed_over, f"as {made.shape}, with {dict(wrong[0].parameters)}: {_first(wrong[0])}"]
        shapes = shapes[shapes.index(made.shape) + 1 :]
        if not shapes:
            raise NotExported(asked.notebook, reasons)
        tell(reasons[-1])


def _pair(made: Draft, name: str) -> Pair:
    return Pair(
        made.reading, made.needed, name, made.sources, notebook_runner(made.reading),
        may_run_beside(made.first, made.needed),
    )  # fmt: skip


def _first(proof: Proof) -> str:
    row = proof.equivalence.wrong[0]
    return f"the {row.what} `{row.name}` {row.verdict} ({row.notebook or 'nothing'}; in the package {row.package})"


def _provenance(
    told: Described,
    proven: Draft,
    proofs: Sequence[Proof],
    required: Requirements,
    agreed: approved.Approved | None,
    coverage: Coverage,
    files: Mapping[str, bytes],
) -> dict[str, Any]:
    """Everything that `nbproof verify` asks for, and whoever wants to know what was done."""
    reading, needed, loaded = proven.reading, proven.needed, proven.first.loaded
    assert loaded is not None
    along = {held.path for held in needed.along}
    return {
        "name": told.name,
        "title": told.title,
        "made_by": told.generator,
        "notebook": {
            "file": f"notebook/{told.notebook}",
            "digest": told.digest,
            "runs": [{"name": ran.name, "sha256": ran.digest} for ran in reading.runs],
        },
        "approval": {
            "state": agreed.sentence if agreed else approved.DRAFT,
            "decisions": list(agreed.decisions) if agreed else [],
        },
        "environment": {
            "lock": environment.own().lock.hex,
            "interpreter": loaded.interpreter,
            "python": required.python,
            "versions": dict(loaded.versions),
        },
        "working": {
            "folder": needed.folder,
            "folders": list(needed.folders),
            "data": [{**_file(held), "along": held.path in along} for held in needed.data],
            "elsewhere": [_file(held) for held in needed.elsewhere],
            "modules": [
                {**_file(held), "name": name, "file": f"src/{told.name}/_modules/{vendored(name, held)}"}
                for name, held in needed.modules
            ],
        },
        "shape": proven.shape,
        "passed_over": list(proven.passed_over),
        "notes": [
            {"cell": cell, "place": reading.place(cell), "line": note.line, "text": note.text}
            for cell, note in reading.notes
        ],
        "equivalence": [
            {
                "parameters": plain(dict(proof.parameters)),
                "counts": tally(proof.equivalence.rows),
                "rows": [_row(row) for row in proof.equivalence.rows],
            }
            for proof in proofs
        ],
        "tests": coverage.told(),
        "files": {path: hashlib.sha256(content).hexdigest() for path, content in files.items()},
        "kept": dict(_kept(files)),
    }


def _file(held: Needed) -> dict[str, Any]:
    return {"path": held.path, "sha256": held.digest, "size": held.size}


def _row(row: Compared) -> dict[str, str]:
    told = {"what": row.what, "name": row.name, "verdict": row.verdict, "digest": row.digest}
    return {name: value for name, value in told.items() if value}


def _kept(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Of each file with places that are kept by hand, the hash of the rest."""
    for path, content in files.items():
        if folder.KEEP.encode() in content:
            rest = folder.without_kept(content.decode())
            yield path, hashlib.sha256(rest.encode()).hexdigest()
