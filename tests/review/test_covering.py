"""A decision about a model holds for its bytes: wherever they lie, and until somebody who counts says no."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from reviewed import BELA, PARAMETERS, key, write_notebook, write_project

from nbproof.errors import NotApproved, Refused
from nbproof.records import ContentHash
from nbproof.review.covering import require_cover
from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.gate import UnsafeBypass, let_pass_model
from nbproof.review.ledger import Ledger
from nbproof.review.statement import Condition
from nbproof.run.sources.hashes import content_hash

TWO = (("Ana", 1), ("Cleo", 2))


def decided(notebook: Path, content: bytes = b"weights", *, verdict: Verdict | None = None, by: int = 1) -> ContentHash:
    """Put a model there, ask about it and decide; its hash comes back."""
    project = notebook.parents[1]
    (project / "model.bin").write_bytes(content)
    request(project, notebook, key=BELA, files={"model": "model.bin"})
    decide(project, notebook, verdict or Verdict(decision="approved"), key(by))
    return ContentHash.of(content)


def test_an_approved_model_is_covered_wherever_it_lies(tmp_path: Path) -> None:
    """Its notebook may have changed since, and another model lie in its place: these bytes were approved."""
    notebook = write_project(tmp_path / "project")
    digest = decided(
        notebook, verdict=Verdict(decision="approved-with-conditions", conditions=(Condition("watch it"),))
    )
    write_notebook(notebook, [PARAMETERS, ("a", [], "x = 3")])
    (notebook.parents[1] / "model.bin").write_bytes(b"the next one")

    found = require_cover(notebook.parents[1], "model.bin", digest)

    assert found.sentence == "approved by Ana with notebooks/score.ipynb, if: watch it"
    with pytest.raises(NotApproved, match="no decision is about a model with the content"):
        require_cover(notebook.parents[1], "model.bin", ContentHash.of(b"the next one"))


def test_a_folder_is_covered_as_a_whole(tmp_path: Path) -> None:
    """One file of it that is another, or one more, and nobody has approved it."""
    notebook = write_project(tmp_path / "project")
    project, folder = notebook.parents[1], notebook.parents[1] / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"1")
    request(project, notebook, key=BELA, files={"model": "model"})
    decide(project, notebook, Verdict(decision="approved"), key(1))
    digest = content_hash(folder)
    assert digest is not None
    require_cover(project, "model", digest)

    (folder / "more").write_bytes(b"2")
    digest = content_hash(folder)
    assert digest is not None
    with pytest.raises(NotApproved):
        require_cover(project, "model", digest)


def test_a_no_to_the_same_bytes_stands(tmp_path: Path) -> None:
    """The model was rejected with another version of the notebook: it is served no more."""
    notebook = write_project(tmp_path / "project", people=TWO)
    digest = decided(notebook)
    write_notebook(notebook, [PARAMETERS, ("a", [], "x = 3")])
    decided(notebook, verdict=Verdict(decision="rejected", comment="leaks"), by=2)

    with pytest.raises(NotApproved, match=r"Cleo rejected it with notebooks/score\.ipynb: leaks"):
        require_cover(notebook.parents[1], "model.bin", digest)


def test_yeses_to_different_things_do_not_add_up(tmp_path: Path) -> None:
    """Two reviewers are needed: one said yes before the notebook changed, the other after."""
    notebook = write_project(tmp_path / "project", rules="needed = 2\n", people=TWO)
    digest = decided(notebook)
    write_notebook(notebook, [PARAMETERS, ("a", [], "x = 3")])
    decided(notebook, by=2)
    with pytest.raises(NotApproved, match="1 of 2 reviewers"):
        require_cover(notebook.parents[1], "model.bin", digest)

    decide(notebook.parents[1], notebook, Verdict(decision="approved"), key(1))

    assert require_cover(notebook.parents[1], "model.bin", digest).reviewers == ("Ana", "Cleo")


def test_it_ends_with_its_time_and_with_its_reviewer(tmp_path: Path) -> None:
    """After the days that the rules give it, and when the person leaves the list."""
    notebook = write_project(tmp_path / "project", rules="expires_days = 30\n", people=TWO)
    project, digest = notebook.parents[1], decided(notebook)
    assert require_cover(project, "model.bin", digest).expires is not None
    with pytest.raises(NotApproved, match="it ended on"):
        require_cover(project, "model.bin", digest, now=datetime.now(UTC) + timedelta(days=31))

    signers = project / "approvals/allowed_signers"
    signers.write_text("".join(line for line in signers.read_text().splitlines(True) if "Ana" not in line))

    with pytest.raises(Refused):
        require_cover(project, "model.bin", digest)


def test_a_bypass_of_a_model_is_written_down(tmp_path: Path) -> None:
    """Nobody has approved it: who wants it all the same is named first."""
    notebook = write_project(tmp_path / "project")
    project, digest = notebook.parents[1], ContentHash.of(b"x")
    with pytest.raises(NotApproved):
        let_pass_model(project, "model.bin", digest, doing="score")
    assert Ledger(project).read() == ()

    assert let_pass_model(project, "m", digest, doing="score", unsafe=UnsafeBypass("Bela", "a test")) is None

    last = Ledger(project).read()[-1]
    assert (last.kind, last.by, last.digest, last.notebook) == ("unsafe-bypass", "Bela", digest.hex, "m")
    assert last.comment.startswith("score although not approved: no decision is about")
