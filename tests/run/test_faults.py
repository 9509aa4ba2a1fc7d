"""Kills, interrupts, limits, cut files, full disks: products stay whole, nothing is left running, the next run mends.

Every run of the large pipeline is disturbed on its way from one seed to the next: at any moment each product is, to the
last byte, what the one seed makes or what the other does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from nbproof import assemble
from nbproof.assemble import RunReport
from nbproof.errors import Busy
from nbproof.records import Event, TaskFinished, TaskStarted
from nbproof.run.processes import holders

if TYPE_CHECKING:
    from conftest import Workspace

pytestmark = pytest.mark.slow

NBPROOF = Path(sys.executable).parent / "nbproof"
PATIENCE_S = 120.0
CHUNKS = 64

LEAF = """\
# %% tags=["parameters"]
upstream = None
product = {"data": ""}
seed: int = 1

# %%
import hashlib

with open(product["data"], "wb") as file:
    for chunk in range(64):
        file.write(hashlib.sha256(f"NAME/{seed}/{chunk}".encode()).digest() * 2048)
        file.flush()
"""
JOIN = """\
# %% tags=["parameters"]
upstream = {"left": {"data": ""}, "right": {"data": ""}}
product = {"data": ""}

# %%
import hashlib

read = hashlib.sha256()
for name in ("left", "right"):
    with open(upstream[name]["data"], "rb") as file:
        read.update(file.read())
with open(product["data"], "wb") as file:
    for chunk in range(64):
        file.write(hashlib.sha256(f"join/{read.hexdigest()}/{chunk}".encode()).digest() * 2048)
        file.flush()
"""
PIPELINE = """\
tasks:
  - source: left.py
    product: {nb: build/left/left.ipynb, data: build/left/left.bin}
  - source: right.py
    product: {nb: build/right/right.ipynb, data: build/right/right.bin}
  - source: join.py
    product: {nb: build/join/join.ipynb, data: build/join/join.bin}
