"""Scoring from the beginning to the end: admitted, planned, streamed, and shown once it is complete."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import AskedWrongly, OutputTaken, ScoreRefused
from ..review.gate import UnsafeBypass
from . import asked as asking
from . import program
from .asked import Asked
from .columns import Missing, check
from .device import Kind, exact
from .loading import Loaded, load
from .plan import Part, Plan, planned
from .program import Program
from .source import Source, look
from .streaming import Job, stream
from .writing import MANIFEST, Work, finish, finished, is_whole, refuse_taken

# Of these it is said what they came to, not what was asked.
_TOLD_ELSEWHERE = ("device", "features", "missing")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is: rows and parts that are done, of how many, and on which device."""

    rows: int
    total_rows: int
    parts: int
    total_parts: int
    device: str


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of it; `kept_parts` were complete before."""

    output: str
    rows: int
    parts: int
    kept_parts: int
    model: str
    approval: str
    is_draft: bool
    device: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is known before the first row is scored."""

    loaded: Loaded
    source: Source
    plan: Plan
    schema: Any
    told: Mapping[str, Any]
    asked: Asked


def score(
    model: Path,
    place: Path,
    output: Path,
    asked: Asked,
    *,
    project: Path,
    unsafe: UnsafeBypass | None = None,
    force: bool = False,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Scored:
    """Score the rows of `place`, a Parquet file or a folder of them, into `output`, a folder or a `.parquet` file.

    What an earlier try has completed is kept, and nothing is scored twice. Raises `NotApproved`, `DataUnusable`,
    `ModelUnusable`, `OutputTaken`, `ScoreRefused`, `Busy` and `StorageFailed`; then `output` is not there.
    """
    output = output.absolute()
    _check_places(place, output)
    before = finished(output)
    if before is None:
        refuse_taken(output, force=force)
    work = Work(output)
    with work.held():
        made = prepare(model, place, asked, project=project, unsafe=unsafe)
        if before is not None:
            if before.get("fingerprint") == made.plan.fingerprint.hex:
                return _done_before(work, made, before)
            refuse_taken(output, force=force)
        work.begin(described(made), force=force)
        kept = [part for part in made.plan.parts if work.complete(part) is not None]
        carry_out(made, work, [part for part in made.plan.parts if part not in kept], tell)
        if not finish(work, made.plan, made.told, made.schema, force=force):
            raise ScoreRefused(
                f"`{work.folder}`", "a part that was changed after it was written", "every part as its record says",
                hint="the same command again, which scores that part anew",
            )  # fmt: skip
    return _scored(made, output, len(kept))


def prepare(
    model: Path, place: Path, asked: Asked, *, project: Path, unsafe: UnsafeBypass | None = None,
    is_again: bool = False, planned_for: Kind | None = None,
) -> Prepared:  # fmt: skip
    """Load the model, look at the input, and plan; nothing is written but a bypass, unless `is_again`.

    `planned_for` is the kind of device that the work is planned for, where that may not be this machine's.
    """
    import pyarrow

    @cache
    def whole() -> Source:
        return look(place)

    loaded = load(model, asked, whole, project=project, unsafe=unsafe, is_again=is_again)
    source, features, missing, answers = _looked(loaded, place, asked)
    twice = [field.name for field in answers if field.name in asked.keep]
    if twice:
        raise AskedWrongly(
            f"found `{twice[0]}` among what is kept and what is answered, expected two names", hint="--name score"
        )
    schema = pyarrow.schema([*(source.schema.field(name).remove_metadata() for name in asked.keep), *answers])
    options = {
        **{name: value for name, value in asking.to_json(asked).items() if name not in _TOLD_ELSEWHERE},
        "features": list(features), "missing": missing, "device": planned_for or loaded.device.kind,
    }  # fmt: skip
    plan = planned(
        source.files, model=_hash(loaded), options=options, part_rows=asked.part_rows, partitions=asked.partitions
    )
    told = {
        "model": {"name": loaded.admitted.name, "sha256": loaded.admitted.sha256,
                  **({"module": loaded.module.name, "module_sha256": loaded.module.sha256} if loaded.module else {})},
        "approval": loaded.admitted.words,
        "is_draft": loaded.admitted.is_draft or (loaded.module is not None and loaded.module.is_draft),
        "input": [{"name": file.name, "rows": file.rows, "size": file.size, "footer_sha256": file.footer.hex}
                  for file in source.files],
        "columns": {field.name: str(field.type) for field in schema},
        "options": options,
        "nbproof": version("nbproof"),
    }  # fmt: skip
    return Prepared(loaded, source, plan, schema, told, replace(asked, missing=missing))


def carry_out(made: Prepared, work: Work, parts: Sequence[Part], tell: Callable[[Progress], None]) -> None:
    """Score these parts; each is complete on the disk as soon as its last row is."""
    scorer, asked, missing = made.loaded.scorer, made.asked, made.asked.missing or "refuse"
    total, rows = len(made.plan.parts), sum(part.rows for part in parts)
    before_rows, before = made.plan.rows - rows, total - len(parts)

    def told(done_rows: int, done: int) -> None:
        tell(Progress(before_rows + done_rows, made.plan.rows, before + done, total, made.loaded.device.name))

    told(0, 0)
    if isinstance(scorer, Program):
        program.carry_out(scorer, made.source, work, parts, made.schema, asked, told)
        return
    job = Job(
        made.source, scorer, work, made.schema, asked.keep, asked.batch_rows, missing, made.loaded.admitted.name,
        on_all_cores=made.loaded.device.kind == "cuda",
    )  # fmt: skip
    if parts:
        with exact(made.loaded.device):
            stream(job, parts, told)


def _looked(loaded: Loaded, place: Path, asked: Asked) -> tuple[Source, tuple[str, ...], Missing, list[Any]]:
    """The input, the features that are taken of it, what becomes of holes in it, and the columns of the answers."""
    import pyarrow

    scorer = loaded.scorer
    if isinstance(scorer, Program):
        source = look(place)
        check(source, (), asked.keep, "frame")
        return source, (), asked.missing or "refuse", list(program.answer_schema(scorer, source))
    source = look(place, tuple(dict.fromkeys((*scorer.features, *asked.keep))))
    check(source, scorer.features, asked.keep, scorer.form)
    kind = pyarrow.from_numpy_dtype(scorer.answer_dtype)
    answers = [pyarrow.field(name, kind) for name in scorer.outputs]
    return source, scorer.features, asked.missing or scorer.missing, answers


def described(made: Prepared) -> dict[str, Any]:
    """What is written down beside the unfinished work."""
    told = {**made.told, "fingerprint": made.plan.fingerprint.hex, "stamps": dict(made.source.stamps)}
    # As it will be read again: what is written as a tuple comes back as a list.
    found: dict[str, Any] = json.loads(json.dumps(told))
    return found


def _done_before(work: Work, made: Prepared, before: Mapping[str, Any]) -> Scored:
    if not is_whole(work.output, before):
        raise ScoreRefused(
            f"`{work.output}`", "scores that were changed since they were written", f"what {MANIFEST} says",
            hint="name another OUTPUT, or remove it",
        )  # fmt: skip
    work.remove()
    return _scored(made, work.output, len(made.plan.parts))


def _scored(made: Prepared, output: Path, kept: int) -> Scored:
    admitted = made.loaded.admitted
    return Scored(
        str(output), made.plan.rows, len(made.plan.parts), kept, admitted.name, admitted.words,
        bool(made.told["is_draft"]), made.loaded.device.name, made.plan.fingerprint.hex,
    )  # fmt: skip


def _hash(loaded: Loaded) -> str:
    return loaded.admitted.sha256 + (loaded.module.sha256 if loaded.module is not None else "")


def _check_places(place: Path, output: Path) -> None:
    """Raise where the output would become part of its own input."""
    inside = place.absolute()
    if output == inside or (inside.is_dir() and output.is_relative_to(inside)):
        raise OutputTaken(
            output, "the input itself, or a place in it", "a place outside of it", hint="name another OUTPUT"
        )
