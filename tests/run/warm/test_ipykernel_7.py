"""Warm kernels of ipykernel 7: what holds with the version that is tested else holds with it, and it can more."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trial_kernels import PATIENCE_S, Live, kernel, said_by

from nbproof.run.warm import pool

REPOSITORY = Path(__file__).parents[3]
SEVEN = Path(sys.prefix, "ipykernel-7", "site-packages")
PATH = {"PYTHONPATH": os.pathsep.join([str(SEVEN), str(REPOSITORY / "src")])}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (SEVEN / "ipykernel").is_dir(),
        reason=f"there is no ipykernel 7 in {SEVEN}: `make test` puts it there",
    ),
]

# Of the tests of warm kernels, those that say the most about a kernel's start and life, and take seconds.
ALSO_WITH_IT = {
    "tests/run/warm/test_warm_kernels.py": (
        "test_it_is_what_a_cold_one_is",
        "test_an_interrupt_ends_a_cell_and_not_the_kernel",
        "test_a_restart_gives_a_fresh_kernel_at_the_same_ports",
        "test_a_crash_takes_only_its_own_kernel",
        "test_the_end_of_a_kernel_is_the_end_of_a_process",
        "test_options_of_the_kernel_count",
        "test_the_system_shows_what_it_is",
        "test_threads_speak_in_the_cell_that_a_cold_kernel_gives_them",
    ),
    "tests/run/warm/test_warm_equals_cold.py": tuple(
        f"test_outputs_are_the_same[{name}]"
        for name in ("background_jobs", "capturing_output", "updating_displays", "widget_events")
    ),
    "tests/lab/test_warm_sessions.py": (
        "test_a_session_runs_a_cell[nbproof-warm]",
        "test_interrupt_restart_and_end_by_rest[nbproof-warm]",
    ),
}  # fmt: skip


def test_what_holds_with_the_other_version_holds_with_it() -> None:
    """The same tests, with the manager and client that come with it in Papermill's engine and JupyterLab's server."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    chosen = [f"{file}::{test}" for file, tests in ALSO_WITH_IT.items() for test in tests]

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        cwd=REPOSITORY, env={**environ, **PATH}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{len(chosen)} passed" in ended.stdout


def test_it_is_warm_and_of_that_version() -> None:
    """The zygote knows it, and has no thread when it forks."""
    before = {each["pid"]: each["forks"] for each in pool.zygotes()}
    (said,) = said_by("import ipykernel\nprint(ipykernel.version_info[0])", env=PATH)
    # Those of other tests may be importing what begins threads.
    forked = [each["pid"] for each in pool.zygotes() if each["forks"] > before.get(each["pid"], 0)]

    assert said.text == "7\n"
    assert [len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in forked] == [1]


