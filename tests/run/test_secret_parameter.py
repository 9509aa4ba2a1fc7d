"""The value of a secret parameter is read by the notebook alone: no file and no line of output keeps it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

pytestmark = pytest.mark.slow

NBPROOF = Path(sys.executable).parent / "nbproof"
# The core survives in every spelling that changes only some characters; what stands around it makes them differ.
CORE = "Kx9w3PfT2vQ8"
SECRET = f"zürich/{CORE} \"&<'?=\\~1"
VARIABLE = "CREDIT_BUREAU_TOKEN"

HEAD = """\
# %% tags=["parameters"]
from nbproof.notebook.secrets import Secret

upstream = None
product = None
token: Secret = "env:CREDIT_BUREAU_TOKEN"

# %%
import base64, html, json, os, sys, time, urllib.parse, warnings

from IPython.display import HTML, display

from nbproof import track
from nbproof.notebook.secrets import reveal

value = reveal(token)
assert value.endswith("~1")

"""
TELLS_ALL = (
    HEAD
    + """\
# %%
print(value)
print(repr(value), ascii(value), value.encode(), [value], {"token": value})
print(json.dumps(value), json.dumps({"token": json.dumps([value])}))
print(value, file=sys.stderr)
warnings.warn(value)

# %%
print(base64.b64encode(value.encode()).decode())
print(base64.urlsafe_b64encode(value.encode()).decode())
print(base64.b64encode(f"user:{value}".encode()).decode(), base64.b64encode(f"u:{value}\\n".encode()).decode())
print(urllib.parse.quote(value), urllib.parse.quote(value, safe=""), urllib.parse.urlencode({"token": value}))
print(value.encode().hex())

# %%
display(HTML(f"<b title='{html.escape(value)}'>{html.escape(value, quote=False)}</b><i>{value}</i>"))
display({"application/json": {"token": value, value: 1}, "text/plain": value}, raw=True)

# %%
print("the token is " + value[:9], end="", flush=True)
time.sleep(0.5)
display("between the halves")
print(value[9:], flush=True)

# %%
os.system("echo $CREDIT_BUREAU_TOKEN")
try:
    raise ValueError(f"refused: {value}")
except ValueError:
    import traceback

    traceback.print_exc()

# %%
track.parameters(token=value, header=base64.b64encode(value.encode()).decode())
track.tags(token=value)
with track.child("candidate") as candidate:
    candidate.parameters(token=value)

# %%
from ipywidgets import Text

display(Text(value=value))

# %%
value
"""
)
RAISES = HEAD + '# %%\nprint(value)\n\n# %%\nraise ValueError(f"no access with {value}")\n'
DIES = HEAD + '# %%\nprint(value)\n\n# %%\nos.write(2, f"no access with {value}\\n".encode())\nos._exit(3)\n'
SLEEPS = (
    HEAD
    + """\
# %%
print(value, flush=True)
track.tags(token=value)
display(value)
open(product["data"], "w").write(value)

# %%
print(value, flush=True)
if os.path.exists("awake"):
    open(product["data"], "w").write("fine")
track.parameters(token=value)
open("asleep", "w").close()
if not os.path.exists("awake"):
    time.sleep(60)
