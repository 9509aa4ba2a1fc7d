"""Which task may start, and what becomes of those below it, whatever the shape of the pipeline."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbproof.records import Event, Pipeline, Task, TaskFinished
from nbproof.run import build as builds
from nbproof.run import fingerprint as fingerprints
from nbproof.run.freshness import Product, new_record
from nbproof.run.look import Look
from nbproof.run.pipeline.declared import Loaded
from nbproof.run.pipeline.loading import load
from nbproof.run.scheduler import Build, Session
from nbproof.run.sources.hashes import content_hash, meaning_hash
from nbproof.run.state import state_of


def pipeline_of(folder: Path, upstream: Mapping[int, set[int]]) -> Pipeline:
    """Tasks `t0`, `t1`, … with the upstream given, which comes before them."""
    tasks = tuple(
        Task(
            f"t{n}", folder / f"t{n}.ipynb", {}, tuple(f"t{m}" for m in sorted(above)), {"nb": folder / f"b/t{n}.ipynb"}
        )
        for n, above in upstream.items()
    )
    return Pipeline("p", folder / "pipeline.yaml", folder, folder, tasks)


class Pretended(Build):
    """A build whose tasks take no time and end as they are told to."""

    def __init__(self, folder: Path, upstream: Mapping[int, set[int]], failing: set[int], workers: int) -> None:
        pipeline = pipeline_of(folder, upstream)
        self.events: list[TaskFinished] = []
        self.started: list[str] = []
        super().__init__(
            Session(Loaded(pipeline, {}, {}), state_of(pipeline), "run", self._hear_event, force=True, workers=workers)
        )
        self.failing = {f"t{n}" for n in failing}

    def _hear_event(self, event: Event) -> None:
        assert isinstance(event, TaskFinished)
        self.events.append(event)

    def _judge(self, task: Task, look: Look) -> Any:
        assert all(self.outcomes[name] == "done" for name in task.upstream)
        return builds.Verdict(task.name, "stale"), None

    def _start(self, task: Task, *_: object) -> None:
        assert len(self.running) < self.session.workers
        self.started.append(task.name)
        self.running[task.name] = None  # type: ignore[assignment]

    def _wait(self) -> None:
        name = next(iter(self.running))
        del self.running[name]
        outcome = "failed" if name in self.failing else "done"
        self._finish(self.pipeline.task(name), outcome)  # type: ignore[arg-type]


@st.composite
def shapes(draw: st.DrawFn) -> dict[int, set[int]]:
    count = draw(st.integers(1, 12))
    return {n: draw(st.sets(st.integers(0, n - 1), max_size=4)) if n else set() for n in range(count)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(upstream=shapes(), failing=st.sets(st.integers(0, 11)), workers=st.integers(1, 3))
def test_every_task_ends_as_its_upstream_allows(
    tmp_path: Path, upstream: dict[int, set[int]], failing: set[int], workers: int
) -> None:
    """Done after done, failed where it fails, blocked below that; each once, and never too many at a time."""
    expected: dict[str, str] = {}
    for n, above in upstream.items():
        is_blocked = any(expected[f"t{m}"] != "done" for m in above)
        expected[f"t{n}"] = "blocked" if is_blocked else "failed" if n in failing else "done"

    build = Pretended(tmp_path, upstream, failing, workers)
    build.carry_out()

    assert {event.task: event.outcome for event in build.events} == expected
    assert len(build.events) == len(expected)
    for event in build.events:
        if event.outcome == "blocked":
            names = event.reason.removeprefix("upstream ").removesuffix(" failed").split(", ")
            assert set(names) <= {f"t{m}" for m in upstream[int(event.task[1:])]}
            assert all(expected[name] in {"failed", "blocked"} for name in names)


def test_tasks_start_in_the_order_of_the_pipeline(tmp_path: Path) -> None:
    """Whatever could start at the same time starts as it is written."""
    build = Pretended(tmp_path, {0: set(), 1: set(), 2: {0}, 3: set(), 4: {1}}, set(), 1)

    build.carry_out()

    assert build.started == ["t0", "t1", "t2", "t3", "t4"]


def calls_of(work: Callable[[], object]) -> int:
    """How many functions of Python `work` calls."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


