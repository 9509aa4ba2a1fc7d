"""Public notebooks, exported: how many become packages that install, pass, verify, and give the notebook's values.

    python -m benchmarks.export_public FOLDER                  # a folder of notebooks with its manifest.csv
    python -m benchmarks.export_public FOLDER --with nbconvert-python --with jupytext --ids a,b

What becomes of a package happens in an environment with nothing but what the package says that it needs; such
environments are kept beside the notebooks, for packages that need the same. Where there is `uv`, it makes them.

`manifest.csv` has the columns `id`, `repo`, `commit` and `path`; `FOLDER/id/path` is the notebook, with the files that
it reads in their places. The notebooks are other people's, and no part of this repository. What is equal is judged by
`telling.py`, which knows nothing of the exporter's own comparison. Results are added to results/export_public.json.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from ..machine import machine
from .telling import difference, is_data

HERE = Path(__file__).parent
RESULT = HERE.parent / "results" / "export_public.json"
CONTENDERS = ("nbproof", "nbconvert-python", "nbconvert-ipython", "jupytext")
SCRIPTS = {"nbconvert-python": "script", "nbconvert-ipython": "ipython", "jupytext": "script"}
# So much of the values that are the same in two runs has to come back.
COVERAGE = 0.9
# Two runs may agree by chance on what the notebook does not reproduce: where a package gives something else, the
# notebook itself is asked so often, before it counts.
RUNS = 8
# What memory happens to hold is nobody's result: in the second run it holds something else.
STIRRED = {"MALLOC_PERTURB_": "77", "MEASURING_STIRS": "1"}
SECONDS, EXPORT_SECONDS = 180.0, 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one notebook with one converter.

    `verdict`: equal, partial (nothing differs, less than nine tenths came back), refused, failed, or DIFFERS.
    """

    id: str
    notebook: str
    contender: str
    verdict: str
    why: str = ""
    commit: str = ""
    values: int = 0
    values_equal: int = 0
    displayed: int = 0
    displayed_equal: int = 0
    convert_s: float = 0.0
    run_s: float = 0.0
    own_s: float = 0.0
    is_installed: bool | None = None
    do_tests_pass: bool | None = None
    does_verify: bool | None = None
    tests_say: str = ""
    # What two runs of the notebook agreed on by chance, as its further runs showed.
    not_reproduced: Sequence[str] = ()

    @property
    def is_sound(self) -> bool:
        """Whether it is equal, and what makes a package is there, too."""
        return (
            self.verdict == "equal" and bool(self.is_installed and self.do_tests_pass) and self.does_verify is not False
        )

    @property
    def shows_the_same(self) -> bool:
        """Whether nearly all that the notebook displays came back, too."""
        return self.verdict == "equal" and self.displayed_equal >= COVERAGE * self.displayed


@dataclass(frozen=True, slots=True)
class Reference:
    """What seeded runs of the notebook agree on."""

    values: Mapping[str, Any]
    displayed: Mapping[str, Any]
    seconds: float


def main() -> None:
    asked = _asked()
    rows = list(csv.DictReader((asked.folder / "manifest.csv").open(encoding="utf-8")))
    ids = asked.ids.split(",") if asked.ids else [row["id"] for row in rows]
    rows = sorted((row for row in rows if row["id"] in ids), key=lambda row: ids.index(row["id"]))
    until = time.monotonic() + asked.seconds
    found = {(each["id"], each["contender"]): each for each in _before(asked.result)}
    for row in rows:
        reference = None
        for contender in asked.contenders or ["nbproof"]:
            if (row["id"], contender) in found and not asked.again:
                continue
            if time.monotonic() > until:
                break
            reference = reference or _reference(asked.folder, row)
            if reference is None:
                continue
            about, got = _tried(
                asked.folder,
                row,
                contender,
                kept=asked.result.stem,
                keep=asked.keep,
                verifies=not asked.unverified,
            )
            about["own_s"] = reference.seconds
            outcome = Outcome(**about) if got is None else _judged(about, got, reference)
            if got is not None and outcome.verdict == "DIFFERS":
                longer = _reference(asked.folder, row, runs=RUNS) or reference
                outcome = replace(_judged(about, got, longer), not_reproduced=_lost(reference, longer))
            found[row["id"], contender] = asdict(outcome)
            print(f"{contender:18} {outcome.verdict:8} {outcome.notebook[-60:]:60} {outcome.why[:150]}", flush=True)
            asked.result.write_text(json.dumps({"machine": machine(), "outcomes": list(found.values())}, indent=1))
    outcomes = [Outcome(**each) for each in found.values() if each["id"] in {row["id"] for row in rows}]
    for line in table(outcomes):
        print(line)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--with", dest="contenders", action="append", choices=CONTENDERS)
    parser.add_argument("--ids", default="", help="only these, by comma")
    parser.add_argument("--again", action="store_true", help="also what was tried before")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin none after so many")
    parser.add_argument("--keep", type=Path, help="leave the packages there")
    parser.add_argument(
        "--unverified", action="store_true", help="leave `nbproof verify` out, which runs both once more"
    )
    parser.add_argument("--result", type=Path, default=RESULT)
    return parser.parse_args()


