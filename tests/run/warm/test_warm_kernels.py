"""A warm kernel is what a cold one is: its surroundings, its chance, its life and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from trial_kernels import PATIENCE_S, Said, kernel, said_by

from nbproof.run.warm import pool

pytestmark = pytest.mark.slow

# Everything about a process that code can see and that its start decides.
STATE = """
import gc, json, locale, logging, os, resource, signal, sys, tempfile, threading, warnings
print(json.dumps({
    "path": sys.path, "argv": [sys.argv[0], len(sys.argv)], "orig_argv": [*sys.orig_argv[:3], len(sys.orig_argv)],
    "flags": str(sys.flags), "main": sorted(vars(sys.modules["__main__"])), "name": __name__,
    "file": getattr(sys.modules["__main__"], "__file__", None), "cwd": os.getcwd(),
    "environ": {name: value for name, value in os.environ.items() if name != "JPY_PARENT_PID"},
    "signals": {number.name: str(signal.getsignal(number))[:30] for number in signal.Signals},
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "threads": threading.active_count(),
    "handlers": len(logging.root.handlers), "level": logging.root.level,
    "filters": [str(each[:3]) for each in warnings.filters], "locale": locale.setlocale(locale.LC_ALL),
    "umask": [os.umask(0o27), os.umask(0o22)][0],
    "group": os.getpgid(0) == os.getpid(), "session": os.getsid(0) == os.getpid(),
    "hooks": [type(sys.displayhook).__name__, sys.excepthook.__name__], "gc": [gc.isenabled(), gc.get_threshold()],
    "limits": [resource.getrlimit(number) for number in range(16)], "temporary": tempfile.gettempdir(),
    "encodings": [sys.stdin.encoding, sys.stdout.encoding, sys.stderr.encoding], "isatty": sys.stdout.isatty(),
    "nice": os.getpriority(os.PRIO_PROCESS, 0), "cores": sorted(os.sched_getaffinity(0)),
    "recursion": sys.getrecursionlimit(), "shell": type(get_ipython()).__name__,
    "configurables": sorted(type(each).__name__ for each in get_ipython().configurables),
    "hist": get_ipython().history_manager.hist_file, "targets": sorted(get_ipython().kernel.comm_manager.targets),
    "starting_dir": get_ipython().starting_dir, "dh": [str(each) for each in _dh],
    "sections": sorted(get_ipython().config), "next_thread": threading.Thread(target=print).name,
}))
"""


def test_it_is_what_a_cold_one_is(tmp_path: Path) -> None:
    """Path, arguments, names, environment, signals, threads, filters, limits, hooks: nothing differs."""
    env = {"TMPDIR": str(tmp_path), "OF_THIS_KERNEL": "1"}

    (warm,), (cold,) = (said_by(STATE, warm=warm, env=env, cwd=tmp_path) for warm in (True, False))

    assert json.loads(warm.text) == json.loads(cold.text)


WIDGETS = """
import ipywidgets, matplotlib.pyplot, tqdm.auto
print(sorted(get_ipython().kernel.comm_manager.targets), tqdm.auto.tqdm.__module__, matplotlib.get_backend())
print(sorted(map(str, get_ipython().events.callbacks["post_execute"])) != [], matplotlib.pyplot._REPL_DISPLAYHOOK)
"""
KEPT = """
import os, pandas, sys
print(pandas.get_option("display.max_columns"), pandas.get_option("display.encoding"), open.__module__)
print(os.environ.get("PYDEVD_USE_FRAME_EVAL"))
type(os.environ).__name__
"""


def test_what_is_imported_finds_a_cell_around_it() -> None:
    """pandas asks for the shell and for the encoding of its streams; `open` and the environment are Python's own."""
    opened = "open('nothing there')"

    warm, cold = (said_by(KEPT, opened, warm=warm, imports=("pandas",)) for warm in (True, False))

    assert warm == cold


FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"


@pytest.mark.parametrize("backend", [None, "agg"])
def test_what_hooks_itself_into_the_shell_finds_it(backend: str | None) -> None:
    """Widgets, progress bars and figures, which look at the shell when they are imported, do as in a cold kernel."""
    imports = ("ipywidgets", "matplotlib.pyplot", "tqdm.auto")
    env = {"MPLBACKEND": backend} if backend else {}
    plain = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}

    said = {warm: said_by(WIDGETS, FIGURE, warm=warm, env={**plain, **env}, imports=imports) for warm in (True, False)}

    assert said[True] == said[False]
    assert ("image/png" in said[True][1].types) == (backend is None)


CHANCE = "import random, numpy, torch\nprint(random.random(), numpy.random.rand(), torch.rand(1).item())"


def test_chance_is_fresh_in_each_and_obeys_its_seed() -> None:
    """Two kernels of one zygote share no chance; with the same seeds they agree, and with a cold one."""
    seeded = "import random, numpy, torch\nrandom.seed(1)\nnumpy.random.seed(1)\ntorch.manual_seed(1)\n" + CHANCE
    imports = ("numpy", "torch")

    fresh = [value for _ in range(2) for value in said_by(CHANCE, imports=imports)[0].text.split()]
    warm, again, cold = (said_by(seeded, warm=warm, imports=imports)[0].text for warm in (True, True, False))

    assert len(set(fresh)) == 6
    assert warm == again == cold


