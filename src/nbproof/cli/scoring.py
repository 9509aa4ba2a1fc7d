"""`nbproof score`: the rows of Parquet files past a model, here or in partitions on an engine."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from .output import as_json, duration, near, print_json
from .submitting import measure, pairs

if TYPE_CHECKING:
    from types import TracebackType

    from ..score.scoring import Progress

# Where nothing can be overwritten, a line so often.
PLAIN_EVERY_S, LOOK_EVERY_S = 10.0, 2.0


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("place", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--features", metavar="A,B,C", help="The columns that the model takes, in its order; `*`: all numbers.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="A column to copy beside the scores.")
@click.option("--name", default="prediction", show_default=True, help="What the column of scores is called.")
@click.option("--missing", type=click.Choice(["refuse", "pass"]),
              help="What becomes of nulls and NaN; left out, networks refuse them, others are asked.")  # fmt: skip
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
              help="Where the model answers; auto takes a GPU where there is one.")  # fmt: skip
@click.option("--batch-rows", type=click.IntRange(min=1), default=16_384, show_default=True, help="Rows at a time.")
@click.option("--part-rows", type=click.IntRange(min=1), default=1_000_000, show_default=True,
              help="About so many rows make one part of the output.")  # fmt: skip
@click.option("--partitions", type=click.IntRange(1, 10_000), help="How many parts there are, instead of --part-rows.")
@click.option("--module", metavar="PACKAGE:NAME", help="What makes the torch module that weights belong to.")
@click.option("--trust", multiple=True, metavar="CLASS", help="A class that a skops file may bring to life.")
@click.option("--rows", metavar="PARAMETER", help="Of a package: the parameter that takes the file of rows.")
@click.option("--take", metavar="NAME", help="Of a package: the value that it leaves as their scores.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="Of a package: a parameter.")
@click.option("--accelerate", multiple=True, metavar="NAME", help="Of a package: cudf.pandas or cuml.accel, on a GPU.")
@click.option("--on", "target", metavar="TARGET", help="Score each part as an element of a job there.")
@click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the target: partition=gpu.")
@click.option("--at-once", type=click.IntRange(min=1), help="How many elements may run at the same time.")
@click.option("--cpus", type=click.IntRange(min=1), help="Processors for each element.")
@click.option("--memory", callback=measure("memory_mb"), metavar="SIZE", help="Memory for each element: 4G.")
@click.option("--gpus", type=click.IntRange(min=0), help="GPUs for each element.")
@click.option("--time", "time_s", callback=measure("time_s"), metavar="TIME", help="The most time for each: 2h.")
@click.option("--retries", type=click.IntRange(min=0), help="Further tries of an element that fails.")
@click.option("--force", is_flag=True, help="Begin again, and replace what was scored before.")
@click.option("--unsafe-draft", metavar="WHY", help="Score with what nobody has approved; the ledger says why.")
@as_json
def score(
    model: Path, place: Path, output: Path, features: str | None, keep: Sequence[str], name: str, missing: Any,
    device: Any, batch_rows: int, part_rows: int, partitions: int | None, module: str | None, trust: Sequence[str],
    rows: str | None, take: str | None, parameters: Sequence[str], accelerate: Sequence[str], target: str | None,
    options: Sequence[str], at_once: int | None, cpus: int | None, memory: int | None, gpus: int | None,
    time_s: int | None, retries: int | None, force: bool, unsafe_draft: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Score Parquet files with a model that is approved.

    INPUT is a Parquet file or a folder of them; OUTPUT becomes a folder of parts, or one file where its name ends in
    .parquet. It is there once every row is scored, and not before: what a killed try has completed is kept beside it,
    and the same command goes on from there. MODEL is a model, or an exported package that scores a file of rows. With
    --on each part is an element of a job.

    \b
    Example:
      nbproof score build/model.skops rows.parquet scores --keep client_id
      nbproof score weights.safetensors rows scores --module exports/training:Network --features '*'
      nbproof score exports/scoring rows scores --rows path --take scores --on slurm --gpus 1 --partitions 16
    """
    from ..score.asked import Asked
    from ..score.device import prepare_process
    from ..score.scoring import score as scored

    prepare_process()
    project, unsafe = _who(unsafe_draft)
    asked = Asked(
        features=None if features is None else tuple(each.strip() for each in features.split(",")), keep=tuple(keep),
        name=name, batch_rows=batch_rows, part_rows=part_rows, partitions=partitions, device=device, missing=missing,
        trust=tuple(trust), module=module, parameters=pairs(parameters, "-p"), rows=rows, take=take,
        accelerate=tuple(accelerate),
    )  # fmt: skip
    if target is not None:
        needs = {"cpus": cpus, "memory_mb": memory, "gpus": gpus, "time_s": time_s}
        asked_of = {"options": options, "at_once": at_once, "retries": retries, "needs": needs}
        made = _submitted(model, place, output, asked, target, asked_of, project=project, unsafe=unsafe, force=force)
        if as_json:
            print_json(made)
            return
        click.echo(f"{made['id']} is with {target} as {made['number']}: {made['elements']} parts")
        click.echo(f"next: nbproof jobs logs {made['id']} --follow; the scores will be in {near(output.absolute())}")
        return
    began = time.monotonic()
    with Meter(sys.stderr) as tell:
        found = scored(model, place, output, asked, project=project, unsafe=unsafe, force=force, tell=tell)
    took = time.monotonic() - began
    if as_json:
        print_json({**_plain(found), "took_s": took})
        return
    if found.kept_parts == found.parts:
        click.echo(f"{near(Path(found.output))} holds {found.rows} rows, scored before; nothing was done again")
        return
    kept = f", {found.kept_parts} of them before" if found.kept_parts else ""
    click.echo(
        f"{found.rows} rows in {found.parts} parts{kept} are in {near(Path(found.output))}, after {duration(took)}"
    )
    click.echo(f"{found.model} on {found.device}: {found.approval}")


