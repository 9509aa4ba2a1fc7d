"""How a notebook stands, from nobody has asked to ended; and every attack on that is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from reviewed import BELA, CELLS, PARAMETERS, key, write_notebook, write_project

from nbproof.errors import ApprovalInvalid, LedgerBroken, NbproofError, NotApproved, ReviewAskedWrongly, ReviewRefused
from nbproof.review.against import against_last
from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.ledger import Ledger
from nbproof.review.standing import require_approval, standing
from nbproof.review.statement import Condition

YES, NO = Verdict(decision="approved"), Verdict(decision="rejected", comment="it leaks")
WITH_DATA = ("p", ["parameters"], "from pathlib import Path\ndata: Path = Path('panel.csv')\nrows: int = 3")


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A project whose reviewer is Ana, and its notebook."""
    return write_project(tmp_path / "project")


def project(notebook: Path) -> Path:
    return notebook.parents[1]


def state(notebook: Path, **options: object) -> str:
    return standing(project(notebook), notebook, **options).state  # type: ignore[arg-type]


def approve(notebook: Path, verdict: Verdict = YES, number: int = 1, **options: object) -> None:
    request(project(notebook), notebook, key=BELA, **options)  # type: ignore[arg-type]
    decide(project(notebook), notebook, verdict, key(number))


def envelope_of(notebook: Path) -> Path:
    (found,) = (project(notebook) / "approvals").glob("*-approved-*.dsse.json")
    return found


def test_from_nobody_asked_to_approved(notebook: Path) -> None:
    """A notebook is never asked about, then asked about, then approved by somebody else."""
    assert state(notebook) == "never asked"

    request(project(notebook), notebook, key=BELA)
    assert standing(project(notebook), notebook).sentence == "Bela asked for a review; so far: 0 of 1 reviewers"

    decide(project(notebook), notebook, YES, key(1))
    found = require_approval(project(notebook), notebook)
    assert (found.state, found.sentence) == ("approved", "approved by Ana")


def test_conditions_are_part_of_the_state(notebook: Path) -> None:
    """An approval with conditions says them, and ends on the day after the first of them was due."""
    approve(notebook, Verdict(decision="approved-with-conditions", conditions=(Condition("watch it", "2999-01-31"),)))

    found = standing(project(notebook), notebook)
    late = standing(project(notebook), notebook, now=datetime(2999, 2, 1, tzinfo=UTC))

    assert (found.state, found.sentence) == ("approved with conditions", "approved by Ana, if: watch it")
    assert late.state == "ended"
    assert "was due on 2999-01-31" in late.sentence


def test_a_rejection_says_why(notebook: Path) -> None:
    """No is a state of its own; a later yes of the same person takes it back."""
    approve(notebook, NO)
    assert standing(project(notebook), notebook).sentence == "Ana rejected it: it leaks"

    decide(project(notebook), notebook, YES, key(1))
    assert state(notebook) == "approved"


def test_running_or_reformatting_changes_nothing(notebook: Path) -> None:
    """Outputs, counts, metadata and the layout of the JSON void no approval."""
    approve(notebook)

    content = json.loads(notebook.read_text())
    content["cells"][1] |= {"execution_count": 7, "outputs": [{"output_type": "stream", "name": "stdout", "text": "3"}]}
    content["metadata"]["widgets"] = {}
    notebook.write_text(json.dumps(content, indent=3, sort_keys=True))

    assert state(notebook) == "approved"


def edit_source(notebook: Path) -> None:
    notebook.write_text(notebook.read_text().replace("sum(range", "sum(2 for _ in range"))


def edit_tag(notebook: Path) -> None:
    write_notebook(notebook, [(name, ["skip-execution"] if name == "b" else tags, text) for name, tags, text in CELLS])


def edit_data(notebook: Path) -> None:
    (notebook.parent / "panel.csv").write_text("a\n2\n")


def remove_data(notebook: Path) -> None:
    (notebook.parent / "panel.csv").unlink()


def edit_module(notebook: Path) -> None:
    (notebook.parent / "helper.py").write_text("two = 3\n")


