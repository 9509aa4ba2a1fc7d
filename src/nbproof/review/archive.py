"""The folder `approvals/`: one file for each signed decision, and the content that it was about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ApprovalInvalid, StorageFailed
from ..files import write_atomically
from ..records import ContentHash
from .dsse import Envelope
from .ledger import Entry
from .names import problem_of_file
from .places import place_of

FOLDER = "approvals"
CONTENT = f"{FOLDER}/content"


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the decisions of one project lie. Nothing is ever written over."""

    project: Path

    def keep(self, envelope: Envelope, *, notebook: str, decision: str, at: str) -> tuple[str, str]:
        """Write a decision to a file of its own; return its name in the project and the hash of its bytes."""
        content = envelope.written()
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(notebook).stem) or "notebook"
        digest = ContentHash.of(content)
        moment = re.sub(r"[^0-9TZ]", "", at)
        name = f"{FOLDER}/{stem}-{moment}-{decision}-{digest.short}.dsse.json"
        _write(self.project / name, content)
        return name, digest.hex

    def keep_content(self, content: bytes) -> None:
        """Keep the canonical content of a notebook under its digest."""
        path = self._content(ContentHash.of(content))
        if not path.exists():
            _write(path, content)

    def content(self, digest: ContentHash) -> bytes:
        """The content that was decided about; raises `ApprovalInvalid` when it is gone or is not that content."""
        path = self._content(digest)
        where = path.relative_to(self.project).as_posix()
        try:
            found = path.read_bytes()
        except OSError as error:
            raise ApprovalInvalid(where, f"no file to read ({error.strerror})", "the content that was signed") from None
        if ContentHash.of(found) != digest:
            raise ApprovalInvalid(where, f"content of {ContentHash.of(found).short}", f"content of {digest.short}")
        return found

    def envelope(self, entry: Entry) -> bytes:
        """The signed decision that a line of the ledger names; raises `ApprovalInvalid` when it is not that file."""
        problem = problem_of_file(entry.file)
        is_ours = Path(entry.file).parent == Path(FOLDER) and entry.file.endswith(".dsse.json")
        if problem or not is_ours:
            raise ApprovalInvalid(
                f"the ledger's line {entry.number}", f"the file `{entry.file[:80]}`", f"one in {FOLDER}/"
            )
        place = place_of(self.project, entry.file)
        try:
            content = place.read_bytes()
        except OSError as error:
            raise ApprovalInvalid(
                entry.file, f"no file to read ({error.strerror})", "the decision that the ledger names"
            ) from None
        if ContentHash.of(content).hex != entry.sha256:
            raise ApprovalInvalid(entry.file, "another content than the ledger names", f"sha256 {entry.sha256[:12]}")
        return content

    def check_no_strays(self, entries: Iterable[Entry]) -> None:
        """Raise `ApprovalInvalid` for a decision that the ledger does not name: a line of it was dropped."""
        named = {entry.file for entry in entries}
        for path in sorted((self.project / FOLDER).glob("*.dsse.json")):
            name = f"{FOLDER}/{path.name}"
            if name not in named:
                # A line was dropped, or nbproof was killed between the two: only people can tell which.
                raise ApprovalInvalid(
                    name, "a decision that no line of the ledger names", "one line for each decision",
                    hint=f"git log -- {name}; if its writing was interrupted: rm {name}",
                )  # fmt: skip

    def _content(self, digest: ContentHash) -> Path:
        return self.project / CONTENT / f"{digest.hex}.json"


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise StorageFailed(str(path), error.strerror or str(error)) from error