def test_a_version_that_is_not_known_starts_cold_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It runs all the same; what it changed in its start is for us to learn first."""
    shutil.copytree(SEVEN / "ipykernel", tmp_path / "ipykernel")
    version = tmp_path / "ipykernel" / "_version.py"
    version.write_text(re.sub(r'__version__ = "[^"]+"', '__version__ = "8.0.0"', version.read_text()))
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), PATH["PYTHONPATH"]])}

    async def one() -> tuple[str, bool]:
        async with kernel(env=env) as live:
            return (await live.run("import ipykernel\nprint(ipykernel.__version__)")).text, live.is_warm

    assert [asyncio.run(one()) for _ in range(2)] == [("8.0.0\n", False)] * 2
    said = [record.message for record in caplog.records if "starts cold" in record.message]
    assert said == ["this kernel starts cold: ipykernel 8.0.0 is not known here, 6.x and 7.x are"]


def test_no_kernel_sees_what_another_did() -> None:
    """Two forks of one zygote, both alive: names, modules, variables, folders."""

    async def one() -> list[str]:
        async with kernel(env=PATH) as first, kernel(env=PATH) as second:
            await first.run("import colorsys, os\nkept = colorsys.kept = 1\nos.environ['KEPT'] = '1'\nos.chdir('/')")
            said = await second.run(
                "import colorsys, os\nprint('kept' in globals(), hasattr(colorsys, 'kept'), os.environ.get('KEPT'), "
                "os.getcwd() != '/')"
            )
            (zygote,) = (each for each in pool.zygotes() if first.pid in each["children"])
            return [said.text, str(second.pid in zygote["children"])]

    assert asyncio.run(one()) == ["False False None True\n", "True"]


async def ask(live: Live, kind: str, content: Any, *, channel: str = "control") -> Any:
    """Ask something of a kernel that no method of the client asks; return the content of its answer."""
    message = live.client.session.msg(kind, content)
    asking = getattr(live.client, f"{channel}_channel")
    asking.send(message)
    while True:
        reply = await asking.get_msg(timeout=PATIENCE_S)
        if reply["parent_header"]["msg_id"] == message["header"]["msg_id"]:
            return reply["content"]


RUN = {"silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False, "stop_on_error": False}


def test_a_subshell_answers_while_a_cell_runs() -> None:
    """It is made and ended on the control channel, and sees what the notebook sees."""

    async def one() -> list[Any]:
        async with kernel(env=PATH) as live:
            supports = (await ask(live, "kernel_info_request", {}))["supported_features"]
            made = await ask(live, "create_subshell_request", {})
            await live.run("import threading\nkept, go = 21, threading.Event()")
            live.client.execute("go.wait()", store_history=False)
            await _heard(live, "execute_input", code="go.wait()")
            within = {"subshell_id": made["subshell_id"]}
            code = {"code": "go.set()", **RUN, "user_expressions": {"answer": "kept * 2"}}
            question = live.client.session.msg("execute_request", code)
            question["header"].update(within)
            live.client.shell_channel.send(question)
            # Both cells end at the same moment, in either order.
            replies = [await live.client.get_shell_msg(timeout=PATIENCE_S) for _ in range(2)]
            said = {reply["parent_header"]["msg_id"]: reply["content"] for reply in replies}[question["msg_id"]]
            listed = await ask(live, "list_subshell_request", {})
            await ask(live, "delete_subshell_request", within)
            left = await ask(live, "list_subshell_request", {})
            return [
                "kernel subshells" in supports, said["user_expressions"]["answer"]["data"]["text/plain"],
                listed["subshell_id"] == [made["subshell_id"]], left["subshell_id"],
            ]  # fmt: skip

    assert asyncio.run(one()) == [True, "42", True, []]


DEBUGGED = "def f(x):\n    y = x + 1\n    return y\nf(20)"


def test_the_debugger_stops_where_it_is_told_to() -> None:
    """Attached, it stops at a breakpoint, shows the frames of the notebook alone and their variables, and goes on."""

    async def one() -> list[Any]:
        async with kernel(env=PATH) as live:
            numbers = iter(range(1, 100))

            async def debug(command: str, **arguments: Any) -> Any:
                request = {"type": "request", "seq": next(numbers), "command": command, "arguments": arguments}
                answer = await ask(live, "debug_request", request)
                assert answer["success"], answer
                return answer.get("body", {})

            await debug(
                "initialize", clientID="test", clientName="test", adapterID="", pathFormat="path", linesStartAt1=True,
                columnsStartAt1=True, supportsVariableType=True, supportsVariablePaging=True,
                supportsRunInTerminalRequest=True, locale="en",
            )  # fmt: skip
            await debug("attach")
            path = (await debug("dumpCell", code=DEBUGGED))["sourcePath"]
            await debug("setBreakpoints", breakpoints=[{"line": 3}], source={"path": path}, sourceModified=False)
            await debug("configurationDone")
            live.client.execute(DEBUGGED)
            await _heard(live, "debug_event", event="stopped")
            frames = (await debug("stackTrace", threadId=1))["stackFrames"]
            scopes = (await debug("scopes", frameId=frames[0]["id"]))["scopes"]
            found = (await debug("variables", variablesReference=scopes[0]["variablesReference"]))["variables"]
            await debug("continue", threadId=1)
            result = await _heard(live, "execute_result")
            return [
                [(frame["name"], frame["line"]) for frame in frames if frame["source"]["path"] == path],
                {each["name"]: each["value"] for each in found if each["name"] in "xy"},
                result["data"]["text/plain"],
            ]  # fmt: skip

    frames, variables, result = asyncio.run(one())

    assert frames == [("f", 3), ("<module>", 4)]
    assert variables == {"x": "20", "y": "21"}
    assert result == "21"


async def _heard(live: Live, kind: str, **content: Any) -> Any:
    """The content of the next message of that kind."""
    while True:
        message = await live.client.get_iopub_msg(timeout=PATIENCE_S)
        if message["msg_type"] == kind and content.items() <= message["content"].items():
            return message["content"]


def test_it_asks_its_user_and_hears_the_answer() -> None:
    """`input` through the channel of standard input, and `getpass`, which hides what is typed."""

    async def one() -> list[Any]:
        async with kernel(env=PATH) as live:
            live.client.execute("import getpass\nprint(input('name? ') + getpass.getpass('word? '))", allow_stdin=True)
            questions = []
            for answer in ("Ada", "!"):
                question = await live.client.get_stdin_msg(timeout=PATIENCE_S)
                questions.append((question["content"]["prompt"], question["content"]["password"]))
                live.client.input(answer)
            return [questions, (await _heard(live, "stream"))["text"]]

    assert asyncio.run(one()) == [[("name? ", False), ("word? ", True)], "Ada!\n"]


COMM = """
def opened(comm, message):
    comm.on_msg(lambda message: comm.send({"echo": message["content"]["data"]}))
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""


