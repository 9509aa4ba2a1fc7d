"""Small tables, small models, and a project in which one may be approved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.gate import UnsafeBypass
from nbproof.review.keys import PrivateKey
from nbproof.review.signers import line_of
from nbproof.score.asked import Asked
from nbproof.score.scoring import Scored, score

FEATURES = ("a", "b", "c")
DRAFT = UnsafeBypass("Bela", "a test")
COMMAND = (sys.executable, "-c", "from nbproof.cli.main import main; main()")


def table(rows: int, seed: int = 0) -> Any:
    """Rows with a number of their own and three features."""
    drawn = np.random.default_rng(seed)
    columns = {name: drawn.standard_normal(rows) for name in FEATURES}
    return pyarrow.table({"id": np.arange(rows) + 1000 * seed, **columns})


def written(path: Path, rows: Any, group_rows: int = 100) -> Path:
    """A table as a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(rows, path, row_group_size=group_rows)
    return path


@cache
def fitted() -> Any:
    """A fitted classifier that knows its features by name; trees answer to the last digit alike, whatever the batch."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame = table(200, seed=7).to_pandas()
    model = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5, random_state=0)
    return model.fit(frame[list(FEATURES)], frame["a"] + frame["b"] > 0.2)


def skops_file(path: Path) -> Path:
    """That classifier as a file."""
    from nbproof.serve.spelling import dump

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump(fitted()))
    return path


def project(folder: Path) -> Path:
    """A project with a notebook, whose reviewer is Ana and whose owner is Bela."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text('[tool.nbproof]\ntracking = false\nreview_name = "Bela"\n')
    (folder / "approvals").mkdir()
    listed = [line_of(name, _key(number).public) for name, number in (("Ana", 1), ("Bela", 2))]
    (folder / "approvals/allowed_signers").write_text("\n".join([*listed, ""]))
    (folder / "approvals/reviewers.toml").write_text('[[reviewer]]\nname = "Ana"\nroles = ["validator"]\n')
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [
        {"cell_type": "code", "id": name, "metadata": {"tags": tags}, "source": source, "outputs": [],
         "execution_count": None}
        for name, tags, source in (("p", ["parameters"], "rows: int = 3"), ("a", [], "print(rows)"))
    ]  # fmt: skip
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}
    (folder / "train.ipynb").write_text(json.dumps(content))
    return folder


def approve(folder: Path, model: Path) -> None:
    """Let Ana approve a model of the project."""
    request(folder, folder / "train.ipynb", key=_key(2), files={"model": model.relative_to(folder).as_posix()})
    decide(folder, folder / "train.ipynb", Verdict(decision="approved"), _key(1))


def _key(number: int) -> PrivateKey:
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


def scored(folder: Path, table_at: Path, to: str = "scores", model: str = "model.skops", **options: Any) -> Scored:
    """Score with the model of a project, which nobody has approved."""
    force = options.pop("force", False)
    unsafe = options.pop("unsafe", DRAFT)
    asked = Asked(keep=options.pop("keep", ("id",)), **options)
    return score(folder / model, table_at, folder / to, asked, project=folder, unsafe=unsafe, force=force)


def read(output: Path) -> Any:
    """An output as one table, its parts in order."""
    if output.is_file():
        return pyarrow.parquet.read_table(output)
    parts = sorted(output.glob("part-*.parquet"))
    return pyarrow.concat_tables([pyarrow.parquet.read_table(part) for part in parts])


def files(output: Path) -> Mapping[str, bytes]:
    """Every file of an output, hidden ones too."""
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def command(folder: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """`nbproof score …` as one types it, in the folder of a project."""
    return subprocess.run(
        [*COMMAND, "score", *words], cwd=folder, env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120, **options,
    )  # fmt: skip


def environment() -> dict[str, str]:
    """No settings from outside, and one thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NBPROOF_REVIEW")}
    return {**kept, "OMP_NUM_THREADS": "1"}


def one_line(ran: subprocess.CompletedProcess[str]) -> Sequence[str]:
    """What went wrong, and the hint."""
    lines = ran.stderr.strip().splitlines()
    at = next((at for at, line in enumerate(lines) if line.startswith("error: ")), None)
    # What comes before tells how far it was.
    assert at is not None, ran.stderr
    assert all(" rows/s on " in line for line in lines[:at]), ran.stderr
    assert [line[:6] for line in lines[at + 1 :]] in ([], ["hint: "]), ran.stderr
    return lines[at:]
