"""Bills of materials in CycloneDX 1.6 (ECMA-424): every distribution that is installed with something, and its files.

The same contents have the same bill, byte for byte: it names no time of day, and its serial number is their hash.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import PackageBroken
from ..run.sources.distributions import normalised
from ..run.sources.hashes import canonical_json

FILE = "sbom.cdx.json"
LOCK = "requirements.lock"
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")


@dataclass(frozen=True, slots=True)
class Subject:
    """What the bill is of. `files` are its own files with their SHA-256, of which `models` hold a model."""

    name: str
    version: str
    kind: str = "application"
    files: Mapping[str, str] | None = None
    models: frozenset[str] = frozenset()


def bill(subject: Subject, pins: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The bill of `subject`, for which these distributions (name, version) are installed."""
    ordered = sorted({(normalised(name), version) for name, version in pins})
    refs = {name: _purl(name, version) for name, version in ordered}
    root = f"{subject.name}@{subject.version}"
    components = [_library(name, version) for name, version in ordered]
    files = [_file(name, digest, name in subject.models) for name, digest in sorted((subject.files or {}).items())]
    needs = {name: _requires(name, version, refs) for name, version in ordered}
    asked = {each for found in needs.values() for each in found}
    # What nobody else asks for was asked for by the subject itself.
    own = sorted(ref for ref in refs.values() if ref not in asked)
    found: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": subject.kind, "bom-ref": root, "name": subject.name, "version": subject.version},
            "tools": {
                "components": [{"type": "application", "name": "nbproof", "version": metadata.version("nbproof")}]
            },
        },
        "components": [*components, *files],
        "dependencies": [
            {"ref": root, "dependsOn": [*own, *(each["bom-ref"] for each in files)]},
            *({"ref": refs[name], "dependsOn": needs[name]} for name, _ in ordered),
        ],
    }
    digest = hashlib.sha256(canonical_json(found)).digest()
    return {**found, "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"}


def pins_of(lock: str, *, where: Path) -> list[tuple[str, str]]:
    """The distributions that a lock pins. Raises `PackageBroken` for a line that pins none."""
    found = []
    for line in lock.splitlines():
        text = line.split("#")[0].strip()
        if not text or text.startswith("--hash"):
            continue
        match = _PIN.match(text)
        if match is None:
            raise PackageBroken(where, [f"a line of its lock that names no version: {text[:80]}"])
        found.append((match[1], match[2]))
    return found


def of_package(package: Path) -> dict[str, Any]:
    """The bill of an exported package: what its lock pins, and each of its files. Raises `PackageBroken`."""
    from .packaging import provenance

    held = provenance.read(package)
    lock = package / LOCK
    if not lock.is_file():
        raise PackageBroken(package, [f"no {LOCK}"])
    subject = Subject(held.name, _version(package), files=held.files)
    return bill(subject, pins_of(lock.read_text(encoding="utf-8"), where=package))


def _version(package: Path) -> str:
    import tomllib

    try:
        found = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    except (OSError, ValueError, KeyError):
        raise PackageBroken(package, ["no version in its pyproject.toml"]) from None
    return str(found)


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{quote(version, safe='')}"


def _library(name: str, version: str) -> dict[str, Any]:
    ref = _purl(name, version)
    found: dict[str, Any] = {"type": "library", "bom-ref": ref, "name": name, "version": version, "purl": ref}
    licence = _licence(name, version)
    return {**found, "licenses": [{"license": {"name": licence}}]} if licence else found


def _file(name: str, digest: str, is_model: bool) -> dict[str, Any]:
    kind = "machine-learning-model" if is_model else "file"
    return {"type": kind, "bom-ref": f"file:{name}", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}


def _installed(name: str, version: str) -> metadata.Distribution | None:
    """The distribution as it is installed here, where it is that version: of another one nothing is said."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return found if found.version.partition("+")[0] == version.partition("+")[0] else None


def _licence(name: str, version: str) -> str:
    found = _installed(name, version)
    if found is None:
        return ""
    said: Any = found.metadata
    expression = said.get("License-Expression", "") or said.get("License", "")
    classified = [
        each.rsplit(" :: ", 1)[-1] for each in said.get_all("Classifier", ()) if each.startswith("License ::")
    ]
    first = (expression.strip().splitlines() or [""])[0]
    # Some put the whole text there.
    return first if 0 < len(first) < 80 else ", ".join(classified)


def _requires(name: str, version: str, refs: Mapping[str, str]) -> Sequence[str]:
    """What a distribution asks for, of those that the bill has."""
    found = _installed(name, version)
    if found is None:
        return []
    return sorted({refs[each] for each in asked_by(found) if each in refs and each != name})


def asked_by(found: metadata.Distribution, extras: Iterable[str] = ()) -> set[str]:
    """The names of the distributions that one asks for on this machine, with these of its extras."""
    from packaging.requirements import Requirement

    asked = set()
    for line in found.requires or ():
        requirement = Requirement(line)
        places = [{"extra": ""}, *({"extra": each} for each in extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(place) for place in places):
            asked.add(normalised(requirement.name))
    return asked