def edit_lock(notebook: Path) -> None:
    (project(notebook) / "constraints.txt").write_text("numpy==2.0.1\n")


def edit_report(notebook: Path) -> None:
    (project(notebook) / "report.html").write_text("<p>other")


def edit_rules(notebook: Path, rules: str = "expires_days = 9000\n") -> None:
    policy = project(notebook) / "approvals/reviewers.toml"
    policy.write_text(rules + policy.read_text())


def edit_parameter(notebook: Path) -> None:
    pipeline = notebook.parent / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("rows: 4", "rows: 5"))


def strike_off(notebook: Path) -> None:
    policy = project(notebook) / "approvals/allowed_signers"
    policy.write_text(policy.read_text().replace(key(1).public.line, key(9).public.line))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (edit_source, "the notebook notebooks/score.ipynb changed"),
        (edit_data, "the data notebooks/panel.csv changed"),
        (remove_data, "the data notebooks/panel.csv is gone"),
        (edit_module, "the module notebooks/helper.py changed"),
        (edit_lock, "the environment, locked in constraints.txt changed"),
        (edit_report, "the report report.html changed"),
        (edit_parameter, "the parameter rows changed"),
        (edit_rules, "the rules have changed since"),
        (strike_off, "is signed with a key that approvals/allowed_signers does not list"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_whatever_changes_ends_the_approval_and_is_named(
    notebook: Path, edit: Callable[[Path], None], words: str
) -> None:
    """Notebook, data, modules, lock, report, parameters, rules, reviewers: each is noticed by itself, in words."""
    declared = ("p", ["parameters"], f"{WITH_DATA[2]}\nupstream = None\nproduct = None")
    write_notebook(notebook, [declared, ("a", [], "import helper\nvalue = sum(range(rows)) + helper.two"), CELLS[2]])
    (notebook.parent / "pipeline.yaml").write_text(
        "tasks:\n- {source: score.ipynb, product: build/score.ipynb, params: {rows: 4}}\n"
    )
    (notebook.parent / "panel.csv").write_text("a\n1\n")
    (notebook.parent / "helper.py").write_text("two = 2\n")
    (project(notebook) / "constraints.txt").write_text("numpy==2.0.0\n")
    (project(notebook) / "report.html").write_text("<p>fine")
    request(project(notebook), notebook, key=BELA, lock="constraints.txt", files={"report": "report.html"})
    decide(project(notebook), notebook, YES, key(1), lock="constraints.txt")
    assert state(notebook, lock="constraints.txt") == "approved"

    edit(notebook)

    found = standing(project(notebook), notebook, lock="constraints.txt")
    assert found.state in ("ended", "requested")
    assert words in found.sentence
    with pytest.raises(NotApproved):
        require_approval(project(notebook), notebook, lock="constraints.txt")


def test_what_changed_back_is_approved_again(notebook: Path) -> None:
    """An approval is of a content and not of a time: the very same content is approved."""
    approve(notebook)
    before = notebook.read_text()
    edit_tag(notebook)
    assert state(notebook) == "ended"

    notebook.write_text(before)

    assert state(notebook) == "approved"


def test_the_difference_needs_no_git(notebook: Path) -> None:
    """What was approved is kept: the changed lines are shown against it."""
    approve(notebook)
    edit_source(notebook)

    found = against_last(project(notebook), notebook, standing(project(notebook), notebook))

    assert found is not None
    assert [(change.fate, change.id) for change in found.cells] == [("changed", "a")]
    assert found.cells[0].lines[:2] == ("- value = sum(range(rows))", "+ value = sum(2 for _ in range(rows))")


def test_content_that_was_not_kept_whole_is_no_evidence(notebook: Path) -> None:
    """Kept content is bound by its hash."""
    approve(notebook)
    (kept,) = (project(notebook) / "approvals/content").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"rows", b"r0ws"))

    with pytest.raises(ApprovalInvalid, match="found content of"):
        against_last(project(notebook), notebook, standing(project(notebook), notebook))