# What hangs, or is killed, where a library has worked in the process that was forked.
HAZARDS = {
    "threads of torch": """
import torch
x = torch.ones(400, 400, requires_grad=True)
(x @ x).sum().backward()
x.grad.sum().item()
""",
    "gradient boosting": """
from sklearn.ensemble import HistGradientBoostingClassifier
rows, labels = [[0.0], [1.0]] * 200, [0, 1] * 200
HistGradientBoostingClassifier(max_iter=3).fit(rows, labels).score(rows, labels)
""",
    "k-means": """
from sklearn.cluster import KMeans
sorted(KMeans(2, n_init=1, random_state=0).fit([[0.0], [9.0]]).cluster_centers_.ravel())
""",
    "processes of loky": """
from joblib import Parallel, delayed
Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(4))
""",
    "processes that are forked": "import multiprocessing as m\nm.get_context('fork').Pool(2).map(abs, [-1, -2])",
    "processes that are spawned": "import multiprocessing as m\nm.get_context('spawn').Pool(1).map(abs, [-1, -2])",
    "a server of forks": "import multiprocessing as m\nm.get_context('forkserver').Pool(1).map(abs, [-1, -2])",
    "a pool of threads": """
from concurrent.futures import ThreadPoolExecutor
list(ThreadPoolExecutor(2).map(abs, [-1, -2]))
""",
    "linear algebra": "import numpy as np\nround(float(np.linalg.norm(np.ones((600, 600)) @ np.ones((600, 600)))))",
    "tables": """
import io, pandas
file = io.BytesIO()
pandas.DataFrame({"x": [1, 2]}).to_parquet(file)
pandas.read_parquet(io.BytesIO(file.getvalue())).x.sum().item()
""",
    "compiled loops in parallel": """
import numba
@numba.njit(parallel=True)
def total(n):
    found = 0
    for i in numba.prange(n):
        found += i
    return found
total(1000)
""",
    "sqlite": "import sqlite3\nsqlite3.connect(':memory:').execute('select 1 + 1').fetchall()",
    "a loader of batches": """
import torch
[len(batch) for batch in torch.utils.data.DataLoader(list(range(8)), batch_size=4, num_workers=2)]
""",
    "a process": "import subprocess\nsubprocess.run(['echo', 'said'], capture_output=True, text=True).stdout",
    "a shell line": "!echo said",
    "what is awaited": "import asyncio\nawait asyncio.sleep(0.01, 'awaited')",
    "a descriptor": "import os\n_ = os.write(1, b'raw\\n')",
    "an error": "def f():\n    return 1 / 0\nf()",
    "logging": "import logging\nlogging.getLogger('x').warning('said')",
    "a warning": "import warnings\nwarnings.warn('said')",
}
HEAVY = (
    "numpy", "pandas", "torch", "torch.utils.data", "sklearn.ensemble", "sklearn.cluster", "joblib", "numba",
    "pyarrow.parquet",
)  # fmt: skip


def test_libraries_work_after_the_fork_as_they_do_without() -> None:
    """Each of the known hazards of forking, one after the other in one kernel; none hangs, and all say the same."""
    cells = list(HAZARDS.values())

    warm, cold = (said_by(*cells, warm=warm, imports=HEAVY) for warm in (True, False))

    for name, in_warm, in_cold in zip(HAZARDS, warm, cold, strict=True):
        assert (name, _plain(in_warm)) == (name, _plain(in_cold))


def _plain(said: Said) -> Said:
    # The path of a cell's file holds the number of its process.
    return Said("\n".join(line for line in said.text.splitlines() if "ipykernel_" not in line), said.error, said.types)


STARTS = """
import threading
go = threading.Event()
def speak():
    go.wait()
    print("from the thread")
thread = threading.Thread(target=speak)
thread.start()
print("started")
"""
GOES = "print('goes')\ngo.set()\nthread.join()"


def test_threads_speak_in_the_cell_that_a_cold_kernel_gives_them() -> None:
    """Before ipykernel 7 that is the cell that started them, since then the one that runs."""

    async def one(warm: bool) -> list[str]:
        async with kernel(warm=warm) as live:
            said = dict.fromkeys((live.client.execute(STARTS), live.client.execute(GOES)), "")
            *_, last = said
            while True:
                message = await live.client.get_iopub_msg(timeout=PATIENCE_S)
                cell, content = message["parent_header"].get("msg_id"), message["content"]
                if message["msg_type"] == "stream":
                    said[cell] += content["text"]
                if cell == last and content.get("execution_state") == "idle":
                    return list(said.values())

    warm, cold = (asyncio.run(one(warm)) for warm in (True, False))

    assert warm == cold
    assert "".join(sorted(warm)).count("from the thread\n") == 1