"""
TASKS = ("left", "right", "join")


def content(name: str, key: object) -> bytes:
    """What `LEAF` and `JOIN` write: four megabytes that depend on every word of `key`."""
    return b"".join(hashlib.sha256(f"{name}/{key}/{chunk}".encode()).digest() * 2048 for chunk in range(CHUNKS))


def undisturbed(seed: int) -> dict[str, bytes]:
    """The products of a run that nobody disturbs, worked out without running anything."""
    leaves = {name: content(name, seed) for name in ("left", "right")}
    read = hashlib.sha256(leaves["left"] + leaves["right"]).hexdigest()
    return {**leaves, "join": content("join", read)}


def notebook(*cells: str, upstream: str = "None") -> str:
    """A percent script whose only product is the executed notebook."""
    parameters = f'# %% tags=["parameters"]\nupstream = {upstream}\nproduct = None\n'
    return "\n".join([parameters, *(f"# %%\n{cell}\n" for cell in cells)])


def pipeline_of(*names: str, executor: str = "") -> str:
    tasks = "".join(f"  - source: {name}.py\n    product: build/{name}.ipynb\n" for name in names)
    block = f"executor: {{dotted_path: nbproof.run.executor.TaskExecutor, {executor}}}\n" if executor else ""
    return f"tasks:\n{tasks}{block}"


def until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait for `condition` and return what it found."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


def parent_of(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None


class Disturbed:
    """A project to be disturbed: its processes, its products, and a run that goes on meanwhile."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.root = workspace, workspace.root

    def processes(self, word: str = "") -> list[psutil.Process]:
        """The processes that work in the project, found by where they are and not by what nbproof wrote down."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                here = Path(process.cwd()).is_relative_to(self.root)
                if here and process.pid != os.getpid() and word in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def kernels(self) -> list[psutil.Process]:
        found = self.processes("ipykernel_launcher")
        # Between fork and exec a kernel's child still looks like a kernel.
        pids = {process.pid for process in found}
        return [process for process in found if parent_of(process) not in pids]

    def workers(self) -> list[psutil.Process]:
        return self.processes("nbproof.run.worker")

    def check_no_process_left(self, patience_s: float = 15.0) -> None:
        until(lambda: not self.processes(), f"the end of {self.processes()}", patience_s)
        assert holders(lambda lease: str(self.root) in lease) == []

    def check_products(self, *seeds: int) -> None:
        """Every product that is there is, to the last byte, what an undisturbed run with one of `seeds` makes."""
        wholes = [undisturbed(seed) for seed in seeds]
        for task in TASKS:
            data = self.root / f"build/{task}/{task}.bin"
            if data.exists():
                assert data.read_bytes() in [whole[task] for whole in wholes], f"{data} is half written"
            executed = self.root / f"build/{task}/{task}.ipynb"
            if executed.exists():
                cells = json.loads(executed.read_bytes())["cells"]
                assert all(cell["execution_count"] for cell in cells), f"{executed} is half written"

    def check_finished(self, seed: int) -> None:
        """All products are there, and nothing else is."""
        assert {task: (self.root / f"build/{task}/{task}.bin").read_bytes() for task in TASKS} == undisturbed(seed)
        names = {path.name for path in (self.root / "build").rglob("*") if path.is_file()}
        assert names == {f"{task}.{ending}" for task in TASKS for ending in ("bin", "ipynb")}
        assert list((self.root / "build").rglob(".nbproof-*")) == []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `nbproof run` as a user does."""
        return subprocess.Popen(
            [NBPROOF, "run", "pipeline.yaml", *arguments],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def building(self, *parameters: str, force: bool = False) -> Iterator[list[RunReport]]:
        """Build in a thread; the report is in the list once the block has been left."""
        reports: list[RunReport] = []
        thread = threading.Thread(target=lambda: reports.append(self.workspace.build(*parameters, force=force)))
        thread.start()
        try:
            yield reports
        finally:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@pytest.fixture
def disturbed(workspace: Workspace) -> Disturbed:
    return Disturbed(workspace)


@pytest.fixture
def large(disturbed: Disturbed) -> Disturbed:
    """`left` and `right` beside each other, then `join`; four megabytes each."""
    for name in ("left", "right"):
        disturbed.workspace.write(f"{name}.py", LEAF.replace("NAME", name))
    disturbed.workspace.write("join.py", JOIN)
    disturbed.workspace.write("pipeline.yaml", PIPELINE)
    return disturbed


@pytest.fixture
def built(large: Disturbed) -> tuple[Disturbed, float]:
    """The large pipeline, built with seed 1, and how many seconds that took."""
    began = time.monotonic()
    assert large.workspace.build("seed=1").outcome == "done"
    large.check_finished(1)
    return large, time.monotonic() - began


# Ten kills each of the runner, of a kernel and of a worker: five rounds in two tests, which may run side by side.
ROUNDS = range(2, 7)


@pytest.mark.parametrize("lot", [1, 2])
def test_the_runner_is_killed(built: tuple[Disturbed, float], lot: int) -> None:
    """After `kill -9` of the runner its workers end by themselves, products are whole, and the next run completes."""
    project, length_s = built
    chance = random.Random(f"runner {lot}")

    for seed in ROUNDS:
        delay_s = chance.uniform(0, length_s)
        while not kill_runner(project, seed, delay_s):
            delay_s /= 2
        project.check_products(seed - 1, seed)
        project.check_no_process_left()
        project.check_products(seed - 1, seed)

        assert project.workspace.build(f"seed={seed}").outcome == "done"
        project.check_finished(seed)


def kill_runner(project: Disturbed, seed: int, delay_s: float) -> bool:
    """Kill the runner `delay_s` after its first task has begun; return whether it was still there to be killed."""
    with project.start("-p", f"seed={seed}", "--force") as runner:
        assert runner.stderr is not None
        assert runner.stderr.readline().startswith("start ")
        with contextlib.suppress(subprocess.TimeoutExpired):
            runner.wait(delay_s)
        runner.kill()
        runner.communicate(timeout=120)
    return runner.returncode == -signal.SIGKILL


@pytest.mark.parametrize("lot", [1, 2])
@pytest.mark.parametrize("victim", ["kernels", "workers"])
def test_a_kernel_or_a_worker_is_killed(built: tuple[Disturbed, float], victim: str, lot: int) -> None:
    """After `kill -9` of a kernel or of a worker its task fails, every product is whole, and the next run completes."""
    project, length_s = built
    chance = random.Random(f"{victim} {lot}")
    find: Callable[[], list[psutil.Process]] = getattr(project, victim)

    for seed in ROUNDS:
        delay_s = chance.uniform(0, 0.7 * length_s)
        while (report := kill_one(project, find, seed, delay_s, chance)) is None:
            delay_s /= 2
        project.check_no_process_left()
        project.check_products(seed - 1, seed)
        # A process that is killed after its work was done harms nobody.
        assert report.outcome in {"failed", "done"}
        for finished in report.finished:
            assert finished.outcome != "failed" or "died" in finished.reason or "signal 9" in finished.reason

        assert project.workspace.build(f"seed={seed}").outcome == "done"
        project.check_finished(seed)


def kill_one(
    project: Disturbed, find: Callable[[], list[psutil.Process]], seed: int, delay_s: float, chance: random.Random
) -> RunReport | None:
    """Kill one of those that `find` finds, `delay_s` after the first is there; None when the run was over by then."""
    has_killed = False
    with project.building(f"seed={seed}", force=True) as reports:
        until(lambda: find() or reports, "a process to kill")
        time.sleep(delay_s)
        while not has_killed and not reports:
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                chance.choice(find()).kill()
                has_killed = True
        project.check_products(seed - 1, seed)
    return reports[0] if has_killed else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_ends_in_one_line(large: Disturbed, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the kernels first, then the runner, with the exit code 130; the next run completes."""
    with large.start() as runner:
        until(large.kernels, "a kernel")
        runner.send_signal(number)
        _, said = runner.communicate(timeout=60)

    assert large.processes() == []
    assert runner.returncode == 130
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if line.startswith("error: ")] == [
        "error: interrupted; what was running has ended"
    ]
    large.check_products(1)
    assert large.workspace.build().outcome == "done"
    large.check_finished(1)


ESCAPES = """\
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
with open("escaped.pid", "w") as file:
    file.write(str(child.pid))
"""


def test_a_task_that_runs_too_long_ends_with_everything_that_it_started(disturbed: Disturbed) -> None:
    """The limit is wall-clock time; even a child in a session of its own does not outlive it."""
    disturbed.workspace.write("late.py", notebook(ESCAPES, "time.sleep(600)"))
    disturbed.workspace.write("pipeline.yaml", pipeline_of("late", executor="limits: {late: {timeout_s: 15}}"))

    began = time.monotonic()
    report = disturbed.workspace.build()

    assert time.monotonic() - began < 60
    (late,) = report.finished
    assert (late.outcome, late.reason) == ("failed", "ran longer than timeout_s=15")
    escaped = int((disturbed.root / "escaped.pid").read_text())
    assert not psutil.pid_exists(escaped) or psutil.Process(escaped).status() == psutil.STATUS_ZOMBIE
    disturbed.check_no_process_left()


def test_what_a_finished_task_left_behind_is_ended(disturbed: Disturbed) -> None:
    """A child in a session of its own does not outlive a task that succeeds, either."""
    disturbed.workspace.write("good.py", notebook(ESCAPES))
    disturbed.workspace.write("pipeline.yaml", pipeline_of("good"))

    assert disturbed.workspace.build().outcome == "done"

    assert (disturbed.root / "escaped.pid").exists()
    disturbed.check_no_process_left()


def listened(workspace: Workspace) -> tuple[RunReport, list[Event]]:
    """Build and return every event with the report."""
    events: list[Event] = []
    project = assemble.open_project(workspace.root)
    loaded = assemble.load_pipeline(project, workspace.root / "pipeline.yaml")
    return assemble.run(project, loaded, listeners=[events.append]), events


def test_a_task_is_tried_again_after_growing_pauses(disturbed: Disturbed) -> None:
    """With `retries: 2` a task that fails twice succeeds; before the third attempt the pause is twice as long."""
    flaky = """\
with open("attempts", "a+") as file:
    file.write("x")
    file.seek(0)
    assert len(file.read()) == 3, "not yet"
"""
    disturbed.workspace.write("flaky.py", notebook(flaky))
    limits = "limits: {flaky: {retries: 2, backoff_s: 1.5}}"
    disturbed.workspace.write("pipeline.yaml", pipeline_of("flaky", executor=limits))

    report, events = listened(disturbed.workspace)

    assert report.outcome == "done"
    started = [event for event in events if isinstance(event, TaskStarted)]
    finished = [event for event in events if isinstance(event, TaskFinished)]
    assert [event.attempt for event in started] == [1, 2, 3]
    assert [event.outcome for event in finished] == ["failed", "failed", "done"]
    assert "AssertionError: not yet; tried again in 1.5 s" in finished[0].reason
    pauses = [after.at - before.at for before, after in zip(finished, started[1:], strict=False)]
    assert 1.5 <= pauses[0] < 3.0
    assert pauses[1] >= 3.0


def test_a_task_that_never_succeeds_is_tried_only_so_often(disturbed: Disturbed) -> None:
    """`retries: 1` means two attempts; the run fails."""
    disturbed.workspace.write("never.py", notebook("raise ValueError('never')"))
    limits = "limits: {never: {retries: 1, backoff_s: 0}}"
    disturbed.workspace.write("pipeline.yaml", pipeline_of("never", executor=limits))

    report, events = listened(disturbed.workspace)

    assert report.outcome == "failed"
    assert [event.attempt for event in events if isinstance(event, TaskStarted)] == [1, 2]


def test_a_failed_task_stops_only_what_depends_on_it(disturbed: Disturbed) -> None:
    """The other branch is built; once mended, only the failed branch runs."""
    workspace = disturbed.workspace
    workspace.write("bad.py", notebook("raise ValueError('bad')"))
    workspace.write("good.py", notebook("1"))
    for name in ("bad", "good"):
        workspace.write(f"after_{name}.py", notebook("2", upstream=f'["{name}"]'))
    workspace.write("pipeline.yaml", pipeline_of("bad", "good", "after_bad", "after_good"))

    answer = workspace.run("--json", expect=1)

    outcomes = {task["task"]: task["outcome"] for task in json.loads(answer.stdout)["finished"]}
    assert outcomes == {"bad": "failed", "after_bad": "blocked", "good": "done", "after_good": "done"}
    assert "error: failed: bad; not started: after_bad" in answer.stderr.splitlines()
    assert not (disturbed.root / "build/bad.ipynb").exists()

    workspace.write("bad.py", notebook("1 + 1"))
    report = workspace.build()
    outcomes = {task.task: task.outcome for task in report.finished}
    assert outcomes == {"bad": "done", "after_bad": "done", "good": "fresh", "after_good": "fresh"}


def test_there_are_never_more_kernels_than_workers(disturbed: Disturbed) -> None:
    """With two workers two notebooks run at once, and never three kernels."""
    meet = """\
import os, time
open("NAME.here", "w").close()
deadline = time.monotonic() + 90
while not os.path.exists("OTHER.here"):
    assert time.monotonic() < deadline
    time.sleep(0.05)
time.sleep(0.5)
"""
    names = ["one", "two", "three", "four"]
    for name, other in [("one", "two"), ("two", "one"), ("three", "four"), ("four", "three")]:
        disturbed.workspace.write(f"{name}.py", notebook(meet.replace("NAME", name).replace("OTHER", other)))
    disturbed.workspace.write("pipeline.yaml", pipeline_of(*names))

    counts = set()
    with disturbed.building() as reports:
        deadline = time.monotonic() + PATIENCE_S
        while not reports and time.monotonic() < deadline:
            counts.add(len(disturbed.kernels()))
            time.sleep(0.02)

    assert reports[0].outcome == "done"
    assert max(counts) == 2


def test_waiting_takes_no_processor_time(disturbed: Disturbed) -> None:
    """While a notebook sleeps, its runner and its worker sleep, too."""
    disturbed.workspace.write("sleepy.py", notebook('open("asleep", "w").close()', "import time; time.sleep(12)"))
    disturbed.workspace.write("pipeline.yaml", pipeline_of("sleepy"))

    with disturbed.start() as process:
        until((disturbed.root / "asleep").exists, "the notebook to fall asleep")
        runner, (worker,) = psutil.Process(process.pid), disturbed.workers()
        time.sleep(1)
        before = [sum(found.cpu_times()[:2]) for found in (runner, worker)]
        time.sleep(8)
        after = [sum(found.cpu_times()[:2]) for found in (runner, worker)]
        process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    took_s = [end - begin for begin, end in zip(before, after, strict=True)]
    assert took_s[0] < 0.1
    assert took_s[1] < 0.5


def cut(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("pattern", "reruns"),
    [
        pytest.param("tasks/*/use.json", ["use"], id="the record of a task"),
        pytest.param("environments/*.json", [], id="an environment"),
    ],
)
def test_state_that_was_cut_short_costs_one_task(tiny: Workspace, pattern: str, reruns: list[str]) -> None:
    """A file of the state that is empty or cut anywhere makes at most one task run again, and never a crash."""
    assert tiny.build().outcome == "done"
    tiny.ran()

    for share in (0.0, 0.5, 0.99):
        (path,) = (tiny.root / ".nbproof").glob(pattern)
        cut(path, share)
        assert tiny.build().outcome == "done"
        assert tiny.ran() == reruns


def test_an_environment_cut_short_is_told_in_fewer_words(tiny: Workspace, tmp_path: Path) -> None:
    """What changed in the environment cannot be said any more, but that it changed can."""
    site = tmp_path / "site" / "somelib-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: somelib\nVersion: 1.0\n")
    environ = {"PYTHONPATH": str(site.parent)}
    tiny.run(env=environ)
    for path in (tiny.root / ".nbproof/environments").iterdir():
        cut(path, 0.5)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: somelib\nVersion: 2.0\n")

    answer = tiny.run(env=environ)

    assert "start   make: the environment changed\n" in answer.stderr


def test_a_note_of_the_holder_that_was_cut_short(tiny: Workspace) -> None:
    """The lock is the system's; the note beside it says only who has it, and may be broken."""
    tiny.edit("make.py", "import helper", "import helper, os, time\nwhile os.path.exists('hold'): time.sleep(0.1)")
    tiny.write("hold", "")
    holder = tiny.root / ".nbproof/locks/pipeline.yaml.holder.json"
    notes = ["", '{"pid": 1', "[]", '{"pid": 1, "since": "noon"}', '{"pid": 1, "since": 1e300}']

    thread = threading.Thread(target=tiny.build)
    thread.start()
    try:
        until((tiny.root / ".nbproof/kernels").exists, "the first build")
        for note in notes:
            holder.write_text(note)
            with pytest.raises(Busy, match="is being built by another process; expected no other build"):
                tiny.build()
    finally:
        (tiny.root / "hold").unlink()
        thread.join(PATIENCE_S)
    assert tiny.ran() == ["make", "use", "tell"]
    for note in notes:
        holder.write_text(note)
        assert tiny.build().outcome == "done"
    assert tiny.ran() == []


def in_namespace(project: Disturbed, *mounts: str) -> subprocess.CompletedProcess[str]:
    """Run the pipeline where only its own process tree sees what is mounted."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no `unshare` here, so no small file system can be made")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    probe = subprocess.run([unshare, *as_root, "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {probe.stderr.decode().strip()}")
    show = "find build -type f -exec sha256sum {} +"
    script = " && ".join([*mounts, f"'{NBPROOF}' run pipeline.yaml || status=$?; {show}; exit ${{status:-0}}"])
    return subprocess.run(
        [unshare, *as_root, "-m", "sh", "-c", script], cwd=project.root, capture_output=True, text=True, timeout=300
    )


def test_products_that_do_not_fit_on_the_disk(large: Disturbed) -> None:
    """A full disk fails the task that filled it; no half of a product takes its place."""
    (large.root / "build").mkdir()

    # Room for one product and a half.
    answer = in_namespace(large, "mount -t tmpfs -o size=6m tmpfs build")

    assert answer.returncode == 1
    assert "No space left on device" in answer.stderr
    assert "Traceback" not in answer.stderr
    published = dict(reversed(line.split()) for line in answer.stdout.splitlines() if line.endswith(".bin"))
    assert set(published) <= {"build/left/left.bin", "build/right/right.bin"}
    for path, digest in published.items():
        assert digest == hashlib.sha256(undisturbed(1)[Path(path).stem]).hexdigest()
    large.check_no_process_left()


def test_a_state_that_does_not_fit_on_the_disk(large: Disturbed) -> None:
    """A run that cannot be recorded fails in one line, and leaves no process."""
    (large.root / ".nbproof").mkdir()

    answer = in_namespace(large, "mount -t tmpfs -o size=16k tmpfs .nbproof")

    assert answer.returncode == 1
    assert "No space left on device" in answer.stderr
    assert "Traceback" not in answer.stderr
    large.check_no_process_left()
    assert large.workspace.build().outcome == "done"
    large.check_finished(1)


def test_what_a_killed_run_left_of_a_fresh_task_goes_with_the_next_run(disturbed: Disturbed) -> None:
    """A run that was forced and killed leaves a task fresh, and the folder where it was writing anew."""
    disturbed.workspace.write("good.py", notebook("1"))
    disturbed.workspace.write("pipeline.yaml", pipeline_of("good"))
    assert disturbed.workspace.build().outcome == "done"
    left = disturbed.root / "build/.nbproof-good/good.prepared.ipynb"
    left.parent.mkdir()
    left.write_text("{}")

    report = disturbed.workspace.build()

    assert [task.outcome for task in report.finished] == ["fresh"]
    assert not left.parent.exists()
