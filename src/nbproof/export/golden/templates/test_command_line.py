"""The command line takes what the notebook's contract allows; all else it refuses, in one line, and runs nothing."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path, PurePath
from typing import Any

import pytest
from _golden.recorded import Recorded

RECORDED = Recorded.read(Path(__file__).parent / "recorded")
ASKED = json.loads((RECORDED.folder / "command_line.json").read_text(encoding="utf-8"))
PACKAGE, GIVEN = RECORDED.package, ASKED["given"]
TAKEN = [(name, text) for name, texts in ASKED["taken"].items() for text in texts]
REFUSED = [(name, text) for name, texts in ASKED["refused"].items() for text in texts]

Ask = Callable[..., tuple[Any, list[dict[str, Any]]]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return a command line that runs nothing: its exit code comes back, and what would have been run."""
    program = importlib.import_module(f"{PACKAGE}.__main__")
    results = importlib.import_module(f"{PACKAGE}._results")

    def asked(*words: str) -> tuple[Any, list[dict[str, Any]]]:
        heard: list[dict[str, Any]] = []

        def run(**parameters: Any) -> Any:
            heard.append(parameters)
            return results.Results()

        monkeypatch.setattr(program, "run", run)
        monkeypatch.setattr(sys, "argv", [PACKAGE, *words])
        with pytest.raises(SystemExit) as left:
            program.main()
        return left.value.code, heard

    return asked


def option(name: str, text: str) -> str:
    """Spell a parameter as people do."""
    return f"--{name.replace('_', '-')}={text}"


def given(**others: str) -> list[str]:
    """Spell what has to be there, and `others`."""
    return [option(name, text) for name, text in {**GIVEN, **others}.items()]


def plain(value: Any) -> Any:
    """Turn a value into what JSON holds."""
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple | set | frozenset) else value


def test_without_options_it_runs_as_the_notebook_does(ask: Ask) -> None:
    """Nothing is asked for but what has to be."""
    code, heard = ask(*given())

    assert code == 0
    assert [set(each) for each in heard] == [set(GIVEN)]


def test_help_names_every_parameter() -> None:
    """It ends well, and speaks of each."""
    place = Path(str(importlib.import_module(PACKAGE).__file__)).parents[1]
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", PACKAGE, "--help"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for name in ASKED["taken"]:
        assert f"--{name.replace('_', '-')}" in done.stdout


def test_what_nobody_declared_is_refused(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name runs nothing."""
    code, heard = ask(*given(), "--no-such-parameter=1")

    assert (code, heard) == (2, [])
    assert "no-such-parameter" in capsys.readouterr().err


@pytest.mark.skipif(not TAKEN, reason="it declares no parameters")
@pytest.mark.parametrize(("name", "text"), TAKEN or [("", "")])
def test_what_fits_is_taken(ask: Ask, name: str, text: str) -> None:
    """A text stands for the value that the contract says."""
    code, heard = ask(*given(**{name: text}))

    assert code == 0
    assert [plain(each[name]) for each in heard] == [ASKED["taken"][name][text]]


@pytest.mark.skipif(not REFUSED, reason="it takes whatever is given")
@pytest.mark.parametrize(("name", "text"), REFUSED or [("", "")])
def test_what_does_not_fit_is_refused(ask: Ask, capsys: pytest.CaptureFixture[str], name: str, text: str) -> None:
    """One line names the parameter, and nothing runs."""
    code, heard = ask(*given(**{name: text}))

    assert (code, heard) == (2, [])
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert sum(line.startswith("error: ") for line in said.splitlines()) == 1
    assert name in said.splitlines()[0]