"""
)


@dataclass(frozen=True)
class Vault:
    """A project with one notebook, and everything that a run of it could leave anywhere."""

    workspace: Workspace
    outside: Path

    def prepare(self, notebook: str, products: str = "{nb: build/tells/tells.ipynb}") -> None:
        self.workspace.write("tells.py", notebook)
        self.workspace.write("pipeline.yaml", f"tasks:\n  - source: tells.py\n    product: {products}\n")
        if products.count(":") > 1:
            self.workspace.edit("tells.py", "product = None", "product = {}")

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            VARIABLE: SECRET,
            "HOME": str(self.outside / "home"),
            "TMPDIR": str(self.outside / "tmp"),
        }

    def track(self) -> None:
        """Let the tracker hear about the run, too."""
        self.workspace.write("pyproject.toml", "[tool.nbproof]\nworkers = 1\ndelivery_wait_s = 120\n")

    def run(self, *, expect: int) -> subprocess.CompletedProcess[str]:
        answer = self.workspace.nbproof("run", "pipeline.yaml", expect=expect, env=self.environ)
        assert leaks(answer.stdout.encode() + answer.stderr.encode()) == []
        return answer

    def leaks(self) -> list[str]:
        """Every file, anywhere that a run may write, which holds the secret in some spelling."""
        found = []
        for path in (*self.workspace.root.rglob("*"), *self.outside.rglob("*")):
            # A worker that ends may be removing files meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    found += [f"{path}: {leak}" for leak in leaks(path.read_bytes())]
        return found


@pytest.fixture
def vault(workspace: Workspace, tmp_path: Path) -> Vault:
    for name in ("home", "tmp"):
        (tmp_path / "outside" / name).mkdir(parents=True)
    return Vault(workspace, tmp_path / "outside")


def spellings() -> Iterator[str]:
    """What to look for: written down from the standards, not taken from the code under test."""
    yield CORE
    yield CORE.encode().hex()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + CORE.encode()).decode().rstrip("=")
        # Without the characters that hold bits of the neighbours, at either end.
        yield encoded[2 * shift : len(encoded) - 1]


def leaks(content: bytes) -> list[str]:
    return [spelling for spelling in spellings() if spelling.encode() in content]


@pytest.mark.parametrize(
    "content",
    [
        SECRET.encode(),
        json.dumps(SECRET).encode(),
        SECRET.encode().hex().encode(),
        base64.b64encode(SECRET.encode()),
        base64.b64encode(b"u:" + SECRET.encode()),
        base64.b64encode(b"us:" + SECRET.encode()),
    ],
)
def test_the_search_finds_what_it_is_for(content: bytes) -> None:
    """A search that found nothing in a leak would let every test below pass."""
    assert leaks(b"before" + content + b"after") != []
    assert leaks(b"nothing to find") == []


def test_whatever_a_notebook_says_is_masked(vault: Vault) -> None:
    """Printed, displayed, encoded, raised or logged: the executed notebook and the tracker hold `•••` instead."""
    vault.track()
    vault.prepare(TELLS_ALL)

    answer = vault.run(expect=0)

    assert vault.leaks() == []
    assert "mlflow.db" in answer.stdout
    notebook = json.loads((vault.workspace.root / "build/tells/tells.ipynb").read_bytes())
    streams = ["".join(out["text"]) for cell in notebook["cells"] for out in cell.get("outputs", ()) if "text" in out]
    assert "the token is •••\n" in streams
    assert leaks("".join(streams).encode()) == []
    assert (vault.workspace.root / "mlflow.db").stat().st_size > 0


@pytest.mark.parametrize(
    ("notebook", "said"),
    [
        pytest.param(RAISES, "cell 5: ValueError: no access with •••", id="an error"),
        pytest.param(
            DIES, "its kernel ended in cell 5 with status 3: no access with •••", id="the last words of a kernel"
        ),
    ],
)
def test_a_failure_is_told_without_the_secret(vault: Vault, notebook: str, said: str) -> None:
    """The reason, the traceback and the notebook that is kept of a failed task are masked."""
    vault.prepare(notebook)

    answer = vault.run(expect=1)

    assert said in answer.stderr
    assert vault.leaks() == []
    (kept,) = (vault.workspace.root / ".nbproof/failed").rglob("*.ipynb")
    assert "•••" in kept.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("writes", "said"),
    [
        pytest.param(
            'open(product["data"], "w").write(f"token={value}")', "its product `data` holds the secret `token`",
            id="a product",
        ),
        pytest.param(
            'open(product["data"], "wb").write(b"\\xff" + base64.b64encode(b"user:" + value.encode()))',
            "its product `data` holds the secret `token`",
            id="a product, encoded",
        ),
        pytest.param(
            'os.mkdir(product["data"]); open(product["data"] + "/part", "w").write(value)',
            "its product `data` holds the secret `token`",
            id="a file in a product that is a folder",
        ),
        pytest.param(
            'open(product["data"], "w").write("fine"); open(product["data"] + ".log", "w").write(value)',
            "its file `data.log` holds the secret `token`",
            id="a file beside the products",
        ),
        pytest.param(
            'open(product["data"], "w").write(value); track.artifact(product["data"])',
            "its artifact `data` holds the secret `token`",
            id="an artifact",
        ),
    ],
)  # fmt: skip
def test_a_file_that_holds_the_secret_is_refused(vault: Vault, writes: str, said: str) -> None:
    """What would be published or recorded with the secret in it fails the task, and is not left on the disk."""
    if "artifact" in said:
        vault.track()
    vault.prepare(f"{HEAD}# %%\n{writes}\n", "{nb: build/tells/tells.ipynb, data: build/tells/data}")

    answer = vault.run(expect=1)

    assert said in answer.stderr
    assert vault.leaks() == []
    assert not (vault.workspace.root / "build/tells/data").exists()


def test_a_killed_run_leaves_nothing_after_the_next_one(vault: Vault) -> None:
    """The runner dies without a chance to tidy up: its worker does, and the next run leaves no trace either."""
    vault.prepare(SLEEPS, "{nb: build/tells/tells.ipynb, data: build/tells/data}")
    asleep = vault.workspace.root / "asleep"
    with subprocess.Popen(
        [NBPROOF, "run", "pipeline.yaml"],
        cwd=vault.workspace.root,
        env=vault.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as runner:
        deadline = time.monotonic() + 120
        while not asleep.exists():
            assert runner.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert vault.leaks() != []
        runner.send_signal(signal.SIGKILL)
        said, _ = runner.communicate(timeout=120)
    assert leaks(said) == []
    deadline = time.monotonic() + 120
    while vault.leaks():
        assert time.monotonic() < deadline, vault.leaks()
        time.sleep(0.1)

    (vault.workspace.root / "awake").touch()
    vault.run(expect=0)

    assert vault.leaks() == []
