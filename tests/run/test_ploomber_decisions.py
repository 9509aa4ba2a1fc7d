"""Eight wrong decisions of stock Ploomber 0.23.3: each is shown there, and shown to be right here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

STOCK_BUILD = """
from ploomber.spec import DAGSpec
DAGSpec("pipeline.yaml").to_dag().build(show_progress=False)
"""


class Stock:
    """The tiny pipeline in the hands of stock Ploomber."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def dag(self) -> Any:
        from ploomber.spec import DAGSpec

        return DAGSpec("pipeline.yaml").to_dag()

    def build(self) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.dag().build(show_progress=False)
        return self.workspace.ran()

    def outdated(self) -> list[str]:
        """The tasks that Ploomber would run now."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dag = self.dag().render(show_progress=False)
        return [name for name in dag._iter() if dag[name].exec_status.name != "Skipped"]


@pytest.fixture
def stock(tiny: Workspace, monkeypatch: pytest.MonkeyPatch) -> Stock:
    monkeypatch.setenv("PLOOMBER_STATS_ENABLED", "false")
    # Stock Ploomber runs notebooks in the working directory of its caller.
    monkeypatch.chdir(tiny.root)
    return Stock(tiny)


def edit_a_comment(tiny: Workspace) -> None:
    tiny.edit("make.py", "# the local module beside the pipeline", "# a module that lies beside it")


def add_markdown(tiny: Workspace) -> None:
    tiny.edit("make.py", "# %%\nimport helper", "# %% [markdown]\n# Why this is made.\n\n# %%\nimport helper")


def edit_the_helper(tiny: Workspace) -> None:
    tiny.edit("helper.py", "one line", "another line")


def edit_a_product(tiny: Workspace) -> None:
    tiny.write("build/use/count.txt", "1000000")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "stock_runs", "ours_runs"),
    [
        pytest.param(edit_a_comment, ["make", "use", "tell"], [], id="an edited comment reruns nothing"),
        pytest.param(add_markdown, ["make", "use", "tell"], [], id="a new markdown cell reruns nothing"),
        # The number of lines stays what it was, so `tell` need not run.
        pytest.param(edit_the_helper, [], ["make", "use"], id="an edited imported module reruns what depends on it"),
        pytest.param(edit_a_product, [], ["use"], id="a tampered product is made again"),
    ],
)
def test_what_an_edit_reruns(
    tiny: Workspace, stock: Stock, edit: Callable[[Workspace], None], stock_runs: list[str], ours_runs: list[str]
) -> None:
    """Stock Ploomber reruns too much or too little; here exactly what depends on the change runs."""
    assert stock.build() == ["make", "use", "tell"]
    assert tiny.build().outcome == "done"
    assert tiny.ran() == ["make", "use", "tell"]

    edit(tiny)

    assert stock.outdated() == stock_runs
    assert tiny.build().outcome == "done"
    assert tiny.ran() == ours_runs


@pytest.mark.slow
def test_an_upstream_that_made_the_same_again_reruns_nothing_below(tiny: Workspace, stock: Stock) -> None:
    """`make` runs again for a changed but idle line; its product is the same, so `use` and `tell` stay."""
    stock.build()
    tiny.edit("make.py", "import helper", "unused = 1\nimport helper")
    assert stock.build() == ["make", "use", "tell"]

    assert tiny.build().outcome == "done"
    tiny.ran()
    tiny.edit("make.py", "unused = 1", "unused = 2")
    assert tiny.build().outcome == "done"
    assert tiny.ran() == ["make"]


@pytest.mark.slow
def test_a_changed_package_makes_results_stale(tiny: Workspace, stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of an installed distribution is another environment."""
    site = tiny.root / "site"
    metadata = site / "somelib-1.0.dist-info" / "METADATA"
    tiny.write(str(metadata.relative_to(tiny.root)), "Metadata-Version: 2.1\nName: somelib\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(site))
    stock.build()
    tiny.nbproof("run", "pipeline.yaml", env={"PYTHONPATH": str(site)})
    tiny.ran()

    metadata.write_text("Metadata-Version: 2.1\nName: somelib\nVersion: 2.0\n")

    assert stock.outdated() == []
    answer = tiny.nbproof("run", "pipeline.yaml", env={"PYTHONPATH": str(site)})
    assert tiny.ran() == ["make", "use", "tell"]
    assert "somelib 1.0 → 2.0" in answer.stdout


@pytest.mark.slow
def test_metadata_cut_short_costs_one_task(tiny: Workspace, stock: Stock) -> None:
    """Stock Ploomber cannot render the DAG any more; here one task runs again."""
    stock.build()
    tiny.build()
    tiny.ran()
    for record in [
        Path("build/use/.count.txt.metadata"),
        Path("build/use/.use.ipynb.metadata"),
        *Path(".nbproof/tasks").rglob("use.json"),
    ]:
        record.write_bytes(record.read_bytes()[:20])

    with pytest.raises(Exception, match="JSONDecodeError"):
        stock.outdated()
    assert tiny.build().outcome == "done"
    assert tiny.ran() == ["use"]


@pytest.mark.slow
def test_two_builds_at_once_do_not_both_run(tiny: Workspace, stock: Stock) -> None:
    """Two processes build at the same time: stock runs a task twice, here the second waits and finds all fresh.

    What stock does after the first task is a race between its two builds: each may find the other's products half
    written, and end in an error.
    """
    tiny.edit("make.py", "# %%\nimport helper", "# %%\nimport time\ntime.sleep(6)\nimport helper")

    def at_once(start: Callable[[], Any]) -> list[str]:
        threads = [threading.Thread(target=start) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(tiny.ran())

    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    stock_ran = at_once(lambda: subprocess.run([sys.executable, "-c", STOCK_BUILD], env=environ))
    assert stock_ran.count("make") == 2
    assert at_once(lambda: tiny.run("--wait")) == ["make", "tell", "use"]