SHAPES: Mapping[str, Callable[[int], dict[int, set[int]]]] = {
    "side by side": lambda count: {n: set() for n in range(count)},
    "chain": lambda count: {n: {n - 1} if n else set() for n in range(count)},
    "all into one": lambda count: {n: set() if n < count - 1 else set(range(count - 1)) for n in range(count)},
    "one into all": lambda count: {n: {0} if n else set() for n in range(count)},
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("failing", [set(), {0}])
def test_the_work_of_scheduling_grows_with_the_tasks_and_not_faster(
    tmp_path: Path, shape: str, failing: set[int]
) -> None:
    """Eight times as many tasks take about eight times as many steps."""

    def steps(count: int) -> int:
        build = Pretended(tmp_path, SHAPES[shape](count), failing, 2)
        return calls_of(build.carry_out)

    few, many = steps(100), steps(800)

    assert many < 10 * few


NOTEBOOK = """\
{"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
 "cells": [{"cell_type": "code", "id": "a", "metadata": {"tags": ["parameters"]}, "outputs": [],
            "execution_count": null, "source": "upstream = %s\\nproduct = None\\nnumber = %d"},
           {"cell_type": "code", "id": "b", "metadata": {}, "outputs": [], "execution_count": null,
            "source": "import helper\\nprint(helper.one, number)"}]}
"""


def built(folder: Path, upstream: Mapping[int, set[int]]) -> Path:
    """A pipeline of notebooks that has been carried out, as far as the records say."""
    folder.mkdir()
    entries = []
    for n, above in upstream.items():
        names = "None" if not above else str([f"t{m}" for m in sorted(above)]).replace('"', "'")
        (folder / f"t{n}.ipynb").write_text(NOTEBOOK % (names, n))
        entries.append(f"  - {{source: t{n}.ipynb, product: build/t{n}.ipynb}}\n")
    (folder / "helper.py").write_text("one = 1\n")
    file = folder / "pipeline.yaml"
    file.write_text("tasks:\n" + "".join(entries))
    loaded = load(file, folder)
    state = state_of(loaded.pipeline)
    for task in loaded.pipeline.tasks:
        path = task.products["nb"]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(task.notebook.read_bytes())
    for task in loaded.pipeline.tasks:
        now = fingerprints.fingerprint(task, loaded.notebooks[task.name], pipeline=loaded.pipeline, look=Look())
        path = task.products["nb"]
        content, meaning = content_hash(path), meaning_hash(path)
        assert content is not None
        assert meaning is not None
        product = Product(str(path.relative_to(folder)), content.hex, meaning.hex)
        state.records.write(task.name, new_record(now, {"nb": product}, "run"))
    return file


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_the_work_of_a_run_with_nothing_to_do_grows_with_the_tasks_and_not_faster(tmp_path: Path, shape: str) -> None:
    """Reading, judging and telling: four times as many fresh tasks take about four times as many steps."""
    outcomes: set[str] = set()

    def hear(event: Event) -> None:
        if isinstance(event, TaskFinished):
            outcomes.add(event.outcome)

    def steps(count: int) -> int:
        file = built(tmp_path / f"p{count}", SHAPES[shape](count))
        # The first time, what was derived from the notebooks is kept.
        builds.build(load(file, file.parent), hear, run_id="first", workers=1)
        return calls_of(lambda: builds.build(load(file, file.parent), hear, run_id="second", workers=1))

    few, many = steps(40), steps(160)

    assert outcomes == {"fresh"}
    assert many < 4.5 * few


def test_what_a_run_with_nothing_to_do_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every product is read once, whoever reads it, and no code is parsed again."""
    file = built(tmp_path / "p", SHAPES["one into all"](10))
    builds.build(load(file, file.parent), lambda _: None, run_id="first", workers=1)
    hashed: list[str] = []
    digest = content_hash.__globals__["_file_digest"]
    monkeypatch.setattr(
        "nbproof.run.sources.hashes._file_digest", lambda path: hashed.append(path.name) or digest(path)
    )
    monkeypatch.setattr("nbproof.notebook.document.parse", None)
    monkeypatch.setattr("nbproof.notebook.contract.read", None)

    finished = builds.build(load(file, file.parent), lambda _: None, run_id="second", workers=1)

    assert finished.counts == {"fresh": 10}
    assert sorted(hashed) == [f"t{n}.ipynb" for n in range(10)]
