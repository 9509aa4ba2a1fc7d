"""The tutorial, typed word by word into an empty folder: each command prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/guides/tutorial.md"
ANYTHING = "…"
COMMAND_S = 120


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the page, and what the page says that it prints."""

    command: str
    printed: str

    def is_as_printed(self, said: str) -> bool:
        """Whether that was said: word for word, but for where the page leaves something out."""
        pattern = ".*?".join(re.escape(" ".join(part.split())) for part in self.printed.split(ANYTHING))
        return re.fullmatch(pattern.replace(".*?", r"\s*.*?\s*"), " ".join(said.split())) is not None


def steps(text: str) -> list[Step]:
    """The commands in the blocks of a page, in their order."""
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append(Step(command, printed))
    return found


def test_what_differs_is_seen() -> None:
    """The comparison below can fail, and leaves out only what the page leaves out."""
    step = Step("x", "a … c\n…\nend\n")

    assert step.is_as_printed("a b c\nmore\nend")
    assert step.is_as_printed("a c end")
    assert not step.is_as_printed("a b d\nmore\nend")
    assert not step.is_as_printed("a b c\nmore\nend\nand more")


@pytest.mark.slow
def test_the_tutorial_is_true(tmp_path: Path) -> None:
    """One shell types the whole page; after each command it is compared with what was printed."""
    bin_folder = Path(sys.executable).parent
    environment = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8",
        "NBPROOF_RUNTIME": os.environ["NBPROOF_RUNTIME"], "OMP_NUM_THREADS": "1", "COLUMNS": "300",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }  # fmt: skip
    (tmp_path / "home").mkdir()
    folder = tmp_path
    for step in steps(PAGE.read_text()):
        if step.command.startswith("cd "):
            folder /= step.command.removeprefix("cd ")
            continue
        ran = subprocess.run(
            ["bash", "-c", step.command],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=COMMAND_S, check=False,
        )  # fmt: skip
        assert step.is_as_printed(ran.stdout), f"$ {step.command}\n{ran.stdout}\n-- the page says:\n{step.printed}"
