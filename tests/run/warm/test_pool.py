"""Which zygote serves, what makes it another one, when it ends, and what happens where there is none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trial_kernels import Said, kernel, said_by

from nbproof.run.warm import pool
from nbproof.run.warm.preload import Preload
from nbproof.run.warm.zygote import loading

pytestmark = pytest.mark.slow


def with_packages(packages: Path, **variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(packages), **variables}


def until(condition: Callable[[], object], patience_s: float = 90) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def serving(*imports: str) -> list[dict[str, Any]]:
    return [zygote for zygote in pool.zygotes() if tuple(zygote["imports"]) == imports]


def test_a_module_that_changed_is_imported_anew(packages: Path) -> None:
    """What lies on disk counts, not what a zygote once imported: it ends, and the next one takes its place."""
    (packages / "changing.py").write_text("VALUE = 1\n")
    env, cell = with_packages(packages), "import changing\nprint(changing.VALUE)"
    before = said_by(cell, env=env, imports=("changing",))
    (packages / "changing.py").write_text("VALUE = 22\n")
    time.sleep(loading.RECHECK_S)

    after = said_by(cell, env=env, imports=("changing",))

    assert (before[0].text, after[0].text) == ("1\n", "22\n")


def test_a_module_outside_the_installed_ones_is_looked_at_each_time(tmp_path: Path) -> None:
    """A distribution that is installed for development lies in its own folder, and changes often."""
    (tmp_path / "developed.py").write_text("VALUE = 1\n")
    env, cell = with_packages(tmp_path), "import developed\nprint(developed.VALUE)"
    said = []
    for value in (1, 22, 333):
        (tmp_path / "developed.py").write_text(f"VALUE = {value}\n")
        said += said_by(cell, env=env, imports=("developed",))

    assert [each.text for each in said] == ["1\n", "22\n", "333\n"]


def test_a_distribution_that_is_installed_ends_what_was_imported_before(packages: Path) -> None:
    """The environment is another one then: what is imported may find what is new."""
    (packages / "optional_user.py").write_text(
        "try:\n    import optional\n    FOUND = True\nexcept ImportError:\n    FOUND = False\n"
    )
    env, cell = with_packages(packages), "import optional_user\nprint(optional_user.FOUND)"
    before = said_by(cell, env=env, imports=("optional_user",))
    (packages / "optional.py").write_text("")

    after = said_by(cell, env=env, imports=("optional_user",))

    assert (before[0].text, after[0].text) == ("False\n", "True\n")


READS = """
import os
VALUE = os.environ.get("READ_WHEN_IMPORTED")
TAKEN = {name: value for name, value in os.environ.items() if name.startswith("TAKEN_")}
HERE = os.getcwd()
os.environ["SET_WHEN_IMPORTED"] = "yes"
"""


@pytest.mark.parametrize(
    "variables",
    [{"READ_WHEN_IMPORTED": "a"}, {"READ_WHEN_IMPORTED": "b"}, {}, {"TAKEN_ONE": "1"}],
)
def test_what_was_read_when_it_was_imported_is_what_a_cold_kernel_reads(
    packages: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    """Variables, all of them if all were looked through, and the folder; and what the import set is set."""
    (packages / "reading.py").write_text(READS)
    env = with_packages(packages, **variables)
    cell = "import os, reading\nprint(reading.VALUE, reading.TAKEN, reading.HERE, os.environ['SET_WHEN_IMPORTED'])"
    # The zygote that is there first read something else, elsewhere.
    said_by("1", env=with_packages(packages, READ_WHEN_IMPORTED="other"), imports=("reading",))

    warm, cold = (said_by(cell, env=env, cwd=tmp_path, warm=warm, imports=("reading",)) for warm in (True, False))

    assert warm == cold


def test_variables_of_the_notebook_are_set_while_its_imports_are_done_and_not_before_it(packages: Path) -> None:
    """They are there for the import, as in a cold kernel, and the kernel begins without them."""
    (packages / "limited.py").write_text("import os\nTHREADS = os.environ.get('SOME_NUM_THREADS')\n")
    ahead = Preload(("limited",), {"SOME_NUM_THREADS": "1"})
    cells = (
        "import os\nprint(os.environ.get('SOME_NUM_THREADS'))",
        "os.environ['SOME_NUM_THREADS'] = '1'\nimport limited\nprint(limited.THREADS)",
    )

    warm, cold = (said_by(*cells, env=with_packages(packages), ahead=ahead, warm=warm) for warm in (True, False))

    assert [each.text for each in warm] == ["None\n", "1\n"]
    assert warm == cold


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("print('imported')", "it says something"),
        ("import warnings\nwarnings.warn('deprecated')", "it says something"),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()", "a thread"),
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_what_cannot_be_imported_ahead_is_left_to_the_kernel(packages: Path, source: str, why: str) -> None:
    """What it says, starts or raises is said, started or raised in the cell that imports it; the rest stays warm."""
    (packages / "difficult.py").write_text(source)
    (packages / "simple.py").write_text("")
    cells = ("import difficult", "import sys, simple, threading\nprint(threading.active_count())")

    warm, cold = (
        said_by(*cells, env=with_packages(packages), warm=warm, imports=("difficult", "simple"))
        for warm in (True, False)
    )

    assert [each.error for each in warm] == [each.error for each in cold]
    assert [each.text.replace("\n", " ")[-40:] for each in warm] == [
        each.text.replace("\n", " ")[-40:] for each in cold
    ]
    assert serving("simple")
    notes = [note.read_text() for note in pool.runtime_folder().glob("*.refused")]
    assert any("`difficult`" in note and why in note for note in notes)


def test_a_submodule_that_only_a_later_import_brings_is_missing_as_in_a_cold_kernel(packages: Path) -> None:
    """A notebook that would fail without us fails with us: it gets a kernel with nothing ahead."""
    for name, source in {"bag/__init__": "", "bag/inner": "", "user": "import bag.inner\n"}.items():
        (packages / f"{name}.py").parent.mkdir(exist_ok=True)
        (packages / f"{name}.py").write_text(source)
    ahead = Preload(("bag", "user"), uses={"bag.inner": 1})
    cells = ("import bag\nbag.inner", "import user\nprint(bag.inner.__name__)")

    async def one() -> tuple[list[Said], bool]:
        async with kernel(ahead=ahead, env=with_packages(packages)) as live:
            return [await live.run(cell) for cell in cells], live.is_warm

    said, is_warm = asyncio.run(one())

    assert said[0].error.startswith("AttributeError")
    assert said[1].text == "bag.inner\n"
    assert not is_warm


def test_a_zygote_ends_when_nobody_asks_any_more(packages: Path) -> None:
    """After the time that was set, and its socket goes with it."""
    (packages / "brief.py").write_text("")
    env = with_packages(packages, NBPROOF_WARM_IDLE_S="0.5")

    said_by("1", env=env, imports=("brief",))

    assert serving("brief")
    until(lambda: not serving("brief"))


def test_a_zygote_ends_with_its_socket(packages: Path) -> None:
    """The folder of sockets goes when its user logs out; nobody can ask any more then."""
    (packages / "orphan.py").write_text("")
    said_by("1", env=with_packages(packages), imports=("orphan",))
    (found,) = serving("orphan")
    for place in pool.runtime_folder().glob("*.sock"):
        connection = pool._connect(place)
        if connection is not None:
            pool.wire.send(connection, {"ask": "about"})
            answer, _ = pool.wire.receive(connection)
            connection.close()
            if answer["pid"] == found["pid"]:
                place.unlink()

    until(lambda: not Path(f"/proc/{found['pid']}").exists())


def test_sockets_are_their_users_alone() -> None:
    """Folder and sockets: whoever can ask can run what they like."""
    said_by("1")
    folder = pool.runtime_folder()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for place in folder.glob("*.sock"):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o710])
def test_a_folder_that_others_can_enter_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    """Kernels start cold rather than from what somebody else may have put there."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    monkeypatch.setenv(pool.RUNTIME_VARIABLE, str(folder))

    with pytest.raises(pool.NotWarm, match="must belong to this user alone"):
        pool.runtime_folder()
    assert said_by("print(1)", warm=False)[0].text == "1\n"
    assert _is_cold()
    assert list(folder.iterdir()) == []


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made it may point it elsewhere."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv(pool.RUNTIME_VARIABLE, str(tmp_path / "link"))

    with pytest.raises(pool.NotWarm):
        pool.runtime_folder()


