"""Fresh processes in a few milliseconds: each is the child of one that has imported what all of them need, and no more.

python fuzzing_forks.py MODULE[,MODULE…]      # then a job a line on standard input, an answer a line on standard output
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbproof
from nbproof.errors import NotWatched
from nbproof.export.watching.watch import LONGEST_WORDS, STEADY

HERE, SOURCES = Path(__file__).parent, Path(nbproof.__file__).parents[1]
LONGEST_S = 60.0


class Forks:
    """A process that forks one child for each job."""

    def __init__(self, *modules: str) -> None:
        # The exporter runs two at a time.
        self.turn = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fuzzing_forked", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, **STEADY,
                 "PYTHONPATH": os.pathsep.join([str(HERE), str(SOURCES), os.environ.get("PYTHONPATH", "")])},
        )  # fmt: skip

    def run(self, call: str, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call `module:function` in a child; what it wrote to `job["output"]`. Raises `NotWatched` when it fails."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with tempfile.TemporaryDirectory(prefix="nbproof-fork-") as place:
            output, words = Path(place) / "left.json", Path(place) / "words.txt"
            told = {"call": call, "words": str(words), "job": {**job, "output": str(output)}, "longest_s": LONGEST_S}
            with self.turn:
                self.process.stdin.write(json.dumps(told) + "\n")
                self.process.stdin.flush()
                status = int(self.process.stdout.readline())
            if status != 0 or not output.is_file():
                last = (words.read_text(errors="replace").strip().splitlines() or ["without a word"])[-1]
                raise NotWatched(f"its process ended with {status}: {last[:LONGEST_WORDS]}")
            found: Mapping[str, Any] = json.loads(output.read_text(encoding="utf-8"))
            return found

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
