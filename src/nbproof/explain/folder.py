"""Explanations as a folder of plain files: arrays and JSON, each named by its hash; no pickle, neither in nor out."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnusable, ExplanationRefused, Unwritable
from ..files import sync_folder, write_atomically
from ..records import ContentHash
from .auditing import Audit
from .explanation import Cost, Explanation, Origins, Surrogate

MANIFEST = "manifest.json"
FORMAT = "nbproof.explanation"
VERSION = 1
FILES = ("shap.npz", "lime.npz", "audit.json")
# What decides the numbers; the manifest says which versions made them.
LIBRARIES = (
    "catboost",
    "keras",
    "lightgbm",
    "lime",
    "nbproof",
    "numpy",
    "scikit-learn",
    "scipy",
    "shap",
    "torch",
    "xgboost",
)
LARGEST_MANIFEST = 64 * 2**20
# Of a surrogate, what is an array.
PARTS = tuple(each.name for each in fields(Surrogate) if each.name != "bin_names")
SURROGATE = "surrogate."


class Writable(Protocol):
    """An audit, as JSON data."""

    def written(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What a folder holds: explanations by both methods of the same rows, and what the audit says of them."""

    shap: Explanation | None = None
    lime: Explanation | None = None
    audit: Audit | None = None


def save(
    folder: Path, *, shap: Explanation | None = None, lime: Explanation | None = None, audit: Writable | None = None
) -> None:
    """Write `manifest.json` and what there is of `shap.npz`, `lime.npz` and `audit.json` to `folder`.

    The manifest comes last and names the others by their hashes, so a reader finds what was there before, or the new,
    or refuses; never a mixture. Other files in the folder are left alone.

    Raises `ValueError` when there is nothing to save, `Unwritable` where the folder cannot be written.
    """
    if shap is None and lime is None and audit is None:
        raise ValueError("nothing to save: neither an explanation nor an audit")
    explanations = {name: each for name, each in (("shap", shap), ("lime", lime)) if each is not None}
    files = {f"{name}.npz": _arrays_of(each) for name, each in explanations.items()}
    if audit is not None:
        files["audit.json"] = _as_json(audit.written())
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "files": {name: {"bytes": len(held), "sha256": ContentHash.of(held).hex} for name, held in files.items()},
        "explanations": {name: _facts_of(each) for name, each in explanations.items()},
        "libraries": _libraries(),
    }
    manifest["sha256"] = _digest(manifest)
    try:
        for name, content in files.items():
            write_atomically(folder / name, content)
        write_atomically(folder / MANIFEST, _as_json(manifest))
        for name in set(FILES) - set(files):
            (folder / name).unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise Unwritable(folder, error.strerror or str(error)) from error


