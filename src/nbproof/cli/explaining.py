"""`nbproof explain`: SHAP and LIME of a model's answers with their audit, to a folder of plain files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..errors import DataUnusable
from .output import as_json, duration, near, number, print_json, print_table

if TYPE_CHECKING:
    from ..explain.batches import Written
    from ..explain.calls import LimeOptions
    from ..explain.progress import Progress, Watch
    from ..explain.shown import Both

TABLES = (".parquet", ".pq")
SHOWN_FEATURES = 10
# Where nothing can be overwritten a line is written so often.
PLAIN_EVERY_S = 10.0
# Of the first features of LIME so many are the same under five seeds, where that is asked for.
STABLE = 0.9
# From here on it is worth saying beforehand how long it will take.
LONG_S = 2.0


@click.command()
@click.argument("model")
@click.argument("data", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-b", "--background", type=click.Path(path_type=Path, dir_okay=False),
    help="Rows to compare with (Parquet or CSV): the training data. LIME and the audit of SHAP need them.",
)  # fmt: skip
@click.option("--rows", type=click.IntRange(min=1), default=100, show_default=True, help="Explain the first N rows.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("explained"), show_default=True,
    help="The folder to write; or FILE.parquet: SHAP alone, of every row, in bounded memory.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of all that is drawn.")
@click.option(
    "--unit", type=click.Choice(["probability", "log-odds", "raw"]), help="Explain answers in this unit.  [the model's]"
)
@click.option("--method", help="How to compute SHAP values.  [what fits the model]")
@click.option("--samples", type=click.IntRange(min=2), help="How much a sampling method draws for SHAP.")
@click.option("--features", type=click.IntRange(min=1), default=10, show_default=True, help="Features LIME selects.")
@click.option("--categorical", multiple=True, metavar="COLUMN", help="A column of numbers that stand for kinds.")
@click.option("--fix-point-mass", is_flag=True, help="Ask about a bin of one value at that value, unlike lime.")
@click.option("--stream", is_flag=True, help="LIME: one stream of random numbers for all rows, as lime's own calls do.")
@click.option("--adaptive", is_flag=True, help="LIME: double the samples until 5 seeds agree on 90 % of what is first.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column of DATA that the model does not take.")
@click.option("--no-lime", is_flag=True, help="SHAP alone.")
@click.option("--no-audit", is_flag=True, help="No audit.")
@click.option("--strict", is_flag=True, help="Refuse (exit 3) on any caution, and where the audit fails.")
@click.option("--run", "run_id", metavar="RUN", help="Log to this MLflow run, too.")
@click.option("--trust", multiple=True, metavar="CLASS", help="A class that a skops file may hold.")
@click.option("--unsafe-read-pickles", is_flag=True, help="Read a pickle, which can carry out any code.")
@as_json
def explain(
    model: str,
    data: Path,
    background: Path | None,
    rows: int,
    output: Path,
    seed: int,
    unit: Any,
    method: str | None,
    samples: int | None,
    features: int,
    categorical: tuple[str, ...],
    fix_point_mass: bool,
    stream: bool,
    adaptive: bool,
    drop: tuple[str, ...],
    no_lime: bool,
    no_audit: bool,
    strict: bool,
    run_id: str | None,
    trust: tuple[str, ...],
    unsafe_read_pickles: bool,
    as_json: bool,
) -> None:
    """Say why MODEL answers the rows of DATA as it does.

    MODEL is a file (skops, XGBoost's .json or .ubj, LightGBM's .txt, CatBoost's .cbm, .keras) or an MLflow URI
    (models:/NAME@ALIAS, runs:/RUN/model). DATA is Parquet or CSV. Columns are matched by the names that
    the model was fitted on; of a model without names all columns are taken, but those of --drop.

    The folder holds manifest.json, shap.npz, lime.npz and audit.json: plain arrays and JSON, no pickle.

    \b
    Example:
      nbproof explain models:/credit@champion new.parquet -b train.parquet -o explained
      nbproof explain model.ubj all.parquet -o shares.parquet
    """
    from ..explain import loading
    from ..explain import model as models

    fitted = models.read(loading.model(model, trusted=trust, unsafe_read_pickles=unsafe_read_pickles))
    if output.suffix.lower() in TABLES:
        _refuse_for_a_file(rows, strict, run_id, stream or adaptive)
        written = _explained_file(fitted, data, background, output, drop, unit, method, samples, seed)
        _tell_file(written, as_json)
        return
    if (stream or adaptive) and (no_lime or background is None):
        raise click.UsageError("--stream and --adaptive go with LIME, which needs --background TRAINING_DATA")
    names = _columns(fitted, data, drop)
    from ..explain import calls

    frame = _taken(fitted, loading.table(data, rows=rows, columns=names))
    against = None if background is None else _taken(fitted, loading.table(background, columns=names))
    options = calls.LimeOptions(
        features=features, categorical=categorical, fix_point_mass=fix_point_mass,
        mode="stream" if stream else "row", until_stable=STABLE if adaptive else None,
    )  # fmt: skip
    kept = _explained(
        fitted, frame, against, names, unit=unit, method=method, samples=samples, seed=seed,
        lime=None if no_lime or against is None else options, is_audited=not no_audit, strict=strict,
    )  # fmt: skip
    calls.save(kept, output)
    logged = None if run_id is None else calls.log(kept, run_id=run_id)
    _tell(kept, output, logged, lime_missing=not no_lime and against is None, as_json=as_json)


def _columns(fitted: Any, data: Path, drop: Sequence[str]) -> tuple[str, ...]:
    """The columns of the file that the model takes, in its order."""
    from ..explain.tables import Table

    found = Table.of(data, 1).names
    for name in drop:
        if name not in found:
            raise DataUnusable(f"`{data}`", f"no column {name} to drop", f"one of {', '.join(found)}")
    if fitted.feature_names is None:
        taken = tuple(name for name in found if name not in drop)
        if fitted.features is not None and len(taken) != fitted.features:
            raise DataUnusable(
                f"`{data}`", f"the {len(taken)} columns {', '.join(taken)}",
                f"{fitted.features}, on which {fitted.name} was fitted; it does not know their names",
                hint="leave out what it does not take: --drop COLUMN",
            )  # fmt: skip
        return taken
    # LightGBM keeps its names without blanks.
    spelled = {name.replace(" ", "_") if fitted.family == "lightgbm" else name: name for name in found}
    for name in fitted.feature_names:
        if name not in spelled:
            raise DataUnusable(f"`{data}`", f"no column {name}", f"the columns that {fitted.name} was fitted on")
    return tuple(spelled[name] for name in fitted.feature_names)


def _taken(fitted: Any, frame: Any) -> Any:
    """Rows as the model takes them: with names where it was fitted with names, or where there is text."""
    if fitted.feature_names is not None or any(kind.kind not in "biuf" for kind in map(_numpy_kind, frame.dtypes)):
        return frame
    return frame.to_numpy(dtype=float)


def _numpy_kind(dtype: Any) -> Any:
    import numpy as np

    return dtype if isinstance(dtype, np.dtype) else np.dtype(object)


def _explained(
    fitted: Any,
    frame: Any,
    against: Any,
    names: Sequence[str],
    *,
    unit: Any,
    method: str | None,
    samples: int | None,
    seed: int,
    lime: LimeOptions | None,
    is_audited: bool,
    strict: bool,
) -> Both:
    from ..explain import calls
    from ..explain.question import ask
    from ..explain.shapley import dispatch

    feature_names = None if hasattr(frame, "columns") else names
    question = ask(fitted, frame, background=against, unit=unit, feature_names=feature_names)
    foreseen = dispatch.estimate(question, method=method, samples=samples)
    if foreseen.seconds > LONG_S:
        click.echo(f"SHAP of {foreseen.rows} rows: about {duration(foreseen.seconds)}", err=True)
    with RowsDone() as shown:
        return calls.explained(
            question.again(), method=method, seed=seed, samples=samples, lime=lime,
            is_audited=is_audited, strict=strict, watch=shown.watch,
        )  # fmt: skip


def _refuse_for_a_file(rows: int, strict: bool, run_id: str | None, has_lime: bool) -> None:
    source = click.get_current_context().get_parameter_source("rows")
    if source is not None and source.name == "COMMANDLINE":
        raise click.UsageError(f"--rows {rows} goes with a folder; a file holds every row")
    if run_id is not None:
        raise click.UsageError("--run goes with a folder; a file stays where it is")
    if strict:
        raise click.UsageError("--strict goes with a folder; a file has no audit")
    if has_lime:
        raise click.UsageError("--stream and --adaptive go with a folder; a file holds SHAP alone")


def _explained_file(
    fitted: Any,
    data: Path,
    background: Path | None,
    output: Path,
    drop: Sequence[str],
    unit: Any,
    method: str | None,
    samples: int | None,
    seed: int,
) -> Written:
    from ..explain import loading
    from ..explain.batches import explain_file

    names = _columns(fitted, data, drop)
    against = None if background is None else loading.table(background, columns=names)
    with RowsDone() as shown:
        return explain_file(
            fitted, data, output, background=against, unit=unit, method=method, seed=seed, samples=samples,
            features=names, watch=shown.watch,
        )  # fmt: skip


def _tell(kept: Both, output: Path, logged: str | None, *, lime_missing: bool, as_json: bool) -> None:
    from ..explain import mime, tracking

    made = [each for each in (kept.shap, kept.lime) if each is not None]
    if as_json:
        print_json({
            "folder": output,
            "logged": logged,
            "rows": len(made[0]),
            "explanations": [
                {
                    "kind": "lime" if each.surrogate is not None else "shap", "method": each.method, "unit": each.unit,
                    "is_exact": each.is_exact, "seed": each.seed, "output_names": each.output_names,
                    "complement": each.complement, "notes": each.notes, "cost": asdict(each.cost),
                    "importance": {
                        output: dict(zip(each.feature_names, map(float, each.importance()[:, at]), strict=True))
                        for at, output in enumerate(each.output_names)
                    },
                }
                for each in made
            ],
            "audit": None if kept.audit is None else kept.audit.written(),
            "metrics": tracking.metrics(kept),
        })  # fmt: skip
        return
    click.echo(mime.text(made))
    if lime_missing:
        click.echo("\nnote: no LIME, which learns from rows how values are spread: pass --background TRAINING_DATA")
    if kept.audit is not None:
        click.echo()
        lines = [
            (line.verdict, line.name, "" if line.value is None else number(line.value), line.sentence)
            for line in kept.audit.lines
        ]
        print_table(("verdict", "metric", "value", "what it says"), lines)
    click.echo(f"\n{near(output.resolve())}: {', '.join(sorted(file.name for file in output.iterdir()))}")
    if logged is not None:
        click.echo(f"logged: {logged}")


def _tell_file(written: Written, as_json: bool) -> None:
    if as_json:
        print_json(asdict(written))
        return
    took = written.cost.wall_s
    speed = f", {number(round(written.rows / took))} rows/s" if took else ""
    exact = "exact" if written.is_exact else "sampled"
    click.echo(
        f"{near(written.path.resolve())}: {written.rows} rows x {len(written.feature_names)} features in "
        f"{duration(took)}{speed}; {written.method}, {exact}, in {written.unit}; "
        f"largest completeness gap {number(written.largest_gap)}"
    )


class RowsDone:
    """How far the work is, on stderr: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._last = time.monotonic()
        self._bars: Any = None
        self._bar: Any = None

    @property
    def watch(self) -> Watch:
        from ..explain.progress import Watch

        report: Callable[[Progress], None] = self._drawn if self._stream.isatty() else self._written
        return Watch(report)

    def __enter__(self) -> RowsDone:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _drawn(self, progress: Progress) -> None:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                console=Console(file=self._stream), transient=True,
            )  # fmt: skip
            self._bar = self._bars.add_task("rows", total=progress.total)
            self._bars.start()
        self._bars.update(self._bar, completed=progress.done, total=progress.total)

    def _written(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last < PLAIN_EVERY_S:
            return
        self._last = now
        left = "" if progress.remaining_s is None else f", about {duration(progress.remaining_s)} left"
        self._stream.write(f"explained {progress.done} of {progress.total} rows{left}\n")
        self._stream.flush()
