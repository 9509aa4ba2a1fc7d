"""The checks of `nbproof doctor`: each looks at one thing and says what was found and how to mend it."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ..extras import EXTRA_OF, is_installed

OLDEST_PYTHON = (3, 11)
OLDEST_PLOOMBER = (0, 23, 3)
PLOOMBER_EXTENSIONS = ("ploomber", "ploomber_extension")
LOOK_S = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; a note is worth knowing, only what is broken must be mended."""

    check: str
    state: Literal["ok", "note", "broken"]
    found: str
    mend: str = ""


def python_version(running: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether this Python is one that nbproof supports."""
    found = ".".join(map(str, running))
    if running[:2] >= OLDEST_PYTHON:
        return Finding("python", "ok", found)
    expected = ".".join(map(str, OLDEST_PYTHON))
    return Finding("python", "broken", f"{found}, expected at least {expected}", f"python{expected} -m venv .venv")


def ploomber_version(installed: str | None) -> Finding:
    """Whether Ploomber is new enough: older versions send telemetry."""
    mend = "pip install 'ploomber>=0.23.3,<0.24'"
    if installed is None:
        return Finding("ploomber", "broken", "not installed", mend)
    numbers = tuple(int(part) for part in installed.split(".")[:3] if part.isdigit())
    if numbers < OLDEST_PLOOMBER or numbers >= (0, 24):
        return Finding("ploomber", "broken", f"{installed}, expected 0.23.3 or a later 0.23", mend)
    return Finding("ploomber", "ok", installed)


def installed_version(package: str) -> str | None:
    """The version of an installed distribution, None when it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def extras(has: Callable[[str], bool] = is_installed) -> Finding:
    """Which optional packages are missing; a note, for nobody needs them all."""
    missing = sorted({extra for package, extra in EXTRA_OF.items() if not has(package)})
    if not missing:
        return Finding("extras", "ok", "all installed")
    return Finding(
        "extras", "note", f"not installed: {', '.join(missing)}", f"pip install 'nbproof[{','.join(missing)}]'"
    )


def kernel(name: str, known: Mapping[str, str]) -> Finding:
    """Whether Jupyter knows a kernel called `name`; `known` maps names to the folders of their specifications."""
    if name in known:
        return Finding("kernel", "ok", f"{name} in {known[name]}")
    shown = ", ".join(sorted(known)) or "none"
    return Finding(
        "kernel",
        "broken",
        f"no kernel is called `{name}`; known: {shown}",
        f"{sys.executable} -m ipykernel install --sys-prefix --name {name}",
    )


def known_kernels() -> dict[str, str]:
    """Every kernel that Jupyter finds, with the folder of its specification."""
    from jupyter_client.kernelspec import KernelSpecManager

    return dict(KernelSpecManager().find_kernel_specs())


def writable(folder: Path) -> Finding:
    """Whether files can be made in `folder`: tried, not read from permission bits."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding("project", "ok", f"{folder} is writable")
    except OSError as error:
        return Finding("project", "broken", f"cannot write in {folder}: {error.strerror}", f"chmod u+w {folder}")


def server_extensions(enabled: Mapping[str, bool]) -> Finding:
    """Whether Ploomber's own server extensions stay off: with JupyterLab 4 they break its file browser."""
    on = [name for name in PLOOMBER_EXTENSIONS if enabled.get(name)]
    if not on:
        return Finding("jupyterlab", "ok", "Ploomber's server extensions are off")
    return Finding(
        "jupyterlab",
        "broken",
        f"{' and '.join(on)} would be loaded by the Jupyter server",
        "; ".join(f"jupyter server extension disable {name} --sys-prefix" for name in on),
    )


def panels(folders: Iterable[str] | None = None, config_path: Iterable[str] | None = None) -> Finding:
    """Whether JupyterLab shows our panels: built, where it looks for extensions, switched off by nobody."""
    if not is_installed("jupyterlab"):
        return Finding("panels", "note", "jupyterlab is not installed", "pip install 'nbproof[lab]'")
    from jupyter_core.paths import jupyter_path

    places = [Path(folder) / "nbproof" for folder in folders or jupyter_path("labextensions")]
    place = next((place for place in places if (place / "package.json").is_file()), None)
    if place is None:
        return Finding(
            "panels", "broken", "not found where JupyterLab looks for extensions",
            "pip install --force-reinstall --no-deps nbproof; in a checkout: make extension",
        )  # fmt: skip
    if is_disabled("nbproof", config_path):
        return Finding("panels", "broken", f"{place}: switched off", "jupyter labextension enable nbproof")
    shown = json.loads((place / "package.json").read_bytes()).get("version")
    ours = installed_version("nbproof")
    if shown != ours:
        return Finding(
            "panels",
            "note",
            f"{place}: of nbproof {shown}, but this is {ours}",
            "pip install --force-reinstall nbproof",
        )
    return Finding("panels", "ok", f"{shown} in {place}, JupyterLab {installed_version('jupyterlab')}")


def is_disabled(extension: str, config_path: Iterable[str] | None = None) -> bool:
    """Whether JupyterLab is told to leave an extension out, as its configuration files say, the most general first."""
    from jupyter_core.paths import jupyter_config_path

    disabled: dict[str, bool] = {}
    folders = [Path(folder) for folder in (config_path if config_path is not None else jupyter_config_path())]
    files = [
        file
        for folder in reversed(folders)
        for file in (*sorted(folder.glob("labconfig/page_config.d/*.json")), folder / "labconfig/page_config.json")
    ]
    for file in files:
        try:
            found = json.loads(file.read_bytes()).get("disabledExtensions")
        except (OSError, ValueError, AttributeError):
            continue
        # Older versions write a list.
        disabled.update(found if isinstance(found, dict) else dict.fromkeys(found or (), True))
    return disabled.get(extension, False)


def enabled_server_extensions(config_path: Iterable[str] | None = None) -> dict[str, bool]:
    """What the Jupyter server would load, as its configuration files say, the most general first."""
    if not is_installed("jupyter_server"):
        return {}
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.config_manager import BaseJSONConfigManager

    enabled: dict[str, bool] = {}
    for folder in reversed(list(config_path if config_path is not None else jupyter_config_path())):
        found: dict[str, Any] = BaseJSONConfigManager(config_dir=folder).get("jupyter_server_config")
        enabled.update(found.get("ServerApp", {}).get("jpserver_extensions", {}))
    return enabled


def tracker(uri: str) -> Finding:
    """Whether the tracker's store can be reached now; runs go on without it, and their record is sent later."""
    if not is_installed("mlflow"):
        return Finding("tracker", "note", "mlflow is not installed; records wait", "pip install 'nbproof[track]'")
    scheme = urlsplit(uri).scheme
    if scheme == "sqlite":
        return _database(Path(uri.removeprefix("sqlite:///")))
    if scheme in ("http", "https"):
        return _server(uri)
    return Finding("tracker", "ok", uri)


def _database(file: Path) -> Finding:
    if not file.exists():
        return Finding("tracker", "ok", f"{file} will be made by the first run")
    try:
        opened = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=LOOK_S)
        try:
            (answer,) = opened.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            opened.close()
    except sqlite3.Error as error:
        answer = str(error)
    if answer == "ok":
        return Finding("tracker", "ok", str(file))
    return Finding("tracker", "broken", f"{file}: {answer}", f"mv {file} {file}.broken && nbproof runs sync")


