"""Staging: products appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbproof.errors import Unwritable
from nbproof.records import Task
from nbproof.run.staging import Staging


def task(folder: Path, **products: str) -> Task:
    paths = {key: folder / path for key, path in {"nb": "out/nb.ipynb", **products}.items()}
    return Task("make", folder / "make.ipynb", {}, (), paths)


def test_a_staged_product_is_not_the_product_until_it_is_published(tmp_path: Path) -> None:
    """Before publication the final path is empty, afterwards it holds the whole product."""
    staging = Staging(task(tmp_path, data="out/data.txt"))
    staging.prepare()
    staging.products()["data"].write_text("new")
    staging.products()["nb"].write_text("{}")
    assert not (tmp_path / "out/data.txt").exists()

    staging.publish()

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data.txt", "nb.ipynb"]
    assert (tmp_path / "out/data.txt").read_text() == "new"


def test_an_old_product_is_replaced_also_when_it_is_a_folder(tmp_path: Path) -> None:
    """A folder replaces a folder; nothing of the old one remains inside."""
    (tmp_path / "out/model").mkdir(parents=True)
    (tmp_path / "out/model/old.bin").write_text("old")
    staging = Staging(task(tmp_path, model="out/model"))
    staging.prepare()
    staging.products()["model"].mkdir()
    (staging.products()["model"] / "new.bin").write_text("new")

    staging.publish()

    assert [path.name for path in (tmp_path / "out/model").iterdir()] == ["new.bin"]


def test_what_a_notebook_wrote_beside_its_products_is_kept(tmp_path: Path) -> None:
    """A file that nobody declared is published too: nothing is lost."""
    staging = Staging(task(tmp_path, data="out/data.txt"))
    staging.prepare()
    (staging.products()["data"].parent / "figure.svg").write_text("<svg/>")

    staging.publish()

    assert (tmp_path / "out/figure.svg").read_text() == "<svg/>"


def test_missing_products_are_named(tmp_path: Path) -> None:
    """A notebook that did not write what it declared is found out."""
    staging = Staging(task(tmp_path, data="out/data.txt", model="other/model.bin"))
    staging.prepare()
    staging.products()["data"].write_text("there")

    assert staging.missing() == ["nb", "model"]


def test_preparing_again_forgets_what_a_killed_attempt_left(tmp_path: Path) -> None:
    """Half a product of a dead worker never reaches the next attempt."""
    staging = Staging(task(tmp_path, data="out/data.txt"))
    staging.prepare()
    staging.products()["data"].write_text("half a pro")

    staging.prepare()

    assert staging.missing() == ["nb", "data"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The refusal names the folder, and comes before any kernel."""
    (tmp_path / "out").write_text("a file where a folder should be")

    with pytest.raises(Unwritable, match=r"cannot write in `.*out`"):
        Staging(task(tmp_path)).prepare()