def _before(result: Path) -> list[dict[str, Any]]:
    return list(json.loads(result.read_text())["outcomes"]) if result.is_file() else []


def _reference(folder: Path, row: Mapping[str, str], *, runs: int = 2) -> Reference | None:
    """Runs in a kernel; they are kept beside the notebooks. None where the notebook does not run here."""
    states = []
    for number in range(1, runs + 1):
        state = folder / "_references" / row["id"] / f"{number}.json"
        if not state.is_file():
            state.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory() as place:
                notebook = _copied(folder, row, Path(place))
                command = [str(HERE / "kernel_run.py"), str(notebook), str(state), str(SECONDS)]
                run_seeded(command, notebook.parent, more=None if number % 2 else STIRRED)
        if not state.is_file() or json.loads(state.read_text())["error"]:
            return None
        states.append(json.loads(state.read_text()))
    agreed = (reduce(_agreed, (each[part] for each in states)) for part in ("values", "displayed"))
    return Reference(*agreed, states[1]["seconds"])


def _lost(short: Reference, longer: Reference) -> list[str]:
    """What fewer runs agreed on, and more do not."""
    return sorted(short.values.keys() - longer.values.keys()) + [
        f"displayed by {name}" for name in sorted(short.displayed.keys() - longer.displayed.keys(), key=int)
    ]


def _agreed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {name: told for name, told in one.items()
            if is_data(told) and name in other and not difference(told, other[name])}  # fmt: skip


def _tried(
    folder: Path,
    row: Mapping[str, str],
    contender: str,
    *,
    kept: str,
    keep: Path | None,
    verifies: bool,
) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """What is known of an outcome, and what the run of what was made gave; None where there was no such run."""
    about: dict[str, Any] = {"id": row["id"], "notebook": row["path"], "contender": contender,
                             "commit": row.get("commit", "")}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="public-") as place:
        notebook = _copied(folder, row, Path(place) / "notebook")
        out, state = Path(place) / "out", Path(place) / "state.json"
        out.mkdir()
        # The notebook's folder is as it was when what was made of it runs.
        fresh = _copied(folder, row, Path(place) / "fresh")
        began = time.monotonic()
        made = (_exported if contender == "nbproof" else _converted)(contender, notebook, out)
        about["convert_s"] = round(time.monotonic() - began, 2)
        if isinstance(made, Outcome):
            return {**asdict(made), **about}, None
        if contender != "nbproof":
            command = [str(HERE / "converted_run.py"), SCRIPTS[contender], str(made), str(state)]
            ended = run_seeded(command, fresh.parent)
        else:
            with environment(made, folder / f"_environments-{kept}") as (python, why_not):
                about["is_installed"] = not why_not
                if why_not:
                    return {**about, "verdict": "failed", "why": why_not}, None
                about |= _checked(made, python, verifies=verifies)
                cells = Path(place) / "cells.json"
                cells.write_text(json.dumps(_numbers(fresh)))
                if keep:
                    shutil.copytree(made, keep / f"{row['id']}_{made.name}", dirs_exist_ok=True)
                command = [str(HERE / "converted_run.py"), "package", made.name, str(state), str(cells)]
                ended = run_seeded(command, fresh.parent, python=python)
        if not state.is_file():
            return {**about, "verdict": "failed", "why": _last(ended)}, None
        return about, json.loads(state.read_text())


