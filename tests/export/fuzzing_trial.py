"""One made notebook, exported and judged: equal, refused, silently different, or a failure of the exporter itself."""

from __future__ import annotations

import json
import re
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import nbformat
from fuzzing_forks import Forks
from fuzzing_grammar import MadeCell

from nbproof.errors import NotExported, NotWatched
from nbproof.export import draft as drafts
from nbproof.export import running
from nbproof.export.watching import watch as watches

Verdict = Literal["equal", "refused", "different", "failed", "no notebook"]
NAME = "draft"
_SHELL = re.compile(r"^\s*[!%?]|\?\s*$|=\s*[!%]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it, in words that say where and why."""

    verdict: Verdict
    words: tuple[str, ...] = ()
    shape: str = ""


class Trials:
    """Tries notebooks, each in processes of its own."""

    def __init__(self) -> None:
        self.exporter = Forks("nbproof.export.watching.executor")
        self.oracle = Forks("IPython.core.interactiveshell", "IPython.display", "fuzzing_oracle")
        self.bare = Forks("fuzzing_described")

    def close(self) -> None:
        for forks in (self.exporter, self.oracle, self.bare):
            forks.close()

    def __enter__(self) -> Trials:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @contextmanager
    def forking(self) -> Iterator[None]:
        """Let the exporter's own processes be forks: the same modules, without the time that Python takes to start."""

        def carried_out(module: str, job: Mapping[str, Any], **options: Any) -> Mapping[str, Any]:
            return self.exporter.run(f"{module}.__main__:main", job)

        with (
            mock.patch.object(running, "carried_out", carried_out),
            mock.patch.object(watches, "carried_out", carried_out),
        ):
            yield

    def judge(self, cells: tuple[MadeCell, ...]) -> Trial:
        """Export the notebook, and compare what an IPython shell makes of it with what its package does."""
        with tempfile.TemporaryDirectory(prefix="nbproof-fuzz-") as place:
            top = Path(place)
            folders = {name: top / name / "work" for name in ("export", "notebook", "again", "package")}
            for folder in folders.values():
                folder.mkdir(parents=True)
            ids = [f"cell-{at}" for at in range(len(cells))]
            path = folders["export"] / f"{NAME}.ipynb"
            write(path, cells, ids)
            code = [(cell_id, cell.source) for cell_id, cell in zip(ids, cells, strict=True) if cell.kind == "code"]
            try:
                with self.forking():
                    made = drafts.draft(path)
            except NotExported as refused:
                # A refusal needs no comparison; a notebook that fails by itself is none of the grammar's.
                wrong = re.search(r"cell \d+(, line \d+)? fails: .*", str(refused))
                if wrong:
                    found = self.oracle.run("fuzzing_oracle:notebook", _job(folders["notebook"], cells=code))
                    if found["error"]:
                        return Trial("no notebook", (found["error"],))
                return Trial("refused", tuple(refused.reasons))
            except Exception as error:
                return Trial("failed", (f"{type(error).__name__}: {error}", traceback.format_exc()))
            notebook = self.oracle.run("fuzzing_oracle:notebook", _job(folders["notebook"], cells=code))
            if notebook["error"]:
                return Trial("different", (f"the notebook fails: {notebook['error']}",), made.shape)
            parent = top / "installed"
            for name, text in made.files.items():
                (parent / NAME / name).parent.mkdir(parents=True, exist_ok=True)
                (parent / NAME / name).write_text(text, encoding="utf-8")
            job = _job(folders["package"], name=NAME, parent=str(parent), output_again=str(top / "again.json"))
            try:
                once = self.bare.run("fuzzing_oracle:package", job)
            except NotWatched as error:
                return Trial("different", (f"the package fails: {error}",), made.shape)
            twice = json.loads((top / "again.json").read_text(encoding="utf-8"))
            # What magics and programs only say is left out of a package, and its notes tell that.
            is_with_prints = not any(_SHELL.search(source) for _, source in code)
            words = list(differences(notebook, notebook, (once, twice), is_with_prints=is_with_prints))
            if words:
                again = self.oracle.run("fuzzing_oracle:notebook", _job(folders["again"], cells=code))
                words = list(differences(notebook, again, (once, twice), is_with_prints=is_with_prints))
            return Trial("different" if words else "equal", tuple(words), made.shape)


def differences(
    notebook: Mapping[str, Any],
    again: Mapping[str, Any],
    packages: Sequence[Mapping[str, Any]],
    *,
    is_with_prints: bool,
) -> Iterator[str]:
    """In what a run of the package differs, apart from what the notebook itself does otherwise each time."""
    for time, package in zip(("", "the second time: "), packages, strict=True):
        for what in ("values", "shown", "figures", "files"):
            wanted, other, found = notebook[what], again[what], package[what]
            for name in sorted({*wanted, *found}):
                one, two = _short(wanted.get(name)), _short(found.get(name))
                if (name in wanted) != (name in found) or (
                    wanted[name] != found[name] and wanted[name] == other.get(name)
                ):
                    yield f"{time}{what} `{name}`: {one} in the notebook, {two} in the package"
        if is_with_prints and notebook["prints"] == again["prints"] != package["prints"]:
            one, two = _short(notebook["prints"]), _short(package["prints"])
            yield f"{time}prints: {one} in the notebook, {two} in the package"


def write(path: Path, cells: tuple[MadeCell, ...], ids: list[str]) -> None:
    """Write the notebook; each cell has an id that says where it stands."""
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "k", "display_name": "k", "language": "python"}}
    )
    for cell, cell_id in zip(cells, ids, strict=True):
        make = getattr(nbformat.v4, f"new_{cell.kind}_cell")
        notebook.cells.append(make(cell.source, id=cell_id))
    nbformat.write(notebook, path)


def shrunk(trials: Trials, cells: tuple[MadeCell, ...], verdict: Verdict) -> tuple[MadeCell, ...]:
    """The notebook with whatever can be left out so that the verdict stays: cells, then lines."""
    at = 0
    while at < len(cells):
        fewer = (*cells[:at], *cells[at + 1 :])
        if fewer and trials.judge(fewer).verdict == verdict:
            cells = fewer
        else:
            at += 1
    for at, cell in enumerate(cells):
        lines = cell.source.split("\n")
        line = 0
        while line < len(lines) and len(lines) > 1:
            fewer_lines = [*lines[:line], *lines[line + 1 :]]
            tried = (*cells[:at], MadeCell(cell.kind, "\n".join(fewer_lines)), *cells[at + 1 :])
            if trials.judge(tried).verdict == verdict:
                lines, cells = fewer_lines, tried
            else:
                line += 1
    return cells


def _job(folder: Path, **more: Any) -> dict[str, Any]:
    return {"folder": str(folder), **more}


def _short(value: Any) -> str:
    return str(value)[:300]
