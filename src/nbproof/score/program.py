"""An exported package that scores: each part is laid before it as a file, and what it leaves are the scores.

Any notebook can be one that takes the place of a Parquet file as a parameter, and leaves a value with an answer for
each of its rows. It runs in a process of its own for each part, on the GPU that this process may see.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AskedWrongly, ScoreRefused, TaskFailed
from ..explain.steadiness import LOOSE
from .asked import Asked
from .plan import Part
from .scorer import PROBE_ROWS
from .source import Source, batches
from .writing import Work, part_file

RUNNER = "nbproof.score.running"


@dataclass(frozen=True, slots=True)
class Program:
    """A package by the name that it is imported by, in its folder, and how it is asked."""

    name: str
    folder: Path
    rows: str
    take: str
    parameters: Mapping[str, str]
    column: str
    device: str
    accelerate: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, folder: Path, asked: Asked) -> Program:
        """Raises `AskedWrongly` where it is not said which parameter takes the rows, and which value are the scores."""
        if asked.rows is None or asked.take is None:
            raise AskedWrongly(
                "found no --rows and --take, expected the parameter that takes the file of rows, and the value to take",
                hint="nbproof score PACKAGE INPUT OUTPUT --rows path --take scores",
            )
        return cls(
            name, folder.resolve(), asked.rows, asked.take, asked.parameters, asked.name, asked.device, asked.accelerate
        )

    def run(self, pairs: list[tuple[Path, Path]], place: Path) -> None:
        """Run it for each pair of a file of rows and the file that its scores go to. Raises `TaskFailed`."""
        told = place / "asked.json"
        told.write_text(json.dumps({
            "name": self.name, "rows": self.rows, "take": self.take, "parameters": dict(self.parameters),
            "column": self.column, "accelerate": list(self.accelerate), "work": str(place),
            "pairs": [[str(rows), str(scores)] for rows, scores in pairs],
        }))  # fmt: skip
        path = [str(self.folder / "src"), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), "MPLBACKEND": "agg",
            "NBPROOF_DEVICE": self.device,
        }  # fmt: skip
        ran = subprocess.run(
            [sys.executable, "-m", RUNNER, str(told)], cwd=place, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode:
            lines = ran.stderr.strip().splitlines() or [f"it ended with {ran.returncode} and said nothing"]
            raise TaskFailed(self.name, lines[-1].removeprefix("error: "))


def answer_schema(program: Program, source: Source) -> Any:
    """The columns that it answers, found by running it on the first rows: whole, and cut in two.

    Raises `ScoreRefused` where the two differ: a notebook that looks at the whole table cannot be cut into parts.
    """
    import pyarrow

    rows = _first(source)
    with tempfile.TemporaryDirectory(prefix="nbproof-score-") as folder:
        place = Path(folder)
        size = rows.num_rows
        pieces = [rows, rows.slice(0, max(1, size // 3)), rows.slice(max(1, size // 3))] if size > 1 else [rows]
        pairs = [(place / f"rows-{at}.parquet", place / f"scores-{at}.parquet") for at in range(len(pieces))]
        for piece, (path, _) in zip(pieces, pairs, strict=True):
            pyarrow.parquet.write_table(piece, path)
        program.run(pairs, place)
        found = [pyarrow.parquet.read_table(path) for _, path in pairs]
    for piece, answer in zip(pieces, found, strict=True):
        _check_rows(program, answer, piece.num_rows)
    whole, cut = found[0], found[1:]
    if cut and not _are_alike(whole, pyarrow.concat_tables(cut, promote_options="permissive")):
        raise ScoreRefused(
            program.name, "other scores when the same rows come in two files", "each row scored by itself",
            hint="a step that looks at the whole table belongs into a notebook before this one",
        )  # fmt: skip
    return whole.schema.remove_metadata()


def carry_out(
    program: Program, source: Source, work: Work, parts: Sequence[Part], schema: Any, asked: Asked,
    tell: Callable[[int, int], None],
) -> None:  # fmt: skip
    """Score these parts, one run of the package each."""
    rows = 0
    for done, part in enumerate(parts):
        with tempfile.TemporaryDirectory(prefix="nbproof-score-") as folder:
            place = Path(folder)
            pair = (place / "rows.parquet", place / "scores.parquet")
            _lay_out(source, part, pair[0], asked.batch_rows)
            program.run([pair], place)
            _write(program, work, part, schema, pair, asked)
        rows += part.rows
        tell(rows, done + 1)


def _first(source: Source) -> Any:
    """The first rows of the input, as a table of all columns."""
    import pyarrow

    held, count = [], 0
    for file in source.files:
        for batch in _of_file(source, file.name, file.groups):
            held.append(batch)
            count += batch.num_rows
            if count >= PROBE_ROWS:
                return pyarrow.Table.from_batches(held).slice(0, PROBE_ROWS)
    return pyarrow.Table.from_batches(held, source.schema.remove_metadata())


def _of_file(source: Source, name: str, groups: tuple[int, ...]) -> Iterator[Any]:
    from .plan import Slice

    whole = Slice(name, tuple(range(len(groups))), sum(groups))
    return batches(source, whole, source.names, PROBE_ROWS)


def _lay_out(source: Source, part: Part, path: Path, batch_rows: int) -> None:
    """Write the rows of a part where the package reads them."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(path, source.schema.remove_metadata()) as writer:
        for piece in part.slices:
            for batch in batches(source, piece, source.names, batch_rows):
                writer.write_batch(batch.replace_schema_metadata(None))