def _exported(contender: str, notebook: Path, out: Path) -> Path | Outcome:
    command = ["-m", "nbproof", "export", str(notebook), "--draft", "--out", str(out / "packages"), "--json"]
    ended = run_seeded(command, notebook.parent, seconds=EXPORT_SECONDS, is_seeded=False)
    made = [path.parent for path in (out / "packages").glob("*/pyproject.toml")]
    if ended.returncode == 0 and made:
        return made[0]
    verdict = "refused" if ended.returncode == 3 else "failed"
    return Outcome("", "", contender, verdict, why=_reasons(ended))


def _reasons(ended: subprocess.CompletedProcess[str]) -> str:
    """What the exporter said, without the path of the notebook."""
    said = " | ".join(line.strip() for line in ended.stderr.splitlines() if line.strip())
    return (said.partition("was not exported: ")[2] or said).partition(" | hint:")[0][:600]


def _converted(contender: str, notebook: Path, out: Path) -> Path | Outcome:
    """What the command of the tool writes, made in this process: to start one takes longer than to convert."""
    try:
        made = _by_jupytext(notebook, out) if contender == "jupytext" else _by_nbconvert(notebook, out)
    except Exception as error:
        return Outcome("", "", contender, "failed", why=f"{type(error).__name__}: {error}"[:300])
    return made if made.suffix == ".py" else Outcome("", "", contender, "failed", why=f"it wrote a {made.suffix}")


def _by_nbconvert(notebook: Path, out: Path) -> Path:
    # Asked for a script, it writes text where the notebook does not say its language.
    from nbconvert.exporters import PythonExporter

    text, about = PythonExporter().from_filename(str(notebook))
    made = out / f"{notebook.stem}{about['output_extension']}"
    made.write_text(text, encoding="utf-8")
    return made


def _by_jupytext(notebook: Path, out: Path) -> Path:
    import jupytext

    made = out / f"{notebook.stem}.py"
    jupytext.write(jupytext.read(notebook), made, fmt="py:percent")
    return made


@contextlib.contextmanager
def environment(package: Path, kept: Path) -> Iterator[tuple[str, str]]:
    """The Python of an environment with a package and all that it says it needs; or why it does not install."""
    said = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    needs = [*said["dependencies"], *said["optional-dependencies"]["test"]]
    place = kept / hashlib.sha256("\n".join(sorted(needs)).encode()).hexdigest()[:12]
    python, uv = str(place / "bin/python"), shutil.which("uv")
    pip = [uv, "pip"] if uv else [python, "-m", "pip"]
    of = ["--python", python] if uv else []
    if uv:
        # Another one that runs beside this may make the same.
        subprocess.run([uv, "venv", "-q", "--allow-existing", "--python", sys.executable, place], check=True)
    elif not place.is_dir():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
    ended = subprocess.run([*pip, "install", "-q", *of, f"{package}[test]"], capture_output=True, text=True)
    try:
        yield python, _last(ended) if ended.returncode else ""
    finally:
        subprocess.run([*pip, "uninstall", "-q", *of, *([] if uv else ["-y"]), said["name"]], capture_output=True)


def _checked(package: Path, python: str, *, verifies: bool) -> dict[str, Any]:
    """Whether the tests of a package pass where it is installed, and it verifies where it was made."""
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    tested = run_seeded(tests, package, is_seeded=False, python=python)
    # It ends with 4 or 5 where there are none.
    do_pass = None if tested.returncode in (4, 5) else tested.returncode == 0
    told = {"do_tests_pass": do_pass, "tests_say": "" if do_pass else _last(tested)}
    if not verifies:
        return told
    verify = ["-m", "nbproof", "verify", str(package)]
    does_verify = run_seeded(verify, package.parent, seconds=EXPORT_SECONDS, is_seeded=False).returncode == 0
    return {**told, "does_verify": does_verify}


def _numbers(notebook: Path) -> dict[str, int]:
    """The number of each cell among those with code, by its id as nbproof calls it."""
    from nbproof.notebook import document

    coded = [cell for cell in document.read(notebook).cells if cell.kind == "code" and cell.source.strip()]
    return {cell.id: number for number, cell in enumerate(coded, start=1)}


