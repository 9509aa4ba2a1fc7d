"""The notebooks that are measured, the project that holds them, and what must be there once they have run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAVY = ("pandas", "torch", "shap", "mlflow", "sklearn")
PRINTED_CHARACTERS = 100_000
ROWS = 1000


class WrongResult(Exception):
    """A run that did not leave what it should have left: its time is worth nothing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Notebooks, each with the one whose product it reads, if any; all import `imports` and end in `extra` cells.

    `printed` is how many characters the extra cells of one notebook print together.
    """

    name: str
    upstream: Mapping[str, str | None]
    imports: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    printed: int = 0


def single(name: str, *, imports: tuple[str, ...] = (), extra: tuple[str, ...] = (), printed: int = 0) -> Shape:
    return Shape(name, {"task_0": None}, imports, extra, printed)


def wide(tasks: int, *, imports: tuple[str, ...] = ()) -> Shape:
    return Shape(f"wide-{tasks}", {f"task_{n}": None for n in range(tasks)}, imports)


def chain(tasks: int, *, imports: tuple[str, ...] = ()) -> Shape:
    return Shape(f"chain-{tasks}", {f"task_{n}": f"task_{n - 1}" if n else None for n in range(tasks)}, imports)


def tree(tasks: int) -> Shape:
    """Each notebook reads another: neither one long chain nor all side by side."""
    return Shape(f"tree-{tasks}", {f"task_{n}": f"task_{(n - 1) // 2}" if n else None for n in range(tasks)})


def small_cells() -> Shape:
    return single("small-cells", extra=tuple(f"value_{number} = sum(range({number}))" for number in range(20)))


def loud_cells() -> Shape:
    """A hundred cells, each of which prints 100 KB."""
    cells = tuple(f"print('{number % 10}' * {PRINTED_CHARACTERS - 1})" for number in range(100))
    return single("loud-cells", extra=cells, printed=100 * PRINTED_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Project:
    """The folder in which one contender runs one shape."""

    folder: Path
    shape: Shape

    def write(self, *, executor: str = "") -> None:
        (self.folder / "build").mkdir(parents=True)
        tasks = "".join(
            f"  - source: {task}.ipynb\n    product: {{nb: build/{task}.ipynb, data: build/{task}.txt}}\n"
            for task in self.shape.upstream
        )
        head = f"executor: {executor}\n" if executor else ""
        (self.folder / "pipeline.yaml").write_text(f"{head}tasks:\n{tasks}")
        # The others keep no tracker, so nbproof does without one as well.
        settings = f"[tool.nbproof]\nworkers = {os.cpu_count()}\ntracking = false\n"
        (self.folder / "pyproject.toml").write_text(settings)
        for task in self.shape.upstream:
            (self.folder / f"{task}.ipynb").write_text(json.dumps(self._notebook(task)))
            (self.folder / f"{task}.py").write_text("\n".join(self._cells(task)) + "\n")

    def clear(self) -> None:
        """Take away what runs left, so that everything must run again."""
        shutil.rmtree(self.folder / "build")
        (self.folder / "build").mkdir()
        self._log.unlink(missing_ok=True)

    def paths(self) -> list[tuple[str, str]]:
        """Each notebook, in an order that may be followed, and where it goes once it is executed."""
        return [(f"{task}.ipynb", f"build/{task}.ipynb") for task in self.shape.upstream]

    def check(self, *, all_ran: bool, has_notebooks: bool) -> None:
        """Raises `WrongResult` unless every product is right, and all tasks ran once, or none of them."""
        ran = sorted(self._log.read_text().split()) if self._log.exists() else []
        expected = sorted(self.shape.upstream) if all_ran else []
        if ran != expected:
            raise WrongResult(f"{self.shape.name}: {len(ran)} tasks ran, expected {len(expected)}")
        for task in self.shape.upstream:
            product = self.folder / f"build/{task}.txt"
            if not product.is_file() or product.read_text() != self.product(task):
                raise WrongResult(f"{self.shape.name}: the product of {task} is missing or wrong")
            if has_notebooks and all_ran:
                self._check_executed(self.folder / f"build/{task}.ipynb")

    def product(self, task: str) -> str:
        """What the notebook of `task` writes."""
        upstream = self.shape.upstream[task]
        before = self.product(upstream) if upstream else ""
        return f"sum {sum(range(ROWS))} {task}\n{before}"

    @property
    def _log(self) -> Path:
        return self.folder / "ran.log"

    def _check_executed(self, path: Path) -> None:
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        if any(cell["execution_count"] is None for cell in cells):
            raise WrongResult(f"{path.name} has cells that were not executed")
        streams = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "stream"]
        printed = sum(len("".join(stream["text"])) for stream in streams)
        if printed != self.shape.printed:
            raise WrongResult(f"{path.name} holds {printed} characters of output, expected {self.shape.printed}")

    def _notebook(self, task: str) -> dict[str, Any]:
        parameters, *others = self._cells(task)
        cells = [_code("parameters", parameters, ["parameters"])]
        cells += [_code(f"cell-{number}", source, []) for number, source in enumerate(others, 1)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}

    def _cells(self, task: str) -> list[str]:
        """No work to speak of: what is measured is everything around it."""
        upstream = self.shape.upstream[task]
        reads = {upstream: {"data": f"build/{upstream}.txt"}} if upstream else None
        before = f"open(upstream[{upstream!r}]['data']).read()" if upstream else "''"
        total = "int(pandas.Series(range(rows)).sum())" if "pandas" in self.shape.imports else "sum(range(rows))"
        work = [f"import {name}" for name in self.shape.imports]
        work += [
            f"before = {before}",
            "with open(product['data'], 'w') as file:",
            f"    _ = file.write(f'sum {{{total}}} {task}\\n' + before)",
            "with open('ran.log', 'a') as log:",
            f"    _ = log.write('{task}\\n')",
        ]
        parameters = f"upstream = {reads!r}\nproduct = {{'data': 'build/{task}.txt'}}\nrows = {ROWS}"
        return [parameters, "\n".join(work), *self.shape.extra]


def _code(name: str, source: str, tags: list[str]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {"tags": tags},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
