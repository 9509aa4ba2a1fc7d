"""A run's notebook as a file again: what was executed, or what can be run again with the same parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbproof.errors import NotebookInvalid, ParameterInvalid, RecordUnusable
from nbproof.notebook import contract, document
from nbproof.settings import Settings
from nbproof.track.runs.reading import RunStore, open_runs
from nbproof.track.runs.restoring import executed, open_copy, restore, rewritten

DECLARED = (
    'from pathlib import Path\nrows: int = 10  # of the sample\nkind = "ä"\ndata: Path = Path("a.csv")\nseed: int'
)
GIVEN = {"rows": 20, "kind": "ü'\"\n", "data": "b.csv", "seed": 7}


def cell(source: str, *tags: str, **more: Any) -> dict[str, Any]:
    return {
        "cell_type": "code", "id": f"c{abs(hash(source)) % 10**8}", "metadata": {"tags": list(tags)}, "source": source,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "said"}], "execution_count": 3, **more,
    }  # fmt: skip


def notebook(*cells: dict[str, Any], **metadata: Any) -> str:
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec, **metadata}, "cells": list(cells)}
    return json.dumps(content)


EXECUTED = notebook(
    cell(DECLARED, "parameters"),
    cell("# Parameters\nrows = 20", "injected-parameters"),
    cell("print(rows)"),
    papermill={"parameters": {**GIVEN, "beside": 1}},
)


class Kept:
    """A store in which runs with executed notebooks can be made."""

    def __init__(self, store: RunStore, project: Path) -> None:
        self.store, self.project = store, project
        self.experiment = store.client.create_experiment("credit", artifact_location=str(project / "mlruns/credit"))

    def run(self, content: str | None, name: str = "notebook/training.ipynb", **parameters: str) -> str:
        made: str = self.store.client.create_run(self.experiment).info.run_id
        for key, value in parameters.items():
            self.store.client.log_param(made, key, value)
        if content is not None:
            self.store.client.log_text(made, content, name)
        return made


@pytest.fixture
def kept(project: Path, give_store: Callable[[Path], str]) -> Kept:
    give_store(project)
    store = open_runs(project, Settings(experiment="credit"))
    assert store is not None
    return Kept(store, project)


def read(file: Path) -> tuple[dict[str, Any], document.Document]:
    return json.loads(file.read_text()), document.read(file)


def test_an_opened_copy_is_the_record_itself(kept: Kept) -> None:
    """Byte for byte, in a folder that git leaves alone; opened again it is the same file."""
    run = kept.run(EXECUTED)

    first = open_copy(executed(kept.store, run), kept.project)

    assert first == kept.project / "opened" / f"training-{run[:8]}.ipynb"
    assert first.read_text() == EXECUTED
    assert (first.stat().st_mode & 0o777) == 0o444
    assert (kept.project / "opened/.gitignore").read_text() == "*\n"
    assert open_copy(executed(kept.store, run), kept.project) == first


def test_a_copy_that_was_changed_is_not_shown_as_the_record(kept: Kept) -> None:
    """Nor is it overwritten: the record gets another name."""
    run = kept.run(EXECUTED)
    first = open_copy(executed(kept.store, run), kept.project)
    first.chmod(0o644)
    first.write_text("changed")

    second = open_copy(executed(kept.store, run), kept.project)

    assert (second.name, second.read_text()) == (f"training-{run[:8]}-2.ipynb", EXECUTED)
    assert first.read_text() == "changed"


def test_a_nested_run_shows_the_notebook_of_the_run_around_it(kept: Kept) -> None:
    """It was made there."""
    around = kept.run(EXECUTED)
    nested = kept.run(None)
    kept.store.client.set_tag(nested, "mlflow.parentRunId", around)

    assert executed(kept.store, nested).run_id == around


def test_a_run_without_a_notebook_says_so(kept: Kept) -> None:
    """Also when runs name each other as the one around them."""
    first, second = kept.run(None), kept.run(None)
    kept.store.client.set_tag(first, "mlflow.parentRunId", second)
    kept.store.client.set_tag(second, "mlflow.parentRunId", first)

    with pytest.raises(RecordUnusable, match="found no executed notebook"):
        executed(kept.store, first)


@pytest.mark.parametrize("content", ["<script>", "{}", '{"nbformat": 3}'])
def test_what_is_no_notebook_is_not_opened(kept: Kept, content: str) -> None:
    """Whatever its name says."""
    with pytest.raises(NotebookInvalid):
        executed(kept.store, kept.run(content))


def test_a_restored_notebook_declares_what_the_run_was_given(kept: Kept) -> None:
    """In its own words: comments, names and types stay, outputs and the injected cell go."""
    run = kept.run(EXECUTED)

    restored = restore(kept.store, run, kept.project)

    content, found = read(restored.file)
    assert (restored.put, restored.left) == (("rows", "kind", "data", "seed"), ("beside",))
    assert found.cells[0].source == (
        "from pathlib import Path\nrows: int = 20  # of the sample\nkind = 'ü\\'\"\\n'\n"
        "data: Path = Path('b.csv')\nseed: int = 7"
    )
    assert contract.read(found).defaults() == GIVEN
    assert [held["source"] for held in content["cells"][1:]] == ["print(rows)"]
    assert all(held["outputs"] == [] and held["execution_count"] is None for held in content["cells"])
    assert content["metadata"]["nbproof"] == {"restored_from": run}
    assert "papermill" not in content["metadata"]


def test_restoring_never_overwrites(kept: Kept) -> None:
    """Each time there is a new file."""
    run = kept.run(EXECUTED)

    names = [restore(kept.store, run, kept.project).file.name for _ in range(3)]

    assert names == [f"training-{run[:8]}.ipynb", f"training-{run[:8]}-2.ipynb", f"training-{run[:8]}-3.ipynb"]


def test_parameters_are_read_from_the_run_where_the_notebook_does_not_say(kept: Kept) -> None:
    """As the command line would read them."""
    run = kept.run(notebook(cell(DECLARED, "parameters")), rows="20", kind="ü", seed="7", other="x")

    restored = restore(kept.store, run, kept.project)

    assert contract.read(read(restored.file)[1]).defaults() == {"rows": 20, "kind": "ü", "data": "a.csv", "seed": 7}
    assert restored.left == ("other",)


def test_a_value_that_is_known_in_part_is_not_put_in(kept: Kept) -> None:
    """Half of a value is another value; the whole one is taken from the file beside it when it is there."""
    cut = {"kind": "x" * 100 + " … [cut; whole in parameters.json]", "seed": "7"}
    run = kept.run(notebook(cell(DECLARED, "parameters")), **cut)
    with pytest.raises(RecordUnusable):
        restore(kept.store, run, kept.project)

    kept.store.client.log_dict(run, {"kind": "x" * 9000}, "parameters.json")

    found = contract.read(read(restore(kept.store, run, kept.project).file)[1])
    assert found.defaults()["kind"] == "x" * 9000


def test_a_value_that_does_not_fit_is_refused(kept: Kept) -> None:
    """Nothing is written then."""
    with pytest.raises(ParameterInvalid):
        restore(kept.store, kept.run(notebook(cell(DECLARED, "parameters")), rows="many", seed="7"), kept.project)

    assert list(kept.project.glob("*.ipynb")) == []


def test_a_notebook_without_parameters_comes_back_as_it_was_written(kept: Kept) -> None:
    """And says which parameters it does not hold."""
    run = kept.run(notebook(cell("print(1)")), solver="saga")

    restored = restore(kept.store, run, kept.project)

    assert (restored.put, restored.left) == ((), ("solver",))
    assert read(restored.file)[1].cells[0].source == "print(1)"


def test_a_hostile_name_stays_in_the_folder(kept: Kept) -> None:
    """Letters that lead elsewhere, or that a page could take for markup, become underscores."""
    run = kept.run(EXECUTED, name="notebook/<img src=x>..;$(rm).ipynb")

    restored = restore(kept.store, run, kept.project)

    assert restored.file == kept.project / f"_img src_x______rm_-{run[:8]}.ipynb"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a = (1 +\n     2)\nb = 3", "a = (9)\nb = 3"),
        ("ä = 'ü'; a = 1", "ä = 'ü'; a = 9"),
        ("a: int\r\nb = 2", "a: int = 9\r\nb = 2"),
        ("b = 2", "b = 2"),
    ],
)
def test_only_the_value_is_rewritten(source: str, expected: str) -> None:
    """Wherever it stands, in whatever alphabet, over several lines."""
    assert rewritten(source, {"a": "9"}) == expected