def _is_cold() -> bool:
    async def one() -> bool:
        async with kernel() as live:
            return not live.is_warm

    return asyncio.run(one())


def test_a_kernel_that_starts_cold_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason; the second one is silent."""
    folder = tmp_path / ("a-long-name-" * 8)
    folder.mkdir(mode=0o700)
    monkeypatch.setenv(pool.RUNTIME_VARIABLE, str(folder))

    assert _is_cold()
    assert _is_cold()

    said = [record.message for record in caplog.records if "starts cold" in record.message]
    assert said == [f"this kernel starts cold: `{folder}` is too long a path for a socket"]


def test_a_zygote_of_another_version_of_ours_is_another_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an update nobody talks to what was started before it."""
    wanted = pool.Wanted("kernel", sys.executable)
    before = pool._place(wanted, os.environ, None)
    monkeypatch.setattr(pool, "_own_code", lambda: "another")

    assert pool._place(wanted, os.environ, None) != before


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "OMP_NUM_THREADS", "LC_ALL", "CUDA_VISIBLE_DEVICES"])
def test_variables_that_native_code_reads_make_another_zygote(name: str) -> None:
    """They are read once, when a library is loaded, and nobody can watch that."""
    wanted = pool.Wanted("kernel", sys.executable, imports=("numpy",))

    places = {pool._place(wanted, {**os.environ, name: value}, None) for value in ("1", "2")}

    assert len(places) == 2


