"""Draw the notebooks that are exported: so many of each repository, by chance, that run here from their top, twice.

    python -m benchmarks.export_public.collecting CHECKOUTS FOLDER [--each 4] [--tries 12] [--seconds 1e9]

`CHECKOUTS/owner+name` holds the files of a repository, `CHECKOUTS/commits.csv` its commit (`repo`, `commit`). The hash
of its address decides when a notebook is tried, so nobody chooses; what is passed over, and why, is kept beside what
was taken, in `FOLDER/tried.csv`. What a notebook was seen reading is copied beside it, and the second run has that
alone. Both runs are the reference of the benchmark. Nothing of nbproof is asked here.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import importlib.util
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from .__main__ import HERE, STIRRED, run_seeded

# What asks for a page or a file of somewhere else, as far as a line shows it.
_FETCHES = re.compile(
    r"urlretrieve|urlopen|requests\.(get|post)|\bwget\b|\bcurl\b|"
    r"read_\w+\(\s*f?[\"']https?:|=\s*[\"']https?:|\bdownload\w*\(|fetch_\w+\("
)
SECONDS, LEAST_CELLS, LARGEST = 60.0, 3, 30_000_000


@dataclass(frozen=True, slots=True)
class Tried:
    """One notebook that was drawn: taken where `why_not` is empty."""

    id: str
    repo: str
    commit: str
    path: str
    why_not: str


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkouts", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--tries", type=int, default=12, help="runs in each repository at most")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin none after so many")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    commits = {row["repo"]: row["commit"] for row in _rows(asked.checkouts / "commits.csv")}
    drawn = {repo: _drawn(asked.checkouts / repo.replace("/", "+")) for repo in commits}
    found = [Tried(**row) for row in _rows(asked.folder / "tried.csv")]
    until = time.monotonic() + asked.seconds
    # A round gives each repository one more, so that the set is a varied one whenever it ends.
    for wanted in range(1, asked.each + 1):
        for repo, notebooks in drawn.items():
            for path in notebooks:
                mine = [each for each in found if each.repo == repo]
                runs = sum(not each.why_not.startswith("not run") for each in mine)
                if sum(not each.why_not for each in mine) >= wanted or runs >= asked.tries:
                    break
                if time.monotonic() > until:
                    return
                shown = path.relative_to(asked.checkouts).as_posix()
                if any(each.path == shown for each in mine):
                    continue
                found.append(_tried(asked.checkouts, asked.folder, repo, commits[repo], path))
                _write(asked.folder / "tried.csv", found)
                _write(asked.folder / "manifest.csv", [each for each in found if not each.why_not])
                if not found[-1].why_not.startswith("not run"):
                    print(f"{found[-1].why_not[:70] or 'taken':70} {shown}", flush=True)
    print(f"{sum(not each.why_not for each in found)} of {len(found)} notebooks taken")


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8"))) if path.is_file() else []


def _write(path: Path, rows: Sequence[Tried]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Tried)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _drawn(checkout: Path) -> list[Path]:
    notebooks = [path for path in checkout.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    return sorted(notebooks, key=lambda path: _chance(path.relative_to(checkout.parent).as_posix()))


def _chance(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _tried(checkouts: Path, folder: Path, repo: str, commit: str, notebook: Path) -> Tried:
    path = notebook.relative_to(checkouts)
    made = Tried(_chance(path.as_posix())[:10], repo, commit, path.as_posix(), "")
    why_not = _why_not_run(notebook, checkouts / path.parts[0])
    if not why_not:
        why_not = _qualified(checkouts / path.parts[0], path, folder, made.id)
        if why_not:
            shutil.rmtree(folder / made.id, ignore_errors=True)
            shutil.rmtree(folder / "_references" / made.id, ignore_errors=True)
    return Tried(**{**asdict(made), "why_not": " ".join(why_not.split())[:200]})


def _why_not_run(notebook: Path, checkout: Path) -> str:
    """What speaks against a notebook before it runs; all of it begins with `not run`."""
    try:
        found = nbformat.read(notebook, as_version=4)
    except Exception as error:
        return f"not run: cannot be read: {type(error).__name__}"
    cells = [cell.source for cell in found.cells if cell.cell_type == "code" and cell.source.strip()]
    language = found.metadata.get("kernelspec", {}).get("language", "python")
    if not str(language).lower().startswith("python"):
        return f"not run: its language is {language}"
    if len(cells) < LEAST_CELLS:
        return f"not run: {len(cells)} cells with code"
    if any(
        _FETCHES.search(line) for source in cells for line in source.splitlines() if not line.lstrip().startswith("#")
    ):
        return "not run: fetches something"
    if not all(_is_python(source) for source in cells):
        return "not run: no Python of today"
    missing = sorted({name for source in cells for name in _imported(source) if not _is_there(name, checkout)})
    return f"not run: needs {', '.join(missing)}" if missing else ""


def _is_python(source: str) -> bool:
    try:
        compile(TransformerManager().transform_cell(source), "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError):
        return False
    return True


def _imported(source: str) -> Iterator[str]:
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _is_there(name: str, checkout: Path) -> bool:
    return importlib.util.find_spec(name) is not None or next(
        (path for pattern in (f"{name}.py", f"{name}/__init__.py", name) for path in checkout.rglob(pattern)), None
    ) is not None  # fmt: skip


def _qualified(checkout: Path, path: Path, folder: Path, name: str) -> str:
    """Run it in its repository, then twice with what it was seen reading; the reason where it does not run."""
    place, states = folder / name, folder / "_references" / name
    states.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="collect-") as scratch:
        whole, opened = Path(scratch) / checkout.name, Path(scratch) / "opened.txt"
        shutil.copytree(checkout, whole, symlinks=True)
        failed = _run(Path(scratch) / path, states / "1.json", {"MEASURING_OPENED": str(opened)})
        if failed:
            return failed
        seen = {Path(line) for line in opened.read_text(errors="replace").splitlines()} if opened.is_file() else set()
        read = [
            file.relative_to(whole) for file in _files(seen, whole) if (checkout / file.relative_to(whole)).is_file()
        ]
    for attempt in (read, [*read, *_beside(checkout, path.relative_to(checkout.name))]):
        shutil.rmtree(place, ignore_errors=True)
        for file in [path.relative_to(checkout.name), *attempt]:
            (place / checkout.name / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / file, place / checkout.name / file)
        with tempfile.TemporaryDirectory(prefix="collect-") as scratch:
            shutil.copytree(place, scratch, dirs_exist_ok=True)
            failed = _run(Path(scratch) / path, states / "2.json", STIRRED)
        if not failed:
            return ""
    return f"the second time: {failed}"


def _files(seen: set[Path], whole: Path) -> Iterator[Path]:
    """The files below a folder that were opened, or lie in a folder that was listed."""
    for path in sorted(seen):
        if path.is_relative_to(whole) and path.is_file():
            yield path
        elif path.is_relative_to(whole) and path.is_dir():
            yield from (each for each in path.iterdir() if each.is_file() and each.suffix != ".ipynb")


def _beside(checkout: Path, notebook: Path) -> Iterator[Path]:
    """What lies beside it, where that is little: some libraries open files without telling."""
    files = [path for path in (checkout / notebook).parent.rglob("*") if path.is_file() and path.suffix != ".ipynb"]
    if sum(path.stat().st_size for path in files) < LARGEST:
        yield from (path.relative_to(checkout) for path in files)


def _run(notebook: Path, state: Path, more: dict[str, str]) -> str:
    state.unlink(missing_ok=True)
    run_seeded([str(HERE / "kernel_run.py"), str(notebook), str(state), str(SECONDS)], notebook.parent,
               seconds=SECONDS + 60, more=more)  # fmt: skip
    if not state.is_file():
        return "the kernel died, or took too long"
    error: str = json.loads(state.read_text())["error"]
    return error


if __name__ == "__main__":
    main()
