"""A large file, Parquet to Parquet, beside the boosting libraries' own contributions of a table in memory.

    python -m benchmarks.explain.big_file --rows 1000000    # some minutes on one core

Boosted models of fifty trees of depth four, thirty features. Both sides run in a process of their own, one after the
other, on one thread: times are its CPU seconds for the explaining alone, memory is the most that it ever held. The
library is given the whole table as an array; nbproof reads the file and writes one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from .records import Record, carried_out

FEATURES, LEARNT, TREES, DEPTH = 30, 20_000, 50, 4
# Rows that are made, written and read back at a time.
GROUP = 50_000
# A short measurement is taken twice, and the least counts: whatever else the machine does only adds.
LONG = 200_000
LIBRARIES = ("xgboost", "lightgbm")
NAMES = [f"x{at}" for at in range(FEATURES)]


def measure(cases: str = "*", *, rows: int = 20_000) -> list[Record]:
    """The records of the libraries whose names match."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write(place / "rows.parquet", rows)
        return [record for library in LIBRARIES if fnmatch(library, cases) for record in _beside(library, place, rows)]


def _beside(library: str, place: Path, rows: int) -> Iterator[Record]:
    model = place / ("model.ubj" if library == "xgboost" else "model.txt")
    _learn(library, place / "rows.parquet", model)
    native, ours = [], []
    for _ in range(1 if rows > LONG else 2):
        native.append(_in_own_process("native", library, model, place))
        ours.append(_in_own_process("nbproof", library, model, place))
    least = {"native": min(each["cpu_s"] for each in native), "nbproof": min(each["cpu_s"] for each in ours)}
    case = f"file to file, {rows} × {FEATURES} rows, {library}"
    yield Record(case, library, "CPU s", least["native"])
    yield Record(case, library, "peak GiB", native[0]["peak_gib"])
    yield Record(case, "nbproof", "CPU s", least["nbproof"])
    yield Record(case, "nbproof", "rows a CPU second", rows / least["nbproof"])
    yield Record(case, "nbproof", "times the library's own", least["nbproof"] / least["native"], "<= 1.15")
    yield Record(case, "nbproof", "peak GiB", ours[0]["peak_gib"], "<= 2")
    yield Record(case, "nbproof", "furthest from the library's", max(_apart(place, rows)), "<= 1e-6")


def _write(path: Path, rows: int) -> None:
    """Rows of numbers, made and written some at a time."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, pyarrow.float64()) for name in NAMES])
    with pyarrow.parquet.ParquetWriter(path, schema) as file:
        for number, start in enumerate(range(0, rows, GROUP)):
            table = np.random.default_rng([0, number]).normal(size=(min(GROUP, rows - start), FEATURES))
            file.write_table(pyarrow.table(list(table.T), names=NAMES))


def _learn(library: str, source: Path, model: Path) -> None:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(source) as file:
        table = next(file.iter_batches(LEARNT)).to_pandas()
    x = table.to_numpy()
    score = x @ np.random.default_rng(1).normal(size=FEATURES) * 0.4 + x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2])
    if library == "xgboost":
        import xgboost

        fitted: Any = xgboost.XGBClassifier(n_estimators=TREES, max_depth=DEPTH, n_jobs=1)
        fitted.fit(table, score > 0).save_model(model)
        return
    import lightgbm

    fitted = lightgbm.LGBMClassifier(n_estimators=TREES, max_depth=DEPTH, n_jobs=1, verbose=-1)
    fitted.fit(table, score > 0).booster_.save_model(model)


def _in_own_process(side: str, library: str, model: Path, place: Path) -> dict[str, float]:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.explain.big_file", "--side", side, library, str(model), str(place)],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def _one_side(side: str, library: str, model: Path, place: Path) -> None:
    """Explain once, in this process, and print what it took."""
    spent = _natively(library, model, place) if side == "native" else _by_nbproof(model, place)
    print(json.dumps({"cpu_s": spent, "peak_gib": _peak_gib()}))


def _peak_gib() -> float:
    """The most memory that this process held; not what `getrusage` says, which begins with its parent's."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(told["VmHWM"].split()[0]) / 1024**2


def _natively(library: str, model: Path, place: Path) -> float:
    """The library's own contributions of the whole table, which is in memory already."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(place / "rows.parquet").to_pandas().to_numpy()
    if library == "xgboost":
        import xgboost

        booster = xgboost.Booster(params={"nthread": 1}, model_file=model)
        began = time.process_time()
        found = booster.predict(xgboost.DMatrix(table, feature_names=NAMES, nthread=1), pred_contribs=True)
    else:
        import lightgbm

        booster = lightgbm.Booster(model_file=model)
        began = time.process_time()
        found = np.asarray(booster.predict(table, pred_contrib=True, num_threads=1))
    spent = time.process_time() - began
    np.save(place / "native.npy", found[:, :-1].astype(np.float32))
    return spent


def _by_nbproof(model: Path, place: Path) -> float:
    from nbproof.explain import loading
    from nbproof.explain.batches import explain_file

    fitted = loading.model(str(model))
    if hasattr(fitted, "set_params"):
        fitted.set_params(n_jobs=1)
    began = time.process_time()
    explain_file(fitted, place / "rows.parquet", place / "shares.parquet")
    return time.process_time() - began


def _apart(place: Path, rows: int) -> Iterator[float]:
    """How far the values in the file lie from the library's, some rows at a time."""
    import pyarrow.parquet

    native = np.load(place / "native.npy", mmap_mode="r")
    columns = [f"share of {name}" for name in NAMES]
    with pyarrow.parquet.ParquetFile(place / "shares.parquet") as file:
        assert file.metadata.num_rows == rows
        start = 0
        for batch in file.iter_batches(GROUP, columns=columns):
            found = np.stack([batch.column(name).to_numpy() for name in columns], axis=1)
            yield float(np.abs(found - native[start : start + len(found)]).max())
            start += len(found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        _one_side(sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]))
    else:
        carried_out("big_file", __doc__, measure)
