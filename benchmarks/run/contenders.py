"""Who takes part, and how each is told to run a project."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .measuring import Account, Sample, end, limited, measure, open_account, settle
from .notebooks import Project, WrongResult

BIN = Path(sys.executable).parent
DRIVER = str(Path(__file__).with_name("driver.py"))
SEEDING = str(Path(__file__).with_name("seeding.py"))
# Where nbproof's kernels come from; a stock kernel has the name that every Jupyter has.
NBPROOF_KERNEL, STOCK_KERNEL = "nbproof-warm", "python3"
Verb = Literal["run", "again", "help", "status"]
Lines = Callable[[Project, Verb], list[list[str]]]


class ContenderFailed(Exception):
    """A contender that ended in an error."""


@dataclass(slots=True)
class Command:
    """A contender that is started anew for each measurement, as one or more commands.

    `left_over` says what becomes of processes that a command leaves behind on purpose, such as warm kernels: `end`
    starts each measurement with none of them, `use` with those that an earlier, uncounted run has left.
    """

    name: str
    lines: Lines
    makes_notebooks: bool = True
    executor: str = ""
    left_over: Literal["end", "use"] = "end"
    _account: Account | None = None
    _leaves_nothing: bool = False
    _warmed: set[Path] = field(default_factory=set)

    @property
    def account(self) -> Account:
        if self._account is None:
            self._account = open_account(_slug(self.name))
        return self._account

    def prepare(self, project: Project, verb: Verb) -> None:
        if self.left_over == "end":
            end(self.account)
            return
        is_warm = project.folder in self._warmed and self.account.processes()
        if verb == "run" and not is_warm and not self._leaves_nothing:
            self._act(project, verb)
            settle(self.account)
            self._warmed.add(project.folder)
            self._leaves_nothing = not self.account.processes()

    def measure(self, project: Project, verb: Verb) -> Sample:
        return measure(self.account, lambda: self._act(project, verb))

    def close(self) -> None:
        if self._account is not None:
            self._account.close()

    def _act(self, project: Project, verb: Verb) -> tuple[float, None]:
        began = time.perf_counter()
        for line in self.lines(project, verb):
            # A file, not a pipe: what a command leaves running may hold it open.
            with tempfile.TemporaryFile() as said:
                process = subprocess.Popen(
                    line,
                    cwd=project.folder,
                    env=_environ(self.account),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    preexec_fn=self.account.join,
                )
                with self.account.waiting(), limited(self.account):
                    process.wait()
                if process.returncode:
                    said.seek(0)
                    tail = said.read().decode(errors="replace")[-2000:]
                    raise ContenderFailed(f"{self.name}: {' '.join(line)} ended with {process.returncode}\n{tail}")
        return time.perf_counter() - began, None


@dataclass(slots=True)
class Running:
    """A contender that is a running process: only what it does on request is measured, its start is not.

    With `preloads`, it has imported what the notebooks import before the clock starts.
    """

    name: str
    mode: str
    makes_notebooks: bool = True
    preloads: bool = False
    executor: str = ""
    _drivers: dict[tuple[str, ...], Driver] = field(default_factory=dict)
    _warmed: set[Path] = field(default_factory=set)

    def prepare(self, project: Project, verb: Verb) -> None:
        """Once for each project uncounted: what a process does only the first time belongs to its start."""
        if project.folder not in self._warmed:
            driver = self._driver(project)
            driver.carry_out(project, project.paths()[:1])
            settle(driver.account)
            self._warmed.add(project.folder)

    def measure(self, project: Project, verb: Verb) -> Sample:
        driver = self._driver(project)
        return measure(driver.account, lambda: driver.carry_out(project, project.paths()))

    def close(self) -> None:
        for driver in self._drivers.values():
            driver.close()

    def _driver(self, project: Project) -> Driver:
        imports = project.shape.imports if self.preloads else ()
        if imports not in self._drivers:
            self._drivers[imports] = Driver(f"{self.name} {len(self._drivers)}", self.mode, imports)
        return self._drivers[imports]


class Driver:
    """The process behind a running contender: orders in, answers out."""

    def __init__(self, name: str, mode: str, imports: tuple[str, ...] = ()) -> None:
        self.name, self.account = name, open_account(_slug(name))
        self._process = subprocess.Popen(
            [sys.executable, DRIVER, mode, "--import", ",".join(imports)],
            env=_environ(self.account),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=self.account.join,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def carry_out(self, project: Project, paths: list[tuple[str, str]]) -> tuple[float, float]:
        answer = self.ask({"folder": str(project.folder), "notebooks": paths})
        return answer["wall_s"], answer["parent_cpu_s"]

    def ask(self, order: dict[str, object]) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        with limited(self.account):
            answer = json.loads(self._process.stdout.readline() or '{"error": "it has died"}')
        if "error" in answer:
            raise ContenderFailed(f"{self.name}: {answer['error']}")
        return {key: float(value) for key, value in answer.items()}

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError), limited(self.account):
            self._process.communicate()
        self.account.close()


Contender = Command | Running


def contenders() -> list[Contender]:
    """Everybody, in the order of the table."""
    return [
        Command("nbproof run", _nbproof, left_over="use"),
        Command("nbproof run, cold", _nbproof),
        Running("nbproof in a process", "nbproof"),
        Running("nbproof pipeline in a process", "nbproof-pipeline"),
        Command("papermill command", _papermill),
        Running("papermill in a process", "papermill"),
        Command("nbclient script", _driver("nbclient")),
        Command("nbconvert --execute", _nbconvert),
        Command("ploomber-engine command", _ploomber_engine),
        Command("ploomber serial", _ploomber, executor="serial"),
        Command("ploomber parallel", _ploomber, executor="parallel"),
        Command("python script", _script, makes_notebooks=False),
        Command("cells in one process", _driver("exec"), makes_notebooks=False),
        Running("ideal", "ideal", makes_notebooks=False, preloads=True),
    ]


def seed(tool: str, project: Project) -> None:
    """Make a project look as if `tool` had just built all of it."""
    texts = {task: project.product(task) for task in project.shape.upstream}
    line = [sys.executable, SEEDING, tool, str(project.folder)]
    ended = subprocess.run(line, input=json.dumps(texts), text=True, capture_output=True, check=False)
    if ended.returncode:
        raise WrongResult(f"{tool} cannot be seeded: {ended.stderr[-2000:]}")


def _nbproof(_: Project, verb: Verb) -> list[list[str]]:
    nbproof = str(BIN / "nbproof")
    return {"help": [[nbproof, "--help"]], "status": [[nbproof, "status", "pipeline.yaml"]]}.get(
        verb, [[nbproof, "run", "pipeline.yaml"]]
    )


def _ploomber(_: Project, verb: Verb) -> list[list[str]]:
    ploomber = str(BIN / "ploomber")
    return {"help": [[ploomber, "build", "--help"]], "status": [[ploomber, "status"]]}.get(verb, [[ploomber, "build"]])


def _papermill(project: Project, _: Verb) -> list[list[str]]:
    return [[str(BIN / "papermill"), *paths, "--no-progress-bar"] for paths in project.paths()]


def _nbconvert(project: Project, _: Verb) -> list[list[str]]:
    start = [str(BIN / "jupyter"), "nbconvert", "--execute", "--to", "notebook"]
    return [[*start, source, "--output", executed] for source, executed in project.paths()]


def _ploomber_engine(project: Project, _: Verb) -> list[list[str]]:
    return [[str(BIN / "ploomber-engine"), *paths] for paths in project.paths()]


def _script(project: Project, _: Verb) -> list[list[str]]:
    return [[sys.executable, f"{task}.py"] for task in project.shape.upstream]


def _driver(mode: str) -> Lines:
    def lines(project: Project, _: Verb) -> list[list[str]]:
        order = {"folder": str(project.folder), "notebooks": project.paths()}
        return [[sys.executable, DRIVER, mode, "--once", json.dumps(order)]]

    return lines


def _environ(account: Account) -> dict[str, str]:
    # Nobody's own settings of nbproof take part.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NBPROOF_")}
    return {
        **inherited,
        **account.environ,
        # One thread each: contenders that run several notebooks at once would otherwise wait for one another.
        "OMP_NUM_THREADS": "1",
        "PLOOMBER_STATS_ENABLED": "false",
        "PLOOMBER_VERSION_CHECK_DISABLED": "true",
    }


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
