"""Scores on the disk: each part whole or not there, all parts shown at once or not at all.

While the work goes on it lies in `OUTPUT.unfinished`, a folder that nobody takes for the result. Each part is written
to a temporary file, synced and renamed, and then a record of its rows and its hash. When every part is there their
folder becomes the output by one rename, or their rows become one file by one rename.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import Busy, OutputTaken, ScoreRefused, StorageFailed
from ..files import sync_folder, write_atomically, written_at_end
from ..records import ContentHash
from ..run.sources.hashes import canonical_json
from .plan import Part, Plan

MANIFEST = "_manifest.json"
PLAN = "plan.json"
FORMAT = 1
# Output files of this kind are one file; anything else is a folder of parts.
ONE_FILE = (".parquet", ".pq")
# A row group of the output holds at most so many rows, and as many bytes.
_GROUP_ROWS, _GROUP_BYTES = 524_288, 64 * 2**20
_METADATA = b"nbproof"


@dataclass(frozen=True, slots=True)
class Record:
    """A part that is complete: its rows, the SHA-256 and size (bytes) of its file, and the rows of its input."""

    part: int
    rows: int
    sha256: str
    size: int
    of: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Work:
    """The folder of unfinished work for one output."""

    output: Path

    @property
    def folder(self) -> Path:
        return self.output.with_name(f"{self.output.name}.unfinished")

    @property
    def parts(self) -> Path:
        """The folder that becomes the output."""
        return self.folder / "parts"

    def file(self, number: int) -> Path:
        return self.parts / f"part-{number:05d}.parquet"

    def record(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.json"

    def plan(self) -> Mapping[str, Any] | None:
        """What was planned before, or None."""
        try:
            found: Mapping[str, Any] = json.loads((self.folder / PLAN).read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            return {}
        return found

    def begin(self, told: Mapping[str, Any], *, force: bool) -> None:
        """Make the folder for a plan, or go on with the one that is there.

        `told` holds the plan's `fingerprint`, when the input was written (`stamps`), and what is asked.
        Raises `ScoreRefused` for work of another plan, unless `force` is to remove it.
        """
        before = self.plan()
        same = ("fingerprint", "stamps")
        if before is not None and any(before.get(each) != told[each] for each in same):
            if not force:
                raise ScoreRefused(
                    f"`{self.folder}`", f"unfinished work of another plan: {_difference(before, told)}",
                    "the same input, model and options as before",
                    hint="another OUTPUT; or --force, which begins again and drops what was done",
                )  # fmt: skip
            shutil.rmtree(self.folder)
        with storing():
            self.parts.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / PLAN, canonical_json(dict(told)))

    def complete(self, part: Part) -> Record | None:
        """The record of a part whose file is what the record says, or None: then it is done again."""
        try:
            found = _record(json.loads(self.record(part.number).read_bytes()))
            path = self.file(part.number)
            if found.rows != part.rows or found.of != _of(part) or path.stat().st_size != found.size:
                return None
            return found if _sha256(path) == found.sha256 else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def held(self, *, is_shared: bool = False) -> Iterator[None]:
        """Keep every other process out, or (`is_shared`) only those that would keep all others out.

        Raises `Busy`.
        """
        with storing():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            descriptor = _locked(self.lock, is_shared=is_shared)
        if descriptor is None:
            raise Busy(str(self.output), "another `nbproof score`")
        try:
            yield
        finally:
            if not is_shared and not self.folder.exists():
                # Nothing was begun, or all of it is done.
                self.lock.unlink(missing_ok=True)
            os.close(descriptor)

    @property
    def lock(self) -> Path:
        return self.output.with_name(f".{self.output.name}.lock")

    def remove(self) -> None:
        """Remove what is left of the work, once the output is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.unlink(missing_ok=True)


