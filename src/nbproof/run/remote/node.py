"""What the job of a task starts: `python -m nbproof.run.remote.node FOLDER TASK` carries it out, wherever that is.

Nobody waits for it there: it judges whether the task is fresh, runs the notebook, tries again what fails, publishes the
products and records their fingerprint, as a build does.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
import traceback
from pathlib import Path

from ...errors import NbproofError, UpstreamStale
from ...records import Event, Outcome, Task, TaskFinished, TaskStarted
from ..checkpoints.plan import TAG, plan_checkpoints
from ..fingerprint import reads
from ..freshness import TaskRecord
from ..pipeline.declared import Loaded
from ..processes import end_orphans
from ..scheduler import Build, Session
from ..signals import interrupted_by_signals
from ..sources.hashes import content_hash
from ..staging import clear
from ..state import State, state_of
from .events import Ended
from .order import Order
from .place import Place, Start

GOOD = ("done", "fresh")
# How long a shared file system may take to show here what was written elsewhere.
SEEN_LATE_S, LOOK_AGAIN_S = 60.0, 0.5


def main() -> int:
    place, task = Place(Path(sys.argv[1])), sys.argv[2]
    order = place.order(task)
    start = place.start(task)
    try:
        with interrupted_by_signals():
            return 0 if _outcome(order, start) in GOOD else 1
    except KeyboardInterrupt:
        # The engine takes it away; whether it is started again, the engine decides.
        return 1


def _outcome(order: Order, start: Start) -> Outcome:
    """Carry out the task, unless an earlier start did so; what became of it is the last word that is told."""
    tried = 0
    for said in start.before():
        if isinstance(said, Ended):
            return said.outcome
        if isinstance(said, TaskStarted):
            tried = max(tried, said.attempt)
    if tried:
        start.tell(_taken_away(order, tried))
    try:
        outcome = _carried_out(order, start, tried)
    except Exception as error:
        sys.stdout.write(traceback.format_exc())
        is_meant = isinstance(error, (NbproofError, OSError))
        words = (str(error) if is_meant else f"{type(error).__name__}: {error}").splitlines()
        start.tell(TaskFinished(order.run_id, time.time(), order.task, "failed", tried + 1, reason=words[0]))
        outcome = "failed"
    start.tell(Ended(outcome))
    return outcome


def _carried_out(order: Order, start: Start, tried: int) -> Outcome:
    loaded = order.loaded()
    state, task = state_of(loaded.pipeline), loaded.pipeline.task(order.task)
    see_upstream(loaded, state, task)
    # An earlier start on this very machine may have left a kernel behind, and one elsewhere half of a product.
    end_orphans(state.scope_of(task.name))
    clear([task])
    session = Session(
        loaded,
        state,
        order.run_id,
        lambda event: _tell(start, event),
        force=order.is_forced,
        is_warm=False,
        environ=dict(os.environ),
        checkpoints={task.name: plan_checkpoints(loaded.documents[task.name], loaded.contracts[task.name])}
        if loaded.notebooks[task.name].says(TAG)
        else {},
        only=task.name,
        tried=tried,
        mark=f"{start.number}-{secrets.token_hex(3)}",
        is_current=start.is_latest,
    )
    build = Build(session)
    build.carry_out()
    return build.outcomes[task.name]


def see_upstream(loaded: Loaded, state: State, task: Task, *, patience_s: float = SEEN_LATE_S) -> None:
    """Wait until the products that `task` reads are seen here as those above it recorded them.

    Another machine wrote them a moment ago, and a shared file system may still show what was there before. Raises
    `UpstreamStale` when that does not change: somebody else has changed them.
    """
    deadline = time.monotonic() + patience_s
    while unseen := _unseen(loaded, state, task):
        if time.monotonic() > deadline:
            raise UpstreamStale(task.name, unseen)
        time.sleep(LOOK_AGAIN_S)


def _unseen(loaded: Loaded, state: State, task: Task) -> dict[str, str]:
    """The upstream tasks whose products are not, or not yet, what their records say, and the first such product."""
    found: dict[str, str] = {}
    for name, products in reads(task, loaded.contracts[task.name], loaded.pipeline).items():
        record = state.records.read(name)
        for key, path in products.items():
            # What a folder is asked to list, it asks its server for.
            with contextlib.suppress(OSError):
                list(path.parent.iterdir())
            content = content_hash(path)
            recorded = record.products.get(key) if isinstance(record, TaskRecord) else None
            if recorded is None or content is None or recorded.content != content.hex:
                found.setdefault(name, f"product `{key}` is not what it left")
    return found


def _tell(start: Start, event: Event) -> None:
    start.tell(event)  # type: ignore[arg-type]  # a build of one task raises no others


def _taken_away(order: Order, attempt: int) -> TaskFinished:
    reason = "it was taken away while it ran, as when a node is lost; started again"
    return TaskFinished(order.run_id, time.time(), order.task, "failed", attempt, reason=reason)


if __name__ == "__main__":
    sys.exit(main())