def load(folder: Path) -> Kept:
    """What `save` wrote to `folder`.

    Raises `ExplanationRefused`, naming the file, for one that is missing, cut short, changed, or not nbproof's.
    """
    manifest = _manifest(folder)
    held: dict[str, Explanation] = {}
    for name, facts in manifest["explanations"].items():
        content = _checked(folder, manifest, f"{name}.npz")
        try:
            held[name] = _explanation(facts, _read_arrays(content))
        except (KeyError, TypeError, ValueError, IndexError, zipfile.BadZipFile, EOFError) as error:
            raise _refused(folder / f"{name}.npz", f"arrays that are no explanation ({error})") from error
    audit = None
    if "audit.json" in manifest["files"]:
        content = _checked(folder, manifest, "audit.json")
        try:
            audit = Audit.read(json.loads(content))
        except (KeyError, TypeError, ValueError, AttributeError, DataUnusable) as error:
            raise _refused(folder / "audit.json", f"no audit ({error})") from error
    return Kept(held.get("shap"), held.get("lime"), audit)


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, checked against its own hash."""
    file = folder / MANIFEST
    content = _bytes(file, LARGEST_MANIFEST)
    try:
        found = json.loads(content)
    except ValueError as error:
        raise _refused(file, f"no JSON ({error})") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _refused(file, "a file that nbproof did not write")
    if found.get("version") != VERSION:
        raise _refused(file, f"version {found.get('version')!r}", f"version {VERSION}")
    if found.pop("sha256", None) != _digest(found):
        raise _refused(file, "a manifest that was changed after it was written")
    return found


def _checked(folder: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """The content of a file, if it is the one that the manifest names."""
    expected = manifest["files"].get(name)
    if expected is None:
        raise _refused(folder / MANIFEST, f"no hash of {name}")
    content = _bytes(folder / name, expected["bytes"])
    found = ContentHash.of(content)
    if len(content) != expected["bytes"] or found.hex != expected["sha256"]:
        raise _refused(
            folder / name,
            f"{len(content)} bytes with {found.short}…",
            f"{expected['bytes']} bytes with {expected['sha256'][:12]}…, as in {MANIFEST}",
        )
    return content


def _bytes(file: Path, most: int) -> bytes:
    """The content of a file; of one that is too long only so much that this can be seen."""
    try:
        with file.open("rb") as opened:
            return opened.read(most + 1)
    except OSError as error:
        raise _refused(file, f"no file that can be read ({error.strerror})") from error


def _refused(file: Path, found: str, expected: str = "what nbproof.explain wrote") -> ExplanationRefused:
    return ExplanationRefused(f"`{file}`", found, expected, hint="explain again, and save to an empty folder")


def _facts_of(made: Explanation) -> dict[str, Any]:
    """What an explanation says besides its arrays, as JSON data."""
    origins = {f"{each.name}_sha256": getattr(made.origins, each.name) for each in fields(Origins)}
    return {
        "shape": list(made.shape),
        "feature_names": list(made.feature_names),
        "feature_units": list(made.feature_units),
        "output_names": list(made.output_names),
        "complement": made.complement,
        "unit": made.unit,
        "method": made.method,
        "is_exact": made.is_exact,
        "seed": made.seed,
        "settings": dict(made.settings),
        "notes": list(made.notes),
        "cost": {each.name: getattr(made.cost, each.name) for each in fields(Cost)},
        "origins": {name: None if found is None else found.hex for name, found in origins.items()},
        "bin_names": None if made.surrogate is None else [list(names) for names in made.surrogate.bin_names],
    }


def _arrays_of(made: Explanation) -> bytes:
    """The arrays of an explanation as an `.npz`: the same bytes for the same explanation."""
    arrays: dict[str, NDArray[Any]] = {"values": made.values, "base": made.base, "prediction": made.prediction}
    arrays.update(_data_arrays(made.data))
    if made.error is not None:
        arrays["error"] = made.error
    if made.surrogate is not None:
        arrays.update({SURROGATE + name: getattr(made.surrogate, name) for name in PARTS})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for name, array in arrays.items():
            # Dated 1980, so that one content has one spelling.
            member = zipfile.ZipInfo(f"{name}.npy")
            with packed.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()


def _data_arrays(data: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Numbers as they are; of a table with text in it the numbers, the texts in JSON, and which is where."""
    if data.dtype != object:
        return {"data": data}
    numbers = np.full(data.shape, np.nan)
    codes = np.full(data.shape, -1, dtype=np.int32)
    listed: dict[tuple[type, Any], int] = {}
    for at, each in np.ndenumerate(data):
        value = each.item() if isinstance(each, np.generic) else each
        if isinstance(value, float):
            numbers[at] = value
        elif value is None or isinstance(value, str | bool | int):
            codes[at] = listed.setdefault((type(value), value), len(listed))
        else:
            raise ValueError(f"the data hold a {type(value).__name__}, which is neither a number nor text")
    texts = json.dumps([value for _, value in listed]).encode()
    return {"data": numbers, "data_codes": codes, "data_texts": np.frombuffer(texts, dtype=np.uint8)}


def _read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as opened:
        # What is stored as it is cannot grow when it is read.
        if any(each.compress_type != zipfile.ZIP_STORED for each in opened.zip.infolist()):
            raise ValueError("compressed arrays")
        return {name: opened[name] for name in opened.files}


def _explanation(facts: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> Explanation:
    data = arrays.pop("data")
    if "data_codes" in arrays:
        codes, texts = arrays.pop("data_codes"), json.loads(arrays.pop("data_texts").tobytes())
        data = data.astype(object)
        for at in zip(*np.nonzero(codes >= 0), strict=True):
            data[at] = texts[codes[at]]
    surrogate = None
    if facts["bin_names"] is not None:
        held: dict[str, Any] = {name: arrays.pop(SURROGATE + name) for name in PARTS}
        surrogate = Surrogate(**held, bin_names=tuple(tuple(names) for names in facts["bin_names"]))
    values, base, prediction = (arrays.pop(name) for name in ("values", "base", "prediction"))
    error = arrays.pop("error", None)
    if arrays or values.shape != tuple(facts["shape"]):
        raise ValueError(f"{', '.join(arrays) or values.shape} where {tuple(facts['shape'])} was written")
    hashes = {each.name: facts["origins"][f"{each.name}_sha256"] for each in fields(Origins)}
    return Explanation(
        values=values,
        base=base,
        prediction=prediction,
        data=data,
        feature_names=tuple(facts["feature_names"]),
        output_names=tuple(facts["output_names"]),
        unit=facts["unit"],
        method=facts["method"],
        is_exact=facts["is_exact"],
        complement=facts["complement"],
        feature_units=tuple(facts["feature_units"]),
        seed=facts["seed"],
        error=error,
        surrogate=surrogate,
        settings=facts["settings"],
        notes=tuple(facts["notes"]),
        cost=Cost(**facts["cost"]),
        origins=Origins(**{name: None if found is None else ContentHash(found) for name, found in hashes.items()}),
    )


def _libraries() -> dict[str, str]:
    """The versions of what is installed of `LIBRARIES`."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _digest(manifest: Mapping[str, Any]) -> str:
    """The hash of a manifest's content, however it is laid out."""
    return ContentHash.of(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).hex


def _as_json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
