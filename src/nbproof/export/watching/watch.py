"""Watch a notebook: its cells run in a fresh process that notes what each of them does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import NotWatched
from .seen import Run, from_json

if TYPE_CHECKING:
    from .executor import CellCode

# One thread: with more of them sums differ from run to run. One seed: sets keep their order.
# The memory allocator of Linux fills with it what is taken and what is given back.
STIRRED = {"MALLOC_PERTURB_": "165"}
STEADY = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LONGEST_WORDS = 400


def watch(
    cells: Sequence[CellCode],
    folder: Path,
    *,
    timeout_s: float | None = None,
    environ: Mapping[str, str] | None = None,
    tells_loaded: bool = False,
    draws_from: int | None = None,
    listens: bool = False,
    stirs: bool = False,
) -> Run:
    """Run the cells in `folder`, and say what each did. A cell that fails is seen, too, as the last one.

    Random numbers that nobody gave a seed start at `draws_from`; without it they start somewhere, as they do elsewhere.

    With `tells_loaded` the distributions and local modules that it loaded are told, too; where it `listens`, the types
    that functions of the cells are called with, for less than a second more. Where it `stirs`, memory that nobody has
    filled holds something else than in a run that does not.
    Raises `NotWatched` when the process dies, or takes longer than `timeout_s`.
    """
    job = {
        "cells": [asdict(cell) for cell in cells],
        "folder": str(folder),
        "tells_loaded": tells_loaded,
        "draws_from": draws_from,
        "listens": listens,
        "stirs": stirs,
    }
    steady = {**STEADY, **STIRRED} if stirs else STEADY
    return from_json(carried_out("nbproof.export.watching", job, timeout_s=timeout_s, environ=environ, steady=steady))


def carried_out(
    module: str,
    job: Mapping[str, Any],
    *,
    timeout_s: float | None = None,
    environ: Mapping[str, str] | None = None,
    steady: Mapping[str, str] = STEADY,
) -> Mapping[str, Any]:
    """Run a module of ours in a fresh process, with `job` on its standard input; what it left, as JSON.

    `steady` is added to the environment. Raises `NotWatched` when the process dies, or takes longer than `timeout_s`.
    """
    with tempfile.TemporaryDirectory(prefix="nbproof-export-") as place:
        output = Path(place) / "left.json"
        try:
            ended = subprocess.run(
                # Without -P modules would be found in the folder that somebody stands in before all others.
                [sys.executable, "-P", "-m", module],
                input=json.dumps({**job, "output": str(output)}),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                env={**(os.environ if environ is None else environ), **steady},
            )
        except subprocess.TimeoutExpired:
            raise NotWatched(f"it was not done after {timeout_s:g} s") from None
        if ended.returncode != 0 or not output.is_file():
            words = (ended.stderr.strip().splitlines() or ["without a word"])[-1]
            raise NotWatched(f"its process ended with {ended.returncode}: {words[:LONGEST_WORDS]}")
        found: Mapping[str, Any] = json.loads(output.read_text(encoding="utf-8"))
        return found
