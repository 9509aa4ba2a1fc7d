"""What a registered version is as a whole: the bytes that an approval of it is about, wherever they are read.

A model's file alone does not say what it answers: names, order and types of its columns are in the signature. So a
version that has one is approved as the package that it is served as, with a manifest that names every part of it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ..errors import ModelRefused
from ..files import written_whole
from ..notebook.products import as_json
from ..records import ContentHash
from .contents import Contents, digest_of, read_contents
from .package import MANIFEST, TRUSTED_ROOTS, Manifest
from .registry import SIGNATURE, Entry, Registry
from .spelling import untrusted_types

SKOPS, MODULE = ".skops", "module.py"


def whole(found: Contents, entry: Entry) -> Contents:
    """The files of a version, with the manifest that the registry stands for where they have none; and their hash.

    Where nothing but one file was registered nothing else decides, and the hash is that of its bytes. Raises
    `ModelRefused` where the bytes that were read are not those that the tags of the version name.
    """
    place = Path(entry.told)
    if entry.digest is not None and entry.digest not in map(ContentHash.of, found.files.values()):
        raise ModelRefused(found.folder, "no file with the hash that was registered", entry.digest.short)
    if MANIFEST in found.files:
        return Contents(place, found.files, found.digest)
    if SIGNATURE in found.files:
        written = as_json(_manifest(found, entry).written()).encode()
        files = {**found.files, MANIFEST: written}
        ordered = {name: files[name] for name in sorted(files, key=PurePosixPath)}
        return Contents(place, ordered, digest_of(ordered))
    if len(found.files) == 1:
        return Contents(place, found.files, ContentHash.of(*found.files.values()))
    return Contents(place, found.files, found.digest)


def contents_of(registry: Registry, entry: Entry) -> Contents:
    """The bytes of a version as they lie in the registry now. Raises `RegistryHolds` or `ModelRefused`."""
    with registry.fetched(entry) as path:
        return whole(read_contents(path), entry)


def fetch(registry: Registry, entry: Entry, folder: Path) -> Contents:
    """Write a version to a folder that is not there yet, as it is approved and served."""
    with written_whole(folder) as unfinished:
        found = contents_of(registry, entry)
        for name, content in found.files.items():
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).write_bytes(content)
    return found


def how_to_ask(name: str, version: str) -> str:
    """What to type for an approval of a version."""
    return f"nbproof models fetch {name} {version} FOLDER, then nbproof review request NOTEBOOK --model FOLDER"


def _manifest(found: Contents, entry: Entry) -> Manifest:
    """What the registry says of the version: its name, its semantic version, and which of the files is what."""
    model = _model_file(found, entry)
    named = {"model": model, "signature": SIGNATURE, **({"module": MODULE} if MODULE in found.files else {})}
    hashes = {key: (file, ContentHash.of(found.of(file))) for key, file in named.items()}
    # Types of foreign packages are refused all the same; those of the trusted ones come with the approved file.
    try:
        types = untrusted_types(found.of(model)) if model.endswith(SKOPS) else ()
    except Exception as error:
        # Whatever an archive that is none makes skops raise.
        raise ModelRefused(found.folder, f"`{model}`, which skops cannot read", "what it wrote") from error
    trusted = tuple(each for each in types if each.split(".")[0] in TRUSTED_ROOTS)
    return Manifest(entry.name, str(entry.version or f"{entry.number}.0.0"), hashes, trusted)


def _model_file(found: Contents, entry: Entry) -> str:
    """The file that the tags name; without one, the only one beside the signature that it can be."""
    named = [name for name, content in found.files.items() if ContentHash.of(content) == entry.digest]
    return named[0] if named else f"model{SKOPS}"