def _server(uri: str) -> Finding:
    try:
        # The scheme was checked by the caller: http or https only.
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=LOOK_S):  # noqa: S310
            return Finding("tracker", "ok", f"{uri} answers")
    except (OSError, urllib.error.URLError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Finding("tracker", "broken", f"{uri} does not answer: {reason}", "start it, then: nbproof runs sync")


def warm_kernels(is_on: bool) -> Finding:
    """Whether kernels can be forked rather than started; a note, for they work either way."""
    from ..run.warm import pool

    if not is_on:
        return Finding("warm kernels", "note", "switched off by the setting `warm`", "set warm = true")
    try:
        folder = pool.check()
    except pool.NotWarm as reason:
        return Finding("warm kernels", "note", f"kernels start cold: {reason}")
    if refusals := pool.refusals():
        return Finding("warm kernels", "note", f"kernels started cold lately: {'; '.join(refusals)}")
    return Finding("warm kernels", "ok", f"{len(pool.zygotes())} processes to fork from, sockets in {folder}")


def orphans(leases: Mapping[int, str], building: bool) -> Finding:
    """Whether processes of a build are left although nothing is being built; `leases` maps process ids to leases."""
    if building or not leases:
        running = f"{len(leases)} at work for a build that goes on" if building else "none left behind"
        return Finding("processes", "ok", running)
    pids = " ".join(map(str, sorted(leases)))
    return Finding("processes", "broken", f"left behind by an earlier build: {pids}", f"kill -9 {pids}")


def locks(held_by: Mapping[str, int | None]) -> Finding:
    """Whether a note about a build outlived its process.

    `held_by` maps pipelines to the process id that is noted (None: it cannot be read). Such a note stops nobody, for
    the system freed the lock itself; it only says that a build was killed.
    """
    stale = sorted(name for name, pid in held_by.items() if pid is None or not is_alive(pid))
    if not stale:
        return Finding("locks", "ok", "no build was killed")
    return Finding("locks", "note", f"a build was killed: {', '.join(stale)}", f"nbproof run pipelines/{stale[0]}")


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