def _write(program: Program, work: Work, part: Part, schema: Any, pair: tuple[Path, Path], asked: Asked) -> None:
    import pyarrow

    answer = pyarrow.parquet.read_table(pair[1])
    _check_rows(program, answer, part.rows)
    kept = pyarrow.parquet.read_table(pair[0], columns=list(asked.keep)) if asked.keep else None
    table = pyarrow.table([*(kept.columns if kept is not None else ()), *answer.columns], names=schema.names)
    if answer.column_names != schema.names[len(asked.keep) :]:
        raise ScoreRefused(f"part {part.number}", f"the columns {', '.join(answer.column_names)}",
                           f"{', '.join(schema.names[len(asked.keep):])}, as of the first rows")  # fmt: skip
    try:
        table = table.cast(schema)
    except pyarrow.ArrowException as error:
        raise ScoreRefused(
            f"part {part.number}", f"other types than of the first rows ({error})", "one type a column"
        ) from error
    if asked.missing != "pass":
        for name in answer.column_names:
            _check_numbers(table[name], name, part)
    with part_file(work, part, schema) as file:
        for batch in table.to_batches(max_chunksize=65_536):
            file.add(batch)


def _check_rows(program: Program, answer: Any, rows: int) -> None:
    if answer.num_rows != rows:
        raise ScoreRefused(program.name, f"{answer.num_rows} scores for {rows} rows", "one for each, in their order")


def _check_numbers(column: Any, name: str, part: Part) -> None:
    import pyarrow

    holed = column.null_count > 0
    if not holed and pyarrow.types.is_floating(column.type):
        holed = not bool(np.isfinite(column.to_numpy()).all())
    if holed:
        raise ScoreRefused(
            f"part {part.number}", f"an answer that is no number in `{name}`", "finite numbers",
            hint="look at its rows; or write what the package says all the same: --missing pass",
        )  # fmt: skip


def _are_alike(whole: Any, cut: Any) -> bool:
    if whole.column_names != cut.column_names or whole.num_rows != cut.num_rows:
        return False
    for name in whole.column_names:
        one, other = whole[name].to_numpy(), cut[name].to_numpy()
        if one.dtype.kind == "f" and other.dtype.kind in "fiu":
            loose = LOOSE.get(str(one.dtype), 1e-9)
            if not np.allclose(one, other, rtol=loose, atol=loose, equal_nan=True):
                return False
        elif not np.array_equal(one, other):
            return False
    return True
