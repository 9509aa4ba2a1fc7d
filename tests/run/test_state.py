"""The state of a pipeline: its own, and nobody else's."""

from __future__ import annotations

from pathlib import Path

from nbproof.records import Pipeline
from nbproof.run.state import state_of


def pipeline(project: Path, file: str) -> Pipeline:
    return Pipeline("credit", project / file, (project / file).parent, project, ())


def test_two_projects_of_one_layout_do_not_share_leases(tmp_path: Path) -> None:
    """A build clears away its own orphans, never the running kernels of another checkout."""
    one, two = (state_of(pipeline(tmp_path / name, "pipelines/credit/pipeline.yaml")) for name in ("one", "two"))

    assert one.pipeline == two.pipeline
    assert one.scope != two.scope
    assert "/" not in one.scope


def test_two_pipelines_of_one_project_have_records_of_their_own(tmp_path: Path) -> None:
    """What is fresh in one pipeline says nothing about another."""
    credit, text = (state_of(pipeline(tmp_path, f"pipelines/{name}/pipeline.yaml")) for name in ("credit", "text"))

    assert credit.records.folder != text.records.folder
