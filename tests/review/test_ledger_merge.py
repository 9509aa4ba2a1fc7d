"""Two branches of git that both add to the ledger are merged by git, and nothing of either is lost."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from reviewed import BELA, key, write_project

from nbproof.errors import LedgerBroken
from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.ledger import Ledger, head, is_before
from nbproof.review.standing import standing

ANA, BEN = key(1), key(2)
YES, NO = Verdict(decision="approved"), Verdict(decision="rejected", comment="it leaks")


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    ran = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A project in git, whose notebook Bela has asked about."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    found = write_project(tmp_path / "project", rules="needed = 2\n", people=(("Ana", 1), ("Ben", 2)))
    request(found.parents[1], found, key=BELA)
    git(found.parents[1], "init", "-q", "-b", "main")
    git(found.parents[1], "add", ".")
    git(found.parents[1], "commit", "-q", "-m", "asked")
    return found


def on_branch(project: Path, notebook: Path, name: str, steps: Sequence[tuple[Verdict, object]]) -> list[str]:
    """Decide on a branch of its own; the hashes of the lines that were added come back."""
    git(project, "checkout", "-q", "-b", name, "main")
    added = [decide(project, notebook, verdict, who)[1].hash for verdict, who in steps]  # type: ignore[arg-type]
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", name)
    return added


def test_both_branches_keep_their_lines_and_their_order(notebook: Path) -> None:
    """Git merges without a conflict; the chain is whole, and the next line follows both branches."""
    project = notebook.parents[1]
    ours = on_branch(project, notebook, "ours", [(NO, ANA), (YES, ANA)])
    theirs = on_branch(project, notebook, "theirs", [(NO, BEN), (NO, BEN), (YES, BEN)])

    git(project, "checkout", "-q", "ours")
    git(project, "merge", "-q", "-m", "both", "theirs")

    entries = Ledger(project).read()
    order = [entry.hash for entry in entries]
    assert [one for one in order if one in ours] == ours
    assert [one for one in order if one in theirs] == theirs
    assert len(order) == 1 + len(ours) + len(theirs)
    assert standing(project, notebook).sentence == "approved by Ana, Ben"
    asked = request(project, notebook, key=BELA, comment="again")
    assert (set(asked.previous), asked.number) == ({ours[-1], theirs[-1]}, 5)
    assert head(Ledger(project).read()) == (asked.hash,)


def test_either_direction_of_a_merge_tells_the_same(notebook: Path) -> None:
    """Whoever merges whom: the lines come in one order."""
    project = notebook.parents[1]
    on_branch(project, notebook, "ours", [(YES, ANA)])
    on_branch(project, notebook, "theirs", [(YES, BEN)])
    git(project, "merge", "-q", "-m", "one", "ours")
    one, lines = Ledger(project).read(), Ledger(project).path.read_bytes()
    git(project, "reset", "-q", "--hard", "HEAD~1")
    git(project, "checkout", "-q", "ours")
    git(project, "merge", "-q", "-m", "other", "theirs")

    assert Ledger(project).read() == one
    assert Ledger(project).path.read_bytes() != lines


def test_a_no_on_another_branch_is_not_taken_back_by_a_yes_that_never_saw_it(notebook: Path) -> None:
    """Of one person's two words on two branches the no counts, until a yes follows it."""
    project = notebook.parents[1]
    on_branch(project, notebook, "ours", [(YES, ANA), (YES, BEN)])
    on_branch(project, notebook, "theirs", [(NO, ANA)])
    git(project, "checkout", "-q", "ours")
    git(project, "merge", "-q", "-m", "both", "theirs")

    assert standing(project, notebook).sentence == "Ana rejected it: it leaks"
    _, entry = decide(project, notebook, YES, ANA)
    assert standing(project, notebook).sentence == "approved by Ana, Ben"
    entries = Ledger(project).read()
    assert all(is_before(each, entry, entries) for each in entries[:-1])


def test_a_line_that_a_merge_lost_is_missed(notebook: Path) -> None:
    """Who resolves a merge by hand and drops lines of one branch leaves signed files that no line names."""
    project = notebook.parents[1]
    on_branch(project, notebook, "ours", [(YES, ANA)])
    mine = Ledger(project).path.read_bytes()
    on_branch(project, notebook, "theirs", [(NO, BEN), (YES, BEN)])
    git(project, "merge", "-q", "-m", "both", "ours")
    merged = Ledger(project).path.read_bytes()

    Ledger(project).path.write_bytes(mine)
    with pytest.raises(Exception, match="no line of the ledger names"):
        standing(project, notebook)
    lines = merged.splitlines(keepends=True)
    Ledger(project).path.write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(LedgerBroken, match="line 2"):
        Ledger(project).read()
