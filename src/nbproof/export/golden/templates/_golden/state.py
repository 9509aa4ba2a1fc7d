"""Where steps run: a folder with the notebook's data in it, and a process that is afterwards as it was before."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import random
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .values import without_places

SEED = 0
TEXTS = {".csv", ".htm", ".html", ".json", ".jsonl", ".lock", ".log", ".md", ".py", ".svg", ".toml", ".tsv", ".txt",
         ".xml", ".yaml", ".yml"}  # fmt: skip


class Absent(Exception):
    """Data that does not travel with the package is not here."""


def furnish(lay_out: Callable[[Path], Path], folder: Path, absent: Mapping[str, str], elsewhere: str | None) -> Path:
    """Lay out the notebook's data below `folder`, as it lay beside the notebook; return the folder to run in.

    `absent` are the files, by their SHA-256, that are too large to travel; they are looked for in the folder
    `elsewhere`. Raises `Absent`.
    """
    here = lay_out(folder.resolve())
    for name, digest in absent.items():
        source, place = Path(elsewhere or "", name), folder / name
        if elsewhere is None or not source.is_file():
            raise Absent(f"`{name}` (SHA-256 {digest[:12]}…) is too large to travel with the package")
        with source.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise Absent(f"`{name}` is not the file that was there when the values were recorded")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    return here


@contextlib.contextmanager
def within(here: Path, libraries: Iterable[str]) -> Iterator[None]:
    """Run in a folder with random numbers from one seed; put the process back as it was."""
    folder, environ, path = Path.cwd(), dict(os.environ), list(sys.path)
    states = [(module, read(module), write) for module, read, write in _kept(libraries)]
    drawn = random.getstate()
    random.seed(SEED)
    os.chdir(here)
    try:
        # What a library says about its future is no matter of a step.
        with _quietly():
            yield
    finally:
        os.chdir(folder)
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environ)
        random.setstate(drawn)
        for module, state, write in states:
            write(module, state)
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close("all")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _kept(libraries: Iterable[str]) -> Iterator[tuple[Any, Any, Any]]:
    """Tell what steps may change of the libraries that they use: how to read it, and how to put it back."""
    for name in libraries:
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            if name == "numpy":
                yield module, _numpy_before, _numpy_after
            elif name == "pandas":
                yield module, _pandas_before, _pandas_after
            elif name == "matplotlib":
                yield module, lambda module: dict(module.rcParams), lambda module, state: module.rcParams.update(state)
            elif name == "torch":
                yield module, _torch_before, lambda module, state: module.set_rng_state(state)


def _numpy_before(numpy: Any) -> Any:
    state = numpy.random.get_state(), numpy.get_printoptions(), numpy.geterr()
    numpy.random.seed(SEED)
    return state


def _numpy_after(numpy: Any, state: Any) -> None:
    numpy.random.set_state(state[0])
    numpy.set_printoptions(**{name: value for name, value in state[1].items() if name != "override_repr"})
    numpy.seterr(**state[2])


def _pandas_before(pandas: Any) -> Any:
    # It warns of some options whoever looks at them.
    with _quietly():
        return {name: pandas.get_option(name) for name in pandas._config.config._registered_options}


def _pandas_after(pandas: Any, state: Any) -> None:
    with _quietly():
        for name, value in state.items():
            if pandas.get_option(name) != value:
                pandas.set_option(name, value)


def _torch_before(torch: Any) -> Any:
    state: Any = torch.get_rng_state()
    torch.manual_seed(SEED)
    return state


def stamps(here: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, by its size and the time it was written."""
    found = {}
    for place in sorted(here.rglob("*")):
        if place.is_file() and "__pycache__" not in place.parts:
            told = place.stat()
            found[place.relative_to(here).as_posix()] = (told.st_size, told.st_mtime_ns)
    return found


def written(here: Path, before: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Read the files that are new, or other ones than `before`."""
    found: dict[str, Any] = {}
    for name, stamp in stamps(here).items():
        if before.get(name) == stamp:
            continue
        content = (here / name).read_bytes()
        found[name] = {"hash": hashlib.sha256(content).hexdigest(), "size": len(content)}
        if Path(name).suffix in TEXTS and len(content) < 100_000:
            with contextlib.suppress(UnicodeDecodeError):
                found[name] = without_places(content.decode("utf-8"), str(here))
    return found