def test_cuda_that_was_initialised_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child cannot use it: the zygote refuses to be one."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(loading.threading, "enumerate", lambda: [loading.threading.main_thread()])

    assert loading.why_not_to_fork(list) == "an import initialised CUDA"


def test_a_request_that_makes_no_sense_harms_nobody(packages: Path) -> None:
    """Noise, silence and nonsense at the socket: the next kernel starts all the same."""
    said_by("1")
    for place in pool.runtime_folder().glob("*.sock"):
        for noise in (b"", b"\xff\xff\xff\xff", b"\0\0\0\x02[]", b'\0\0\0\x0c{"ask":"no"}', b"GET / HTTP/1.1\r\n\r\n"):
            connection = pool._connect(place)
            if connection is not None:
                connection.sendall(noise)
                connection.close()

    assert said_by("print('on')")[0].text == "on\n"


def test_a_starter_that_dies_blocks_nobody(packages: Path) -> None:
    """The lock goes with its holder; whoever waits starts the zygote then."""
    (packages / "slow.py").write_text("import time\ntime.sleep(3)\n")
    code = "import sys\nsys.path[:0] = sys.argv[1:]\nfrom trial_kernels import said_by\nsaid_by('1', imports=('slow',))"
    here = str(Path(__file__).parent)
    env = {**os.environ, "PYTHONPATH": str(packages)}
    with subprocess.Popen([sys.executable, "-c", code, here], env=env, start_new_session=True) as starter:
        time.sleep(2)
        os.killpg(starter.pid, signal.SIGKILL)

    assert said_by("import slow\nprint('on')", env=env, imports=("slow",))[0].text == "on\n"


def test_a_process_with_many_open_files_can_have_warm_kernels() -> None:
    """A server may have thousands; numbers above 1024 are files as well."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1200)]
    try:
        wanted = pool.Wanted("kernel", sys.executable)
        process = pool.fork(
            wanted, {"argv": ["ipykernel_launcher"], "title": ["-m", "ipykernel_launcher"]}, os.environ, Path.cwd()
        )
        said = process.hear(120)
        process.kill()
        status = process.wait(120)
        process.close()
    finally:
        for file in held:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert said is not None
    assert "listening" in said
    assert status == -signal.SIGKILL


def test_nobody_waits_for_imports_in_front_of_a_screen(packages: Path) -> None:
    """The first kernel begins with nothing ahead, at once; the next one finds all imported meanwhile."""
    (packages / "lengthy.py").write_text("import time\ntime.sleep(2)\n")
    env, cell = with_packages(packages), "import sys\nprint('lengthy' in sys.modules)"
    said_by("1", env=env)

    first = said_by(cell, env=env, imports=("lengthy",), is_patient=False)
    until(lambda: serving("lengthy"))
    second = said_by(cell, env=env, imports=("lengthy",), is_patient=False)

    assert (first[0].text, second[0].text) == ("False\n", "True\n")


def test_a_kernel_that_somebody_starts_has_what_was_named(packages: Path) -> None:
    """`NBPROOF_PRELOAD` names modules where no notebook is known."""
    (packages / "named.py").write_text("")
    env = with_packages(packages, NBPROOF_PRELOAD=" named ,json")

    (said,) = said_by("import sys\nprint('named' in sys.modules)", env=env)

    assert said.text == "True\n"
    assert serving("named", "json")


def test_a_kernel_of_a_notebook_has_what_that_imports(tmp_path: Path, packages: Path) -> None:
    """A Jupyter server tells a kernel which notebook it is for."""
    file = tmp_path / "explore.ipynb"
    cell = {"cell_type": "code", "source": ["import json\n", "import yaml"], "metadata": {}, "outputs": []}
    file.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))

    (said,) = said_by(
        "import sys\nprint('yaml' in sys.modules, __session__)", env={**os.environ, "JPY_SESSION_NAME": str(file)}
    )

    assert said.text == f"True {file}\n"
