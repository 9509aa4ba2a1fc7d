"""The parts of one plan as the elements of a job: each scores its own, and the last one shows the whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import AskedWrongly, Busy, OutputTaken, ScoreRefused
from ..files import write_atomically
from ..jobs import submitting
from ..jobs.job import PYTHON, WORK, Job, Resources
from ..jobs.place import Place
from ..review.gate import UnsafeBypass
from ..run.sources.hashes import canonical_json
from . import asked as asking
from .asked import Asked
from .device import Kind
from .network import Network
from .scoring import Prepared, Progress, carry_out, described, prepare
from .writing import Work, finish, finished

RESULT = "scored.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where the parts are scored, and with what each of them."""

    target: str
    options: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    at_once: int | None = None
    retries: int = 0
    name: str = "score"


def submit(
    model: Path, place: Path, output: Path, asked: Asked, engine: Engine, *, project: Path,
    unsafe: UnsafeBypass | None = None, force: bool = False,
) -> Place:  # fmt: skip
    """Plan, and hand the parts to an engine: one element each.

    Where elements are given GPUs the plan is one for GPUs, although this machine may have none. Raises what
    `scoring.score` and `jobs.submitting.submit` do.
    """
    output = output.absolute()
    kind: Kind = "cuda" if engine.resources.gpus and asked.device != "cpu" else "cpu"
    if asked.device == "cuda" and not engine.resources.gpus:
        raise AskedWrongly("found --device cuda for elements without a GPU, expected --gpus 1 beside it")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputTaken(
            output, "something that lies there", "nothing, or an empty folder", hint="name another OUTPUT"
        )
    # This machine may have no GPU to try, or one where the elements have none.
    asked = replace(asked, device="auto" if kind == "cuda" else "cpu")
    work = Work(output)
    with work.held():
        made = prepare(model, place, asked, project=project, unsafe=unsafe, planned_for=kind)
        told = {
            **described(made), "asked": asking.to_json(asked), "kind": kind, "project": str(project.resolve()),
            "places": [str(model.resolve()), str(place.resolve())],
            "unsafe": None if unsafe is None else [unsafe.by, unsafe.why],
        }  # fmt: skip
        work.begin(told, force=force)
    job = Job(
        name=engine.name,
        command=(PYTHON, "-m", "nbproof.score", str(output), WORK),
        folder=str(project.resolve()),
        resources=engine.resources,
        environment={"PYTHONPATH": os.environ["PYTHONPATH"]} if os.environ.get("PYTHONPATH") else {},
        outputs=(RESULT,),
        elements=tuple((str(part.number),) for part in made.plan.parts),
        is_array=True,
        at_once=engine.at_once,
        retries=engine.retries,
    )
    return submitting.submit(job, None, engine.target, project=project, options=engine.options or None)


def carry_out_one(
    output: Path, number: int, result: Path, tell: Callable[[Progress], None] = lambda _: None
) -> Prepared | None:
    """Score one part, where an engine has started it; None: the output was complete before.

    The model, its approval and the input are looked at once more: they must be what was planned with.
    """
    work = Work(output)
    told = work.plan()
    if told is None or "asked" not in told:
        if finished(output) is None:
            raise ScoreRefused(f"`{output}`", "no plan of its parts", "the one that was submitted",
                               hint="submit it again: nbproof score … --on TARGET")  # fmt: skip
        _leave(result, number, 0)
        return None
    with work.held(is_shared=True):
        made = _prepared_again(told)
        part = made.plan.parts[number]
        if work.complete(part) is None:
            carry_out(made, work, [part], tell)
    _leave(result, number, part.rows)
    try:
        # Whoever is the last to let go finds every part complete.
        with work.held():
            if work.plan() is not None:
                finish(work, made.plan, made.told, made.schema, force=False)
    except Busy:
        return made
    return made


def _prepared_again(told: Mapping[str, Any]) -> Prepared:
    model, place = map(Path, told["places"])
    unsafe = None if told["unsafe"] is None else UnsafeBypass(*told["unsafe"])
    made = prepare(
        model, place, asking.from_json(told["asked"]), project=Path(told["project"]), unsafe=unsafe, is_again=True,
        planned_for=told["kind"],
    )  # fmt: skip
    if told["kind"] == "cuda" and made.loaded.device.kind == "cpu" and isinstance(made.loaded.scorer, Network):
        raise ScoreRefused("this machine", "no GPU that torch sees", "one, as was asked for each element",
                           hint="ask for another kind of GPU, or score on the processor: --device cpu")  # fmt: skip
    now = described(made)
    same = ("model", "input", "stamps", "options", "columns", "fingerprint")
    changed = [name for name in same if now[name] != told[name]]
    if changed:
        raise ScoreRefused(
            f"`{place}`", f"another {' and '.join(changed)} than was planned with", "the same as when it was submitted",
            hint="submit it again: nbproof score … --on TARGET --force",
        )  # fmt: skip
    return made


def _leave(result: Path, number: int, rows: int) -> None:
    """What the element leaves as its own result; the scores themselves lie with those of the other parts."""
    write_atomically(result / RESULT, canonical_json({"part": number, "rows": rows}))