def test_an_interrupt_ends_a_cell_and_not_the_kernel() -> None:
    """As Ctrl-C does."""

    async def one() -> tuple[str, Said]:
        async with kernel() as live:
            # Else the kernel, for a moment after an error, turns down what it is asked next.
            live.client.execute("import time\ntime.sleep(600)", stop_on_error=False)
            await asyncio.sleep(1)
            await live.manager.interrupt_kernel()
            reply = await live.client.get_shell_msg(timeout=PATIENCE_S)
            # The streams of a cell that was interrupted may swallow what the next one says, warm or cold.
            await live.run("kept = 'on'")
            return reply["content"]["ename"], await live.run("kept")

    interrupted, after = asyncio.run(one())

    assert interrupted == "KeyboardInterrupt"
    assert after.text == "'on'"


def test_a_restart_gives_a_fresh_kernel_at_the_same_ports() -> None:
    """Clients that stay connected find it again."""

    async def one() -> tuple[Said, bool, bool, bool]:
        async with kernel() as live:
            await live.run("kept = 1")
            pid, ports = live.pid, live.manager.get_connection_info()
            await live.restart()
            same = live.manager.get_connection_info() == ports
            return await live.run("kept"), live.pid != pid, same, live.is_warm

    lost, is_other, has_same_ports, is_warm = asyncio.run(one())

    assert lost.error.startswith("NameError")
    assert (is_other, has_same_ports, is_warm) == (True, True, True)


def test_a_crash_takes_only_its_own_kernel() -> None:
    """Neither its sibling nor the process that both come from."""

    async def one() -> tuple[int, Said]:
        async with kernel() as first, kernel() as second:
            os.kill(first.pid, signal.SIGSEGV)
            status = first.manager.provisioner.process.wait(PATIENCE_S)
            return status, await second.run("print('alive')")

    status, sibling = asyncio.run(one())

    assert status == -signal.SIGSEGV
    assert sibling.text == "alive\n"


def test_a_kernel_outlives_its_zygote_and_the_next_one_gets_another() -> None:
    """The zygote starts kernels; it is not needed for their life."""

    async def one() -> tuple[Said, bool]:
        async with kernel() as live:
            for zygote in pool.zygotes():
                if live.pid in zygote["children"]:
                    os.kill(zygote["pid"], signal.SIGKILL)
            await asyncio.sleep(0.5)
            async with kernel() as other:
                return await live.run("print('alive')"), other.is_warm

    said, is_warm = asyncio.run(one())

    assert said.text == "alive\n"
    assert is_warm


LEAVER = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from trial_kernels import kernel
async def one():
    async with kernel() as live:
        await live.run("import subprocess; child = subprocess.Popen(['sleep', '600'])")
        said = await live.run("print(child.pid)")
        print(live.pid, said.text, end="", flush=True)
        await asyncio.sleep(600)
asyncio.run(one())
"""


@pytest.mark.parametrize("zygote_dies", [False, True])
def test_a_kernel_ends_with_whoever_leased_it(zygote_dies: bool) -> None:
    """With all that it started, and even where nobody else is left to see to it."""
    code = LEAVER.format(tests=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as lessee:
        assert lessee.stdout is not None
        pids = [int(word) for word in lessee.stdout.readline().split()]
        if zygote_dies:
            for zygote in pool.zygotes():
                if pids[0] in zygote["children"]:
                    os.kill(zygote["pid"], signal.SIGKILL)
        lessee.kill()

    deadline = time.monotonic() + 120
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_end_of_a_kernel_is_the_end_of_a_process(tmp_path: Path) -> None:
    """Files that were left open are written, finalizers and exit handlers run."""
    cell = """
import atexit
class Stranger:
    @property
    def __class__(self):
        raise RuntimeError("nobody asks me")
stranger = [Stranger()]
class Last:
    def __del__(self):
        with open("finalized", "w") as file:
            file.write("yes")
kept, left_open = Last(), open("left_open", "w")
_ = left_open.write("all of it")
_ = atexit.register(lambda: open("at_exit", "w").write("yes"))
"""

    said_by(cell, cwd=tmp_path)

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "finalized": "yes", "left_open": "all of it", "at_exit": "yes",
    }  # fmt: skip


def test_options_of_the_kernel_count() -> None:
    """A kernel that is started with options has a shell made for them."""
    options = ("--HistoryManager.hist_file=:memory:", "--InteractiveShell.ast_node_interactivity=all")

    (said,) = said_by("1\n2", options=options)

    assert said.text == "12"


def test_the_system_shows_what_it_is() -> None:
    """`ps` shows a kernel, not what it was forked from, and whoever looks for its lease finds that."""

    async def one() -> tuple[list[str], bytes]:
        async with kernel(env={"NBPROOF_LEASE": "scope/run/token"}) as live:
            environ = Path(f"/proc/{live.pid}/environ").read_bytes()
            return psutil.Process(live.pid).cmdline(), environ

    command, environ = asyncio.run(one())

    assert [word for word in command if word][1:4] == ["-m", "ipykernel_launcher", "-f"]
    assert b"NBPROOF_LEASE=scope/run/token\0" in environ
