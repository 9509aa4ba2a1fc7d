"""Which pipeline is meant when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbproof.cli.target import chosen
from nbproof.errors import AskedWrongly


def pipeline(project: Path, name: str) -> Path:
    file = project / "pipelines" / name / "pipeline.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("tasks: []\n")
    return file


def test_what_is_named_is_meant(tmp_path: Path) -> None:
    """A name wins over everything that lies around, even when nothing is there."""
    pipeline(tmp_path, "a")

    assert chosen(Path("elsewhere"), here=tmp_path, project=tmp_path) == Path("elsewhere")


def test_the_pipeline_in_this_folder_comes_first(tmp_path: Path) -> None:
    """Standing in a pipeline's folder, that pipeline is meant though the project has others."""
    pipeline(tmp_path, "a")
    here = pipeline(tmp_path, "b")

    assert chosen(None, here=here.parent, project=tmp_path) == here


def test_an_only_pipeline_needs_no_name(tmp_path: Path) -> None:
    """A project with one pipeline means that one, wherever in the project one stands."""
    only = pipeline(tmp_path, "a")

    assert chosen(None, here=tmp_path / "notebooks", project=tmp_path) == only


def test_several_pipelines_must_be_named(tmp_path: Path) -> None:
    """Between two pipelines nbproof does not choose; it names both and shows how to."""
    pipeline(tmp_path, "a")
    pipeline(tmp_path, "b")

    with pytest.raises(AskedWrongly, match=r"found 2 pipelines \(pipelines/a, pipelines/b\), expected one") as raised:
        chosen(None, here=tmp_path, project=tmp_path)

    assert raised.value.hint == "name one: nbproof run pipelines/a"


def test_no_pipeline_is_an_error(tmp_path: Path) -> None:
    """Without any pipeline the way to one is shown."""
    with pytest.raises(AskedWrongly, match="expected one pipeline") as raised:
        chosen(None, here=tmp_path, project=tmp_path)

    assert "nbproof init" in raised.value.hint