def test_an_approval_is_of_one_notebook(notebook: Path) -> None:
    """A copy with the same content is another notebook, which nobody has asked about."""
    approve(notebook)
    copy = notebook.with_name("copy.ipynb")
    shutil.copy(notebook, copy)

    assert state(copy) == "never asked"


def test_attacks_on_the_records_are_refused(notebook: Path) -> None:
    """A decision that was changed, removed, or that no line of the ledger names: nothing can be said any more."""
    approve(notebook)
    envelope, ledger = envelope_of(notebook), Ledger(project(notebook)).path
    signed, lines = envelope.read_bytes(), ledger.read_bytes()
    elsewhere = envelope.with_name("stray.dsse.json")

    envelope.write_bytes(signed.replace(b"A", b"B", 1))
    with pytest.raises(ApprovalInvalid, match="another content than the ledger names"):
        state(notebook)
    envelope.unlink()
    with pytest.raises(ApprovalInvalid, match="no file to read"):
        state(notebook)
    envelope.write_bytes(signed)
    elsewhere.write_bytes(signed)
    with pytest.raises(ApprovalInvalid, match="that no line of the ledger names"):
        state(notebook)
    elsewhere.unlink()
    ledger.write_bytes(lines.splitlines(keepends=True)[0])
    with pytest.raises(ApprovalInvalid, match="that no line of the ledger names"):
        state(notebook)
    ledger.write_bytes(lines[:-1])
    with pytest.raises(LedgerBroken):
        state(notebook)
    ledger.write_bytes(lines)
    assert state(notebook) == "approved"


def test_a_ledger_that_was_written_anew_does_not_fit_the_signatures(notebook: Path) -> None:
    """Who drops a line and computes all hashes again is found out by the next decision: it signed the old hash."""
    request(project(notebook), notebook, key=BELA)
    request(project(notebook), notebook, key=BELA, comment="once more")
    decide(project(notebook), notebook, YES, key(1))
    ledger = Ledger(project(notebook))
    first, second, third = ledger.read()
    ledger.path.write_bytes(first.written())
    (project(notebook) / second.file).unlink()
    facts = {name: getattr(third, name) for name in third.__dataclass_fields__ if name not in ("number", "previous")}
    ledger.append((first,), **facts)

    with pytest.raises(ApprovalInvalid, match="a decision that was made after other lines"):
        state(notebook)


def test_a_replayed_decision_is_refused(notebook: Path) -> None:
    """A good decision about one notebook, written into the ledger for another, is no decision about that one."""
    approve(notebook)
    other = write_notebook(notebook.with_name("other.ipynb"), [PARAMETERS])
    ledger = Ledger(project(notebook))
    entries = ledger.read()
    facts = {name: getattr(entries[1], name) for name in entries[1].__dataclass_fields__
             if name not in ("number", "previous")}  # fmt: skip
    ledger.append(entries, **{**facts, "notebook": "notebooks/other.ipynb"})

    with pytest.raises(ApprovalInvalid, match="a decision about something else"):
        state(other)


def test_a_file_outside_of_the_folder_is_not_opened(notebook: Path, tmp_path: Path) -> None:
    """A ledger that names a file elsewhere, or a link to it, is refused before anything is read."""
    approve(notebook)
    ledger = Ledger(project(notebook))
    entries = ledger.read()
    facts = {name: getattr(entries[1], name) for name in entries[1].__dataclass_fields__
             if name not in ("number", "previous")}  # fmt: skip
    envelope_of(notebook).rename(tmp_path / "x.dsse.json")
    (project(notebook) / "approvals/link.dsse.json").symlink_to(tmp_path / "x.dsse.json")
    for file in ("../x.dsse.json", str(tmp_path / "x.dsse.json"), "approvals/link.dsse.json"):
        ledger.path.write_bytes(entries[0].written())
        ledger.append(entries[:1], **{**facts, "file": file})
        with pytest.raises(ApprovalInvalid):
            state(notebook)


