"""Every attack on an approval that we know is refused for its reason, by `verify` and by the door that enforces it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from reviewed import BELA, key, write_notebook, write_project

from nbproof.cli.main import carry_out
from nbproof.errors import Refused
from nbproof.export.reading import read as read_steps
from nbproof.notebook.document import read as read_notebook
from nbproof.records import ContentHash
from nbproof.review.approval import sign, verify
from nbproof.review.archive import Archive
from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.dsse import Envelope, opened, sealed
from nbproof.review.gate import UnsafeBypass, let_pass
from nbproof.review.keys import PrivateKey
from nbproof.review.ledger import Entry, Ledger, head
from nbproof.review.signers import line_of
from nbproof.review.standing import require_approval, standing
from nbproof.review.statement import PAYLOAD, Approval, Subject, moment

ANA, BEN, CLEO, STRANGER = key(1), key(2), key(3), key(9)
LOCK = "constraints.txt"
DECLARED = (
    "p", ["parameters"],
    "from pathlib import Path\nupstream = None\nproduct = None\ndata: Path = Path('panel.csv')\n"
    "folder: Path = Path('folder')\nrows: int = 3",
)  # fmt: skip


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose only notebook Ana, a validator, has approved with its data, lock, model and report."""
    folder = tmp_path_factory.mktemp("approved") / "project"
    notebook = write_project(
        folder, rules='roles = ["validator"]\nexpires_days = 365\n', people=(("Ana", 1),),
        table=f'[tool.nbproof.review]\nlock = "{LOCK}"\n',
    )  # fmt: skip
    policy = folder / "approvals/reviewers.toml"
    policy.write_text(policy.read_text() + '\n[[reviewer]]\nname = "Ben"\nroles = ["owner"]\n')
    listed = folder / "approvals/allowed_signers"
    listed.write_text(f"{listed.read_text()}{line_of('Ben', BEN.public)}\n{line_of('Cleo', CLEO.public)}\n")
    write_notebook(notebook, [DECLARED, ("a", [], "import helper\nvalue = sum(range(rows)) + helper.two\nvalue")])
    (notebook.parent / "pipeline.yaml").write_text(
        "tasks:\n- {source: score.ipynb, product: build/score.ipynb, params: {rows: 4}}\n"
    )
    for name, text in (("panel.csv", "a\n1\n"), ("helper.py", "two = 2  # as agreed\n")):
        (notebook.parent / name).write_text(text)
    for name in ("elsewhere", "folder"):
        (notebook.parent / name).mkdir()
    (notebook.parent / "elsewhere/x.csv").write_text("1")
    (notebook.parent / "folder/link").symlink_to("../elsewhere")
    for name, text in ((LOCK, "numpy==2.0.0\n"), ("report.html", "<p>fine"), ("model.skops", "weights")):
        (folder / name).write_text(text)
    files = {"report": "report.html", "model": "model.skops"}
    request(folder, notebook, key=BELA, lock=LOCK, files=files)
    decide(folder, notebook, Verdict(decision="rejected", comment="first"), BEN, lock=LOCK)
    decide(folder, notebook, Verdict(decision="approved", comment="mended"), BEN, lock=LOCK)
    decide(folder, notebook, Verdict(decision="approved"), ANA, lock=LOCK)
    return folder