def _who(unsafe_draft: str | None) -> tuple[Path, Any]:
    """The project, and who wants to score without an approval (None: nobody)."""
    from ..review.gate import UnsafeBypass
    from ..settings import find_project, load

    if unsafe_draft is not None and not unsafe_draft.strip():
        raise click.UsageError("--unsafe-draft: found no reason, expected why nobody needs to approve it")
    project = find_project(Path.cwd())
    by = load(project, os.environ).review_name or getpass.getuser()
    return project, None if unsafe_draft is None else UnsafeBypass(by, unsafe_draft)


def _submitted(
    model: Path, place: Path, output: Path, asked: Any, target: str, of: Mapping[str, Any], *, project: Path,
    unsafe: Any, force: bool,
) -> dict[str, Any]:  # fmt: skip
    """Hand the parts to an engine, with what the settings say where nothing is said here."""
    from dataclasses import replace

    from ..jobs.standards import standards
    from ..score.partitions import Engine, submit
    from ..settings import load

    standard = standards(load(project, os.environ), target, pairs(of["options"], "-o"))
    needs = {name: value for name, value in of["needs"].items() if value is not None}
    resources = replace(standard.resources, **needs)
    if not resources.gpus:
        resources = replace(resources, gpu_kind=None)
    engine = Engine(
        target=standard.target, options=standard.options, resources=resources, at_once=of["at_once"],
        retries=standard.retries if of["retries"] is None else of["retries"],
    )  # fmt: skip
    made = submit(model, place, output, asked, engine, project=project, unsafe=unsafe, force=force)
    return {"id": made.id, "target": target, "number": made.submitted().number, "elements": len(made.job().elements)}


def _plain(found: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(found)


class Meter:
    """What scoring looks like while it goes on: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = self._told = 0.0
        self._before: int | None = None
        self._bars: Any = None
        self._bar: Any = None
        self._gpu = Gpu()

    def __enter__(self) -> Callable[[Progress], None]:
        return self._drawn if self._stream.isatty() else self._written

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _drawn(self, progress: Progress) -> None:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("{task.description}", markup=False), BarColumn(),
                TextColumn("{task.fields[told]}", markup=False), TimeRemainingColumn(),
                console=Console(file=self._stream), transient=True,
            )  # fmt: skip
            self._bar = self._bars.add_task("scoring", total=max(progress.total_rows, 1), told="")
            self._bars.start()
        self._bars.update(self._bar, completed=progress.rows, told=self._words(progress))

    def _written(self, progress: Progress) -> None:
        now = time.monotonic()
        self._told = self._told or now
        words = self._words(progress)
        if now - self._told >= PLAIN_EVERY_S:
            self._told = now
            self._stream.write(f"{words}\n")
            self._stream.flush()

    def _words(self, progress: Progress) -> str:
        # What was complete before was not scored in this time.
        if self._before is None:
            self._before, self._began = progress.rows, time.monotonic()
        took = max(time.monotonic() - self._began, 1e-3)
        rate = (progress.rows - self._before) / took
        told = f"{progress.rows:,} of {progress.total_rows:,} rows, {rate:,.0f} rows/s on {progress.device}"
        return f"{told}, {gpu}" if (gpu := self._gpu.use()) else told


class Gpu:
    """How busy the first GPU is that this process may see, as its driver says, looked at now and then."""

    def __init__(self) -> None:
        self._is_there = shutil.which("nvidia-smi") is not None
        self._told, self._at = "", -LOOK_EVERY_S

    def use(self) -> str:
        """Its use in words, as it was a moment ago; empty where there is none."""
        if self._is_there and time.monotonic() - self._at >= LOOK_EVERY_S:
            self._at = time.monotonic()
            # The driver takes its time to answer, and no row waits for that.
            threading.Thread(target=self._look, daemon=True).start()
        return self._told

    def _look(self) -> None:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"
        asked = "--query-gpu=utilization.gpu,memory.used"
        try:
            ran = subprocess.run(
                ["nvidia-smi", f"--id={seen}", asked, "--format=csv,noheader,nounits"],
                capture_output=True, text=True, check=False, timeout=5,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return
        busy, _, memory = ran.stdout.strip().partition(", ")
        self._told = f"GPU {busy}% busy, {memory} MiB" if ran.returncode == 0 and memory else ""
