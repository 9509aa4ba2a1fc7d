"""Jobs as their user handles them: by the command line, and by looking until they have ended."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from nbproof.cli.main import carry_out

LONGEST_S = 120


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command prints as JSON, once it has done its work."""
    capsys.readouterr()
    assert carry_out([*arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def submit(capsys: pytest.CaptureFixture[str], package: Path, *options: str) -> str:
    """Submit a draft; the id of the job comes back."""
    found: str = told(capsys, "submit", str(package), "--unsafe-draft", "a test", *options)["id"]
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code and the one line of an error."""
    capsys.readouterr()
    code = carry_out(list(arguments))
    line, _, hint = capsys.readouterr().err.partition("\n")
    assert line.startswith("error: "), line
    assert hint.startswith("hint: "), hint
    return code, line


def until(capsys: pytest.CaptureFixture[str], job: str, *states: str, longest_s: float = LONGEST_S) -> Any:
    """How a job stands once it is in one of these states."""
    end = time.monotonic() + longest_s
    while True:
        found = told(capsys, "jobs", "show", job)
        if found["state"] in states:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.2)


def until_begun(capsys: pytest.CaptureFixture[str], job: str, state: str = "running") -> Any:
    """How a job stands once its notebook has begun to wait: in this state, as far as its engine can be asked."""
    begun = Path(".nbproof/jobs", job, "checkpoints/0/begun.txt")
    end = time.monotonic() + LONGEST_S
    while not (begun.exists() and begun.read_text()):
        assert time.monotonic() < end, told(capsys, "jobs", "show", job)
        time.sleep(0.1)
    return until(capsys, job, state)