def test_a_comm_answers() -> None:
    """Widgets talk through these, even while a cell waits."""

    async def one() -> Any:
        async with kernel(env=PATH) as live:
            await live.run(COMM)
            for kind, data in (("comm_open", {}), ("comm_msg", {"number": 7})):
                content = {"comm_id": "one", "target_name": "echo", "data": data}
                live.client.shell_channel.send(live.client.session.msg(kind, content))
            return (await _heard(live, "comm_msg"))["data"]

    assert asyncio.run(one()) == {"echo": {"number": 7}}


def test_displays_change_and_history_is_kept(tmp_path: Path) -> None:
    """A display is updated under its name; a later kernel finds what an earlier one ran."""
    options = (f"--HistoryManager.hist_file={tmp_path / 'history.sqlite'}",)

    async def one() -> list[Any]:
        async with kernel(env=PATH, options=options) as live:
            live.client.execute("from IPython.display import display\nshown = display(1, display_id='it')")
            await _heard(live, "display_data")
            live.client.execute("shown.update(2)")
            updated = await _heard(live, "update_display_data")
            # Line numbers are written by a thread, in its own time.
            await live.run("get_ipython().history_manager.writeout_cache()")
        async with kernel(env=PATH, options=options) as live:
            history = {"hist_access_type": "tail", "n": 10, "output": False, "raw": True, "unique": False}
            kept = (await ask(live, "history_request", history, channel="shell"))["history"]
            return [updated["data"], updated["transient"], "shown.update(2)" in [code for *_, code in kept]]

    assert asyncio.run(one()) == [{"text/plain": "2"}, {"display_id": "it"}, True]


ENCRYPTED = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
import jupyter_client
from trial_kernels import Live
from jupyter_client.manager import AsyncKernelManager

async def one():
    manager = AsyncKernelManager(kernel_name="python3", transport_encryption="required")
    manager.kernel_spec.metadata["supported_encryption"] = ["curve"]
    manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": "nbproof-warm", "config": {}}
    await manager.start_kernel()
    try:
        live = Live(manager, None)
        await live.connect()
        said = await live.run("print(6 * 7)")
        friend, stranger = manager.client(), manager.client(curve_publickey=None, curve_secretkey=None)
        answers = [await beats(friend), await beats(stranger, 1), await tells(friend), await tells(stranger, 1)]
        live.client.stop_channels()
        print(json.dumps([jupyter_client.version_info[0], live.is_warm, said.text, *answers]))
    finally:
        await manager.shutdown_kernel()

async def beats(client, patience_s=60):
    with client.connect_hb() as heart:
        await asyncio.wait([asyncio.ensure_future(heart.send(b"ping"))], timeout=patience_s)
        return bool(await heart.poll(patience_s * 1000))

async def tells(client, patience_s=60):
    with client.connect_shell() as shell:
        client.session.send(shell, "kernel_info_request", {})
        return bool(await shell.poll(patience_s * 1000))

asyncio.run(one())
"""


def test_channels_are_encrypted_where_the_manager_requires_it() -> None:
    """With keys that the manager made: who has them is answered, who has not is not; the heart beats, too."""
    ended = subprocess.run(
        [sys.executable, "-c", ENCRYPTED, str(Path(__file__).parent)],
        env={**os.environ, **PATH}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [8, True, "42\n", True, False, True, False]