@pytest.fixture
def project(approved: Path, tmp_path: Path) -> Path:
    """A copy of it, as a checkout elsewhere would be."""
    shutil.copytree(approved, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


def notebook_of(project: Path) -> Path:
    return project / "notebooks/score.ipynb"


def swap(path: Path, old: str, new: str) -> None:
    """Change text in a file; that it was there is part of the attack."""
    text = path.read_text()
    assert old in text, path
    path.write_text(text.replace(old, new, 1))


def envelope_of(project: Path, who: str = "Ana") -> Path:
    entries = [entry for entry in Ledger(project).read() if entry.by == who]
    return project / entries[-1].file


def signed_by(project: Path, who: str = "Ana") -> Approval:
    path = envelope_of(project, who)
    return verify(path.read_bytes(), [ANA.public, BEN.public], where=path.name)


def facts(entry: Entry) -> dict[str, Any]:
    return {
        field.name: getattr(entry, field.name) for field in fields(entry) if field.name not in ("number", "previous")
    }


def retold(project: Path, entries: tuple[Entry, ...]) -> None:
    """Write the ledger anew, with right numbers and hashes all along: the most that somebody without a key can do."""
    ledger = Ledger(project)
    ledger.path.unlink()
    told: tuple[Entry, ...] = ()
    for entry in entries:
        told = (*told, ledger.append(told, **facts(entry)))


def forged(project: Path, signer: PrivateKey, envelope: Envelope | None = None, **changed: Any) -> None:
    """Put another decision in place of Ana's, signed by `signer`, with a ledger that fits it."""
    *before, last = Ledger(project).read()
    approval = replace(signed_by(project), key=signer.public.fingerprint, ledger=head(before), **changed)
    (project / last.file).unlink()
    made = envelope or sign(approval, signer)
    file, sha256 = Archive(project).keep(made, notebook=approval.notebook, decision="approved", at=approval.at)
    told = {"at": approval.at, "by": approval.reviewer, "notebook": approval.notebook, "file": file, "sha256": sha256}
    ledger = Ledger(project)
    ledger.path.write_bytes(b"".join(entry.written() for entry in before))
    ledger.append(tuple(before), **{**facts(last), **told})


def resigned_with_yesterdays_date(project: Path) -> None:
    """Ana's key has expired; she signs with a date before that."""
    swap(project / "approvals/allowed_signers", 'Ana namespaces="nbproof"', 'Ana valid-before="20260101Z"')
    forged(project, ANA, at="2025-12-31T00:00:00Z", expires="2027-01-01T00:00:00Z")


def resigned_when_expired(project: Path) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    option = f'valid-before="{yesterday:%Y%m%d}Z"'
    swap(project / "approvals/allowed_signers", 'Ana namespaces="nbproof"', f"Ana {option}")


def resigned_for_git_only(project: Path) -> None:
    swap(project / "approvals/allowed_signers", 'Ana namespaces="nbproof"', 'Ana namespaces="git"')


def other_type(project: Path) -> None:
    made = sealed("text/plain", signed_by(project).payload(), ANA)
    forged(project, ANA, envelope=made)


def type_swapped(project: Path) -> None:
    made = sealed("text/plain", signed_by(project).payload(), ANA)
    forged(project, ANA, envelope=Envelope(PAYLOAD, made.payload, made.key, made.signature))


def envelope_swapped(project: Path) -> None:
    """The signed request stands where a decision should."""
    first = Ledger(project).read()[0]
    forged(project, ANA, envelope=opened((project / first.file).read_bytes(), where="x"))


def payload_swapped(project: Path) -> None:
    """Ana's signature below what Ben signed."""
    mine = opened(envelope_of(project).read_bytes(), where="x")
    his = opened(envelope_of(project, "Ben").read_bytes(), where="x")
    forged(project, ANA, envelope=Envelope(PAYLOAD, his.payload, mine.key, mine.signature))


def replayed(project: Path) -> Path:
    """Ana's decision is told of another notebook, with a line and a request that fit in everything else."""
    other = write_notebook(project / "notebooks/other.ipynb", [DECLARED, ("a", [], "import os")])
    (project / "notebooks/pipeline.yaml").write_text(
        "tasks:\n- {source: score.ipynb, product: build/score.ipynb, params: {rows: 4}}\n"
        "- {source: other.ipynb, product: build/other.ipynb, params: {rows: 4}}\n"
    )
    request(project, other, key=BELA, lock=LOCK)
    entries = Ledger(project).read()
    yes = next(entry for entry in entries if entry.by == "Ana")
    Ledger(project).append(entries, **{**facts(yes), "notebook": "notebooks/other.ipynb"})
    return other


def dropped(number: int) -> Callable[[Path], None]:
    def drop(project: Path) -> None:
        lines = Ledger(project).path.read_bytes().splitlines(keepends=True)
        del lines[number]
        Ledger(project).path.write_bytes(b"".join(lines))

    return drop


def dropped_with_its_file(project: Path) -> None:
    """The rejection is gone, its file too, and the ledger is told anew with right hashes."""
    entries = Ledger(project).read()
    (project / entries[1].file).unlink()
    retold(project, (entries[0], *entries[2:]))


def reordered(project: Path) -> None:
    one, two, three, *rest = Ledger(project).path.read_bytes().splitlines(keepends=True)
    Ledger(project).path.write_bytes(b"".join([one, three, two, *rest]))


def reordered_and_retold(project: Path) -> None:
    """The rejection is moved before the request, with right hashes."""
    one, two, *rest = Ledger(project).read()
    retold(project, (two, one, *rest))


def inserted_twice(project: Path) -> None:
    lines = Ledger(project).path.read_bytes().splitlines(keepends=True)
    Ledger(project).path.write_bytes(b"".join([*lines[:2], lines[1], *lines[2:]]))


def inserted_request(project: Path) -> None:
    """A request that fits into the chain but for a signature, to which nothing is bound any more."""
    entries = Ledger(project).read()
    Ledger(project).append(entries, **{**facts(entries[0]), "files": {}, "file": "", "sha256": ""})


def inserted_fork(project: Path) -> None:
    """A line in the middle, which follows the first as its successor does."""
    entries = Ledger(project).read()
    fork = replace(entries[1], comment="never mind", file="", sha256="", kind="requested")
    lines = [entry.written() for entry in entries]
    Ledger(project).path.write_bytes(b"".join([*lines[:2], fork.written(), *lines[2:]]))


def line_changed(project: Path) -> None:
    swap(Ledger(project).path, '"comment":"first"', '"comment":"fir5t"')


def stray(project: Path) -> None:
    shutil.copy(envelope_of(project), project / "approvals/stray.dsse.json")


def linked(name: str) -> Callable[[Path], None]:
    """What stands there is moved out of the project and a link put in its place."""

    def link(project: Path) -> None:
        place = project / (envelope_of(project).relative_to(project) if name == "envelope" else name)
        elsewhere = project.parent / place.name
        place.rename(elsewhere)
        place.symlink_to(elsewhere)

    return link


def linked_to_another_notebook(project: Path) -> None:
    write_notebook(project / "notebooks/evil.ipynb", [DECLARED, ("a", [], "import os")])
    notebook_of(project).unlink()
    notebook_of(project).symlink_to("evil.ipynb")


def data_linked(project: Path) -> None:
    (project / "notebooks/evil.csv").write_text("a\n2\n")
    (project / "notebooks/panel.csv").unlink()
    (project / "notebooks/panel.csv").symlink_to("evil.csv")


def behind_a_link(project: Path) -> None:
    """What the folder of data holds is unchanged; a folder that it links to is not."""
    (project / "notebooks/elsewhere/x.csv").write_text("2")


def file_elsewhere(name: str) -> Callable[[Path], None]:
    def point(project: Path) -> None:
        *before, last = Ledger(project).read()
        (project / last.file).rename(project.parent / "x.dsse.json")
        Ledger(project).path.write_bytes(b"".join(entry.written() for entry in before))
        Ledger(project).append(tuple(before), **{**facts(last), "file": name.format(project.parent)})

    return point


def listed_look_alike(project: Path) -> None:
    """A key of an attacker under a name that looks like Ana's in every letter."""
    path = project / "approvals/allowed_signers"
    path.write_text(f"{path.read_text()}{line_of('Аnа', STRANGER.public)}\n")


def listed_in_cyrillic(project: Path) -> None:
    """`Сlеo` in Cyrillic letters only is refused beside `Cleo`, whose look it has."""
    path = project / "approvals/allowed_signers"
    path.write_text(f"{path.read_text()}{line_of('Веn', STRANGER.public)}\n")


def signed_as_look_alike(project: Path) -> None:
    forged(project, STRANGER, reviewer="Ana")


def role_taken_away(project: Path) -> None:
    """Only Ben, an owner, has said yes; the rules ask for a validator."""
    entries = Ledger(project).read()
    (project / entries[-1].file).unlink()
    Ledger(project).path.write_bytes(b"".join(entry.written() for entry in entries[:-1]))


def subject_renamed(project: Path) -> None:
    """The report that was seen is another file than the one that is bound: a Cyrillic letter in its name."""
    subjects = tuple(
        Subject(held.kind, "repоrt.html", held.digest) if held.kind == "report" else held
        for held in signed_by(project).subjects
    )
    (project / "report.html").rename(project / "repоrt.html")
    forged(project, ANA, subjects=subjects)


def in_the_future(project: Path) -> None:
    at = datetime.now(UTC) + timedelta(days=2)
    forged(project, ANA, at=moment(at), expires=moment(at + timedelta(days=365)))


ATTACKS: dict[str, tuple[Callable[[Path], Path | None], str]] = {
    # One byte.
    "source": (lambda p: swap(notebook_of(p), "sum(range", "sun(range"), "the notebook notebooks/score.ipynb changed"),
    "tag": (lambda p: swap(notebook_of(p), '"tags": []', '"tags": ["x"]'), "the notebook notebooks/score.ipynb"),
    "default": (lambda p: swap(notebook_of(p), "rows: int = 3", "rows: int = 4"), "the notebook"),
    "parameter": (lambda p: swap(p / "notebooks/pipeline.yaml", "rows: 4", "rows: 5"), "the parameter rows changed"),
    "data": (lambda p: swap(p / "notebooks/panel.csv", "1", "2"), "the data notebooks/panel.csv changed"),
    "data gone": (lambda p: (p / "notebooks/panel.csv").unlink(), "the data notebooks/panel.csv is gone"),
    "module": (lambda p: swap(p / "notebooks/helper.py", "2", "3"), "the module notebooks/helper.py changed"),
    "comment in a module": (lambda p: swap(p / "notebooks/helper.py", "# as", "# is"), "the module notebooks/helper"),
    "model": (lambda p: swap(p / "model.skops", "w", "v"), "the model model.skops changed"),
    "report": (lambda p: swap(p / "report.html", "fine", "find"), "the report report.html changed"),
    "lock": (lambda p: swap(p / LOCK, "2.0.0", "2.0.1"), "the environment, locked in constraints.txt changed"),
    "policy": (lambda p: swap(p / "approvals/reviewers.toml", "365", "366"), "the rules have changed since"),
    "policy, relaxed": (lambda p: swap(p / "approvals/reviewers.toml", "roles = [", "#oles = ["), "the rules have"),
    "policy, broken": (lambda p: swap(p / "approvals/reviewers.toml", "roles", "rules"), "an unknown rule"),
    "policy, no more": (lambda p: (p / "approvals/reviewers.toml").unlink(), "Ana has a key and is no reviewer"),
    "signers": (lambda p: swap(p / "approvals/allowed_signers", "Ana ", "Anb "), "the key of Anb signed as Ana"),
    "signers, no more": (lambda p: (p / "approvals/allowed_signers").unlink(), "does not list"),
    "signers, key": (
        lambda p: swap(p / "approvals/allowed_signers", ANA.public.line, STRANGER.public.line), "does not list",
    ),
    "signers, byte": (
        lambda p: swap(p / "approvals/allowed_signers", ANA.public.line[20:30], "AAAAAAAAAA"), "no Ed25519 key",
    ),
    "approval": (lambda p: swap(envelope_of(p), '"sig": "', '"sig": "A'), "another content than the ledger names"),
    "request": (lambda p: swap(envelope_of(p, "Bela"), '"sig": "', '"sig": "A'), "another content than the ledger"),
    "ledger line": (line_changed, "line 2: found an entry that was changed"),
    # Replay and other signatures.
    "replay": (replayed, "a decision about something else"),
    "unlisted key": (lambda p: forged(p, STRANGER), "is signed with a key that approvals/allowed_signers does not"),
    "unlisted key, own name": (lambda p: forged(p, STRANGER, reviewer="Eve"), "does not list"),
    "no reviewer's key": (lambda p: forged(p, CLEO, reviewer="Cleo"), "Cleo has a key and is no reviewer"),
    "another's name": (lambda p: forged(p, CLEO), "the key of Cleo signed as Ana"),
    "expired key": (resigned_when_expired, "the key of Ana counted until"),
    "expired key, back-dated": (resigned_with_yesterdays_date, "a decision dated 2025-12-31T00:00:00Z"),
    "key for git only": (resigned_for_git_only, "does not list"),
    "wrong role": (role_taken_away, "nobody of the role `validator`"),
    "future": (in_the_future, "a decision made in the future"),
    "ended": (lambda p: forged(p, ANA, expires="2026-01-01T00:00:00Z", at="2025-01-01T00:00:00Z"), "a decision dated"),
    "payload type": (other_type, "a payload of type `text/plain`"),
    "payload type, swapped": (type_swapped, "a signature that is not that of"),
    "envelope": (envelope_swapped, "a signature of the key|another kind of statement|a signature that is not"),
    "payload": (payload_swapped, "a signature that is not that of"),
    # One's own work.
    "own work": (lambda p: forged(p, ANA, requester="Ana"), "Ana asked for the review"),
    "own work, other spelling": (lambda p: forged(p, ANA, requester="ＡＮＡ"), "Ana asked for the review"),
    "own work, own key": (lambda p: forged(p, ANA, requester_key=ANA.public.fingerprint), "Ana asked for the review"),
    "own work, nobody's": (lambda p: forged(p, ANA, requester_key=""), "nobody signed the request of Bela"),
    # The ledger.
    "reordered": (reordered, "line 2: found an entry whose predecessor"),
    "reordered, retold": (reordered_and_retold, "a decision that was made after other lines of the ledger"),
    **{f"dropped {n}": (dropped(n), f"line {n + 1}: found an entry whose predecessor") for n in range(3)},
    "dropped 3": (dropped(3), "a decision that no line of the ledger names"),
    "dropped with its file": (dropped_with_its_file, "a decision that was made after other lines of the ledger"),
    "file gone": (lambda p: envelope_of(p, "Ben").unlink(), "no file to read"),
    "inserted twice": (inserted_twice, "line 3: found an entry that stands above already"),
    "inserted request": (inserted_request, "a request that nobody signed"),
    "inserted fork": (inserted_fork, "a request that nobody signed"),
    "stray": (stray, "no line of the ledger names"),
    # Links, paths, letters.
    **{
        f"link {name}": (linked(name), "a link to another file")
        for name in ("approvals", "approvals/reviewers.toml", "approvals/allowed_signers", "approvals/ledger.jsonl",
                     "envelope")
    },
    "link to another notebook": (linked_to_another_notebook, "notebooks/evil.ipynb"),
    "link to other data": (data_linked, "the data notebooks/panel.csv is gone"),
    "link in data": (behind_a_link, "the data notebooks/folder changed"),
    "link out, report": (linked("report.html"), "a link out of the project"),
    "link out, notebook": (linked("notebooks/score.ipynb"), "a link out of the project|never asked"),
    "path up": (file_elsewhere("approvals/../../x.dsse.json"), "expected one in approvals/"),
    "path, absolute": (file_elsewhere("{}/x.dsse.json"), "expected one in approvals/"),
    "letters, listed": (listed_look_alike, "a name in letters of CYRILLIC and LATIN"),
    "letters, mixed": (listed_in_cyrillic, "a name in letters of CYRILLIC and LATIN"),
    "letters, signed": (signed_as_look_alike, "does not list"),
    "letters, report": (subject_renamed, "report|letters that only look like others"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_is_refused_for_its_reason(project: Path, attack: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After it neither the command nor the door lets the notebook pass, and both say why."""
    carry_out_attack, reason = ATTACKS[attack]
    notebook = notebook_of(project)
    assert require_approval(project, notebook, lock=LOCK).is_approved

    notebook = carry_out_attack(project) or notebook

    with pytest.raises(Refused, match=reason) as refused:
        let_pass(project, notebook, doing="export", lock=LOCK)
    assert refused.value.exit_code == 3
    assert carry_out(["review", "verify", str(notebook)]) == 3
    said = capsys.readouterr()
    assert any(word in said.out + said.err for word in reason.split("|"))


def outputs(project: Path) -> None:
    content = json.loads(notebook_of(project).read_text())
    content["cells"][1] |= {"execution_count": 7, "outputs": [{"output_type": "stream", "name": "stdout", "text": "3"}]}
    notebook_of(project).write_text(json.dumps(content))


def reformatted(project: Path) -> None:
    content = json.loads(notebook_of(project).read_text())
    for cell in content["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    notebook_of(project).write_text(json.dumps(content, indent=3, sort_keys=True, ensure_ascii=True) + "\n\n")


def ran(project: Path) -> None:
    assert carry_out(["run", str(project / "notebooks")]) == 0
    shutil.copy(project / "notebooks/build/score.ipynb", notebook_of(project))


def widgets(project: Path) -> None:
    content = json.loads(notebook_of(project).read_text())
    content["metadata"] |= {"widgets": {}, "language_info": {"name": "python", "version": "3.99"}}
    notebook_of(project).write_text(json.dumps(content))


def another_reviewer(project: Path) -> None:
    path = project / "approvals/allowed_signers"
    path.write_text(f"# who joins changes no rule\n{path.read_text()}{line_of('Dora Lee', key(4).public)}\n")


@pytest.mark.parametrize(
    "change",
    [outputs, reformatted, pytest.param(ran, marks=pytest.mark.slow), widgets, another_reviewer,
     lambda project: os.utime(notebook_of(project), (0, 0))],
)  # fmt: skip
def test_what_changes_nothing_voids_nothing(project: Path, change: Callable[[Path], None]) -> None:
    """Editing outputs, running, reformatting JSON, metadata, times, and who joins leave an approval as it is."""
    change(project)

    assert let_pass(project, notebook_of(project), doing="export", lock=LOCK).state == "approved"
    assert carry_out(["review", "verify", str(notebook_of(project))]) == 0


@pytest.mark.parametrize("name", ["ѕcore.ipynb", "score\u200b.ipynb", "Score.ipynb", "sco\u0301re.ipynb"])
def test_a_name_that_looks_alike_is_another(project: Path, name: str) -> None:
    """A copy under a name with another letter, or one that cannot be seen, has no approval."""
    copy = notebook_of(project).with_name(name)
    shutil.copy(notebook_of(project), copy)

    assert carry_out(["review", "verify", str(copy)]) != 0


def test_what_an_approval_does_not_cover_is_in_no_package(project: Path) -> None:
    """A cell tagged as injected is no part of the digest; an exporter refuses it instead of carrying it along."""
    content = json.loads(notebook_of(project).read_text())
    evil = {**content["cells"][1], "id": "evil", "source": "import os", "metadata": {"tags": ["injected-parameters"]}}
    content["cells"].insert(1, evil)
    notebook_of(project).write_text(json.dumps(content))

    assert require_approval(project, notebook_of(project), lock=LOCK).is_approved
    found = read_steps(read_notebook(notebook_of(project)))
    assert [each.reason for each in found.refusals] == ["it holds the values of one run"]


@pytest.mark.parametrize("byte", range(0, 3000, 97))
def test_any_byte_of_the_records_counts(project: Path, byte: int) -> None:
    """Whichever byte of the ledger, of a signed file, or of kept content is another one, nothing is approved."""
    kept = sorted((project / "approvals/content").iterdir())[0]
    for path in (Ledger(project).path, envelope_of(project), envelope_of(project, "Bela"), kept):
        whole = path.read_bytes()
        place = byte % len(whole)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if path == kept:
            with pytest.raises(Refused):
                Archive(project).content(ContentHash(kept.stem))
        else:
            with pytest.raises(Refused):
                require_approval(project, notebook_of(project), lock=LOCK)
        path.write_bytes(whole)


def test_a_bypass_is_called_unsafe_and_leaves_a_trace(project: Path) -> None:
    """Who passes without an approval is named in the ledger, with the reason and what was not approved."""
    swap(notebook_of(project), "sum(range", "min(range")

    found = let_pass(project, notebook_of(project), doing="export", lock=LOCK, unsafe=UnsafeBypass("Bela", "on fire"))

    last = Ledger(project).read()[-1]
    assert (found.is_approved, last.kind, last.by) == (False, "unsafe-bypass", "Bela")
    assert last.comment == "export although ended: on fire"
    assert last.digest == standing(project, notebook_of(project), lock=LOCK).binding.digest.hex  # type: ignore[union-attr]
    with pytest.raises(Refused):
        let_pass(project, notebook_of(project), doing="export", lock=LOCK)


def test_a_bypass_does_not_hide_broken_records(project: Path) -> None:
    """Where the ledger is not what was written, nothing can be noted, and so nothing passes."""
    line_changed(project)

    with pytest.raises(Refused, match="line 2"):
        let_pass(project, notebook_of(project), doing="export", lock=LOCK, unsafe=UnsafeBypass("Bela", "on fire"))


def test_what_is_approved_needs_no_bypass(project: Path) -> None:
    """Nothing is noted where nothing was passed by."""
    before = Ledger(project).path.read_bytes()

    let_pass(project, notebook_of(project), doing="export", lock=LOCK, unsafe=UnsafeBypass("Bela", "to be sure"))

    assert Ledger(project).path.read_bytes() == before