@pytest.mark.parametrize(
    ("verdict", "number", "by", "words"),
    [
        (YES, 2, "Bela", "is of no reviewer"),
        (YES, 1, "ANA", "nobody approves their own request"),
        (Verdict(decision="approved", bound="0" * 64), 1, "Bela", "it has changed meanwhile"),
    ],
)
def test_decisions_that_are_never_signed(notebook: Path, verdict: Verdict, number: int, by: str, words: str) -> None:
    """An unlisted key, one's own request, or something else than was seen: no signature is made."""
    edit_rules(notebook, "unsafe_unsigned_requests = true\n")
    request(project(notebook), notebook, by=by)

    with pytest.raises(ReviewRefused, match=words):
        decide(project(notebook), notebook, verdict, key(number))
    assert list((project(notebook) / "approvals").glob("*.dsse.json")) == []


def test_what_changed_since_it_was_asked_about_is_not_decided(notebook: Path) -> None:
    """Between question and answer the notebook must stay; and without a question there is no answer."""
    with pytest.raises(ReviewRefused, match="nobody has asked"):
        decide(project(notebook), notebook, YES, key(1))
    request(project(notebook), notebook, key=BELA)
    edit_source(notebook)
    with pytest.raises(ReviewRefused, match="it has changed since Bela asked"):
        decide(project(notebook), notebook, YES, key(1))
    assert standing(project(notebook), notebook).sentence == "Bela asked for a review, and it has changed since"


@pytest.mark.parametrize("by", ["", "  ", "Ana\u202e", "Аna"])
def test_who_asks_has_a_name(notebook: Path, by: str) -> None:
    """Nobody, and somebody who cannot be told from another, asks for nothing."""
    with pytest.raises(ReviewAskedWrongly):
        request(project(notebook), notebook, by=by)


@pytest.mark.parametrize("path", ["../outside.html", "/etc/hostname", "missing.html", "link.html"])
def test_only_files_of_the_project_are_bound(notebook: Path, tmp_path: Path, path: str) -> None:
    """A report elsewhere, one that is not there, or a link out of the project is not bound."""
    (tmp_path / "outside.html").write_text("x")
    (project(notebook) / "link.html").symlink_to(tmp_path / "outside.html")

    with pytest.raises(ReviewAskedWrongly):
        request(project(notebook), notebook, key=BELA, files={"report": path})


def test_without_a_policy_nobody_is_asked(tmp_path: Path) -> None:
    """A project that names no reviewer refuses the question already."""
    notebook = write_project(tmp_path / "project", people=())

    with pytest.raises(ReviewRefused, match="it names no reviewer"):
        request(project(notebook), notebook, key=BELA)


def test_two_reviewers_are_two(tmp_path: Path) -> None:
    """Where two are needed, the first leaves it open, and the first again, too."""
    notebook = write_project(tmp_path / "project", rules="needed = 2\n", people=(("Ana", 1), ("Ben", 2)))
    approve(notebook)
    decide(project(notebook), notebook, YES, key(1))
    assert standing(project(notebook), notebook).missing == ("1 of 2 reviewers",)

    decide(project(notebook), notebook, YES, key(2))

    assert standing(project(notebook), notebook).sentence == "approved by Ana, Ben"


def test_an_approval_runs_out(tmp_path: Path) -> None:
    """After the days that the rules give it, it counts no more."""
    notebook = write_project(tmp_path / "project", rules="expires_days = 30\n")
    approve(notebook)

    assert state(notebook) == "approved"
    assert state(notebook, now=datetime.now(UTC) + timedelta(days=29)) == "approved"
    assert state(notebook, now=datetime.now(UTC) + timedelta(days=31)) == "ended"


def test_a_notebook_that_cannot_be_read_is_not_approved(notebook: Path) -> None:
    """Whatever becomes of the file, what was decided has ended, and the reason is said."""
    approve(notebook)
    write_notebook(notebook, [("p", [], "rows = 3")])

    found = standing(project(notebook), notebook)

    assert found.state == "ended"
    assert "no cell tagged `parameters`" in found.sentence
    notebook.unlink()
    with pytest.raises(NbproofError):
        require_approval(project(notebook), notebook)