class PartFile:
    """The file of one part while it is being written."""

    def __init__(self, path: Path, schema: Any) -> None:
        import pyarrow.parquet

        # Scores and the numbers of rows hardly repeat; a dictionary of them would only be tried and thrown away.
        texts = [field.name for field in schema if pyarrow.types.is_string(field.type)]
        self._writer = pyarrow.parquet.ParquetWriter(path, schema, use_dictionary=texts or False)
        self._held: list[Any] = []
        self._rows = self._bytes = 0
        self.rows = 0

    def add(self, batch: Any) -> None:
        """Take a batch; it reaches the disk with others."""
        self._held.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Let go of the file, whatever state it is in."""
        try:
            self._writer.close()
        except OSError:
            # What could not be written before cannot be ended either; the file goes anyway.
            return

    def _flush(self) -> None:
        import pyarrow

        if self._held:
            self._writer.write_table(pyarrow.Table.from_batches(self._held), row_group_size=_GROUP_ROWS)
        self._held, self._rows, self._bytes = [], 0, 0


@contextmanager
def part_file(work: Work, part: Part, schema: Any) -> Iterator[PartFile]:
    """A file for the scores of a part: there, with its record, when the block ends well and every row is in it."""
    with storing():
        with written_at_end(work.file(part.number)) as path:
            file = PartFile(path, schema)
            try:
                yield file
                file.close()
            except BaseException:
                file.abandon()
                raise
            if file.rows != part.rows:
                raise ScoreRefused(f"part {part.number}", f"{file.rows} rows", f"{part.rows}, as planned")
            record = Record(part.number, file.rows, _sha256(path), path.stat().st_size, _of(part))
        write_atomically(work.record(part.number), canonical_json(asdict(record)))


def finish(work: Work, plan: Plan, told: Mapping[str, Any], schema: Any, *, force: bool) -> bool:
    """Show the output, once all parts are complete; False: some are not, and nothing is shown."""
    records = [work.complete(part) for part in plan.parts]
    if None in records:
        return False
    manifest = canonical_json({
        "format": FORMAT, **told, "fingerprint": plan.fingerprint.hex, "rows": plan.rows,
        "parts": [asdict(record) for record in records if record is not None],
    })  # fmt: skip
    with storing():
        if work.output.suffix.lower() in ONE_FILE:
            _join(work, plan, manifest, schema)
        else:
            _show(work, plan, manifest, force=force)
    return True


def finished(output: Path) -> Mapping[str, Any] | None:
    """The manifest of an output that was finished before, or None where there is no such output."""
    try:
        if output.is_dir():
            found = json.loads((output / MANIFEST).read_bytes())
        elif output.is_file():
            found = json.loads(_metadata(output)[_METADATA])
        else:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def is_whole(output: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether an output that was finished before still holds what its manifest says."""
    import pyarrow
    import pyarrow.parquet

    try:
        if output.is_file():
            return bool(pyarrow.parquet.read_metadata(output).num_rows == manifest["rows"])
        expected = {f"part-{each['part']:05d}.parquet": each["sha256"] for each in manifest["parts"]}
        there = {path.name for path in output.iterdir()} - {MANIFEST}
        return there == set(expected) and all(_sha256(output / name) == sha for name, sha in expected.items())
    except (OSError, KeyError, TypeError, pyarrow.ArrowException):
        return False


def refuse_taken(output: Path, *, force: bool) -> None:
    """Raise `OutputTaken` where something lies that is not ours to replace."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if finished(output) is None:
        found = "a folder that is not empty" if output.is_dir() else "a file"
        raise OutputTaken(output, f"{found}, and no scores", "nothing, or an empty folder", hint="name another OUTPUT")
    if not force:
        raise OutputTaken(
            output, "scores of another input, model or options", "nothing, or an empty folder",
            hint="name another OUTPUT; or --force, which replaces it once the new scores are complete",
        )  # fmt: skip


@contextmanager
def storing() -> Iterator[None]:
    """A disk that takes no more becomes one line; what is complete stays, and the same command goes on from there."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO):
            raise
        # Arrow's own words hold its whole stack of calls; the system's are enough.
        reason = os.strerror(error.errno)
        raise StorageFailed(error.filename, reason) from error


def _show(work: Work, plan: Plan, manifest: bytes, *, force: bool) -> None:
    """Make the folder of parts the output, in one step."""
    wanted = {work.file(part.number).name for part in plan.parts}
    for path in list(work.parts.iterdir()):
        if path.name not in wanted:
            path.unlink()
    write_atomically(work.parts / MANIFEST, manifest)
    before = force and _set_aside(work.output)
    work.parts.rename(work.output)
    sync_folder(work.output.parent)
    if before:
        # Also what a process has left that was killed between the two renames.
        for left in work.output.parent.glob(f".{glob.escape(work.output.name)}.*.replaced"):
            shutil.rmtree(left, ignore_errors=True)
    work.remove()


def _join(work: Work, plan: Plan, manifest: bytes, schema: Any) -> None:
    """Write the rows of all parts into one file, which carries the manifest."""
    import pyarrow.parquet

    told = schema.with_metadata({**(schema.metadata or {}), _METADATA: manifest})
    with written_at_end(work.output) as path, pyarrow.parquet.ParquetWriter(path, told) as writer:
        for part in plan.parts:
            with pyarrow.parquet.ParquetFile(work.file(part.number), pre_buffer=False) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group).replace_schema_metadata(told.metadata))
    work.remove()


def _locked(path: Path, *, is_shared: bool) -> int | None:
    """A descriptor that holds the lock of a file, which ends with this process; None: somebody else holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            # A file system without locks: parts are renamed into place, and two that do the same write the same.
            return descriptor
        if os.fstat(descriptor).st_nlink:
            return descriptor
        # Whoever held it has finished, and removed it, in the moment before it was locked.
        os.close(descriptor)


def _set_aside(output: Path) -> bool:
    """Move what is to be replaced away; it goes once its successor is there."""
    if not output.exists() or not any(output.iterdir()):
        return False
    aside = output.with_name(f".{output.name}.{secrets.token_hex(8)}.replaced")
    output.rename(aside)
    return True


def _metadata(output: Path) -> Mapping[bytes, bytes]:
    import pyarrow
    import pyarrow.parquet

    try:
        found: Mapping[bytes, bytes] = pyarrow.parquet.read_schema(output).metadata or {}
    except pyarrow.ArrowException:
        return {}
    return found


def _of(part: Part) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((each.file, each.groups) for each in part.slices)


def _record(found: Mapping[str, Any]) -> Record:
    of = tuple((name, tuple(groups)) for name, groups in found["of"])
    return Record(found["part"], found["rows"], ContentHash(found["sha256"]).hex, found["size"], of)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Which of input, model and options are not as they were."""
    changed = [
        name for name in ("input", "model", "options", "columns") if before.get(name) != now.get(name)
    ]  # fmt: skip
    return f"{' and '.join(changed)} changed" if changed else "what it says of itself is damaged"
