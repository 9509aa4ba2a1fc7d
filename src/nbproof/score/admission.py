"""Which models may score: those whose bytes somebody who counts has approved, or a draft that is asked for by name.

What is loaded is a copy that nobody else writes to, and its hash is the one that the approval covers.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelUnusable, NotApproved, ScoreRefused
from ..explain.torch_files import is_weights
from ..export.packaging import provenance
from ..records import ContentHash
from ..review.gate import UnsafeBypass, let_pass_model
from ..run.sources.hashes import content_hash
from ..serve.package import MANIFEST
from .writing import storing

DOING = "score"
# Reading one of these carries out what its writer wrote; so does a `.pt` that holds more than weights.
_CODE = (".pkl", ".pickle", ".joblib", ".pt2")
_MAYBE_CODE = (".pt", ".pth", ".bin")
_PLAIN = "skops, safetensors, weights with --module, or the own formats of XGBoost, LightGBM, CatBoost or Keras"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A model as it was admitted. `words` say who approved it; `is_draft` where nobody did."""

    name: str
    sha256: str
    words: str
    is_draft: bool


def is_exported(model: Path) -> bool:
    """Whether it is a package that `nbproof export` made."""
    return (model / provenance.FILE).is_file()


def is_packaged(model: Path) -> bool:
    """Whether it is a model in a folder with its manifest and its signature."""
    return (model / MANIFEST).is_file()


def is_code(file: Path) -> bool:
    """Whether reading the file can run what its writer wrote."""
    suffix = file.suffix.lower()
    return suffix in _CODE or (suffix in _MAYBE_CODE and not is_weights(file))


@contextmanager
def copied(model: Path) -> Iterator[Path]:
    """A copy of a model, a file or a folder, as long as the block runs."""
    if not model.exists():
        raise ModelUnusable(f"`{model}`", "nothing there", "a model, or an exported package", hint=f"ls {model.parent}")
    with tempfile.TemporaryDirectory(prefix="nbproof-score-") as folder:
        copy = Path(folder) / model.name
        with storing():
            if model.is_dir():
                shutil.copytree(model, copy)
            else:
                shutil.copyfile(model, copy)
        yield copy


def admit(copy: Path, model: Path, *, project: Path, unsafe: UnsafeBypass | None, is_again: bool = False) -> Admitted:
    """Return who approved the model that `copy` was made of.

    An `unsafe` bypass admits what nobody approved, unless reading it could run code, and stands in the ledger before
    anything is loaded; `is_again` where it stands there already. Raises `NotApproved`, `ApprovalInvalid`,
    `LedgerBroken` or `ScoreRefused`.
    """
    digest = content_hash(copy)
    assert digest is not None
    name = told(model, project)
    if unsafe is None or is_again or is_code(copy):
        try:
            return _approved(project, name, digest)
        except NotApproved as error:
            if unsafe is None:
                raise
            if is_code(copy):
                raise ScoreRefused(
                    f"`{name}`", f"a {copy.suffix} file, which can run any code when it is read, and {error.found}",
                    f"an approval of its content, or {_PLAIN}",
                ) from None  # fmt: skip
            return Admitted(name, digest.hex, _unapproved(unsafe), True)
    cover = let_pass_model(project, name, digest, doing=DOING, unsafe=unsafe)
    if cover is None:
        return Admitted(name, digest.hex, _unapproved(unsafe), True)
    return Admitted(name, digest.hex, cover.sentence, False)


def admit_package(
    package: Path, *, project: Path, unsafe: UnsafeBypass | None, is_again: bool = False
) -> tuple[Admitted, str]:
    """The same for an exported package, with the name that it is imported by. Raises what `jobs.admission` does."""
    # The converter comes along with it, which a model that is no package needs not.
    from ..jobs import admission as packages

    found = packages.admit(package, project=project, unsafe=unsafe)
    if found.is_draft and unsafe is not None and not is_again:
        packages.note_draft(found, unsafe, target="score")
    words = _unapproved(unsafe) if found.is_draft and unsafe is not None else found.approval
    return Admitted(told(package, project), found.sha256, words, found.is_draft), found.name


def told(path: Path, project: Path) -> str:
    """A path as the project calls it."""
    place, root = path.resolve(), project.resolve()
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else place.name


def _approved(project: Path, name: str, digest: ContentHash) -> Admitted:
    cover = let_pass_model(project, name, digest, doing=DOING)
    assert cover is not None
    return Admitted(name, digest.hex, cover.sentence, False)


def _unapproved(unsafe: UnsafeBypass) -> str:
    return f"a draft that nobody approved; {unsafe.by} scores it: {unsafe.why.strip()}"