def _judged(about: Mapping[str, Any], got: Mapping[str, Any], reference: Reference) -> Outcome:
    values, shown = (_compared(got, reference, part) for part in ("values", "displayed"))
    wrong = [f"{said}{name}{where}" for said, found in (("", values), ("displayed by ", shown))
             for name, where in found.items() if where]  # fmt: skip
    if got["error"]:
        verdict, why = "failed", got["error"]
    elif wrong:
        verdict, why = "DIFFERS", "; ".join(wrong)[:300]
    elif reference.values and len(values) < COVERAGE * len(reference.values):
        verdict, why = "partial", "missing: " + ", ".join(sorted(reference.values.keys() - values.keys()))[:200]
    else:
        verdict, why = "equal", ""
    return Outcome(
        **about,
        verdict=verdict,
        why=why,
        values=len(reference.values),
        values_equal=sum(not where for where in values.values()),
        displayed=len(reference.displayed),
        displayed_equal=sum(not where for where in shown.values()),
        run_s=got["seconds"],
    )


def _compared(got: Mapping[str, Any], reference: Reference, part: str) -> dict[str, str]:
    """Where each value that came back is another one; an empty text where it is not."""
    return {name: difference(told, got[part][name]) for name, told in getattr(reference, part).items()
            if name in got[part]}  # fmt: skip


def _copied(folder: Path, row: Mapping[str, str], place: Path) -> Path:
    shutil.copytree(folder / row["id"], place, dirs_exist_ok=True)
    return place / row["path"]


def run_seeded(
    arguments: Sequence[str],
    folder: Path,
    *,
    seconds: float = SECONDS,
    is_seeded: bool = True,
    python: str = "",
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python so that random numbers start at one place and there is no network, unless it is not seeded."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "JUPYTER", "IPYTHON"))}
    # Another Python has what is installed for it, and nothing else.
    paths = [*([str(HERE / "seeding")] if is_seeded else []), *([] if python else [str(HERE.parents[1] / "src")])]
    known |= {"PYTHONPATH": os.pathsep.join(paths), "TQDM_DISABLE": "1"}
    known |= {} if python else {"PYTHONDONTWRITEBYTECODE": "1"}
    known |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    known |= {"MEASURING": "1", "PYTHONHASHSEED": "0"} if is_seeded else {}
    known |= more or {}
    command = [python or sys.executable, *arguments]
    try:
        return subprocess.run(
            command, cwd=folder, env=known, capture_output=True, text=True, errors="replace", timeout=seconds,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"not done after {seconds:g} s")


def _last(ended: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in f"{ended.stdout}\n{ended.stderr}".strip().splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-400:]


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The outcome of each contender, and why notebooks did not become packages."""
    yield (
        f"{'':18} {'tried':>5} {'equal':>5} {'part':>5} {'refus':>5} {'fail':>5} {'DIFF':>5} {'values':>10} "
        f"{'displayed':>10} {'shown too':>9} {'sound':>5}"
    )
    for contender in CONTENDERS:
        mine = [each for each in outcomes if each.contender == contender]
        if not mine:
            continue
        counted = Counter(each.verdict for each in mine)
        both, sound = sum(each.shows_the_same for each in mine), sum(each.is_sound for each in mine)
        counts = " ".join(f"{counted[name]:5}" for name in ("equal", "partial", "refused", "failed", "DIFFERS"))
        values = f"{sum(each.values_equal for each in mine)}/{sum(each.values for each in mine)}"
        shown = f"{sum(each.displayed_equal for each in mine)}/{sum(each.displayed for each in mine)}"
        yield f"{contender:18} {len(mine):5} {counts} {values:>10} {shown:>10} {both:9} {sound:5}"
    ours = [each for each in outcomes if each.contender == "nbproof"]
    made = [each for each in ours if each.is_installed is not None]
    if made:
        told = {name: sum(bool(getattr(each, name)) for each in made)
                for name in ("is_installed", "do_tests_pass", "does_verify")}  # fmt: skip
        slow = [each for each in made if each.convert_s > 3 * each.own_s + 10]
        yield f"of {len(made)} packages {told}; {len(slow)} took longer to export than 3 x their own time + 10 s"
    for each in ours:
        if not each.is_sound:
            missing = [
                name for name in ("is_installed", "do_tests_pass", "does_verify") if getattr(each, name) is False
            ]
            yield f"  {each.verdict:8} {each.notebook}: {each.why[:300]}{', '.join(f'not {name}' for name in missing)}"


if __name__ == "__main__":
    main()
