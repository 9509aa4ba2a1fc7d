"""The ledger for auditors: every line with its signature, as CSV and PDF, or a refusal."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from reviewed import BELA, key, write_project

from nbproof.cli.main import carry_out
from nbproof.errors import ApprovalInvalid, LedgerBroken
from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.extract import COLUMNS, as_csv, as_page, lines
from nbproof.review.gate import UnsafeBypass, let_pass
from nbproof.review.ledger import Ledger

REMARK = '=HYPERLINK("x"), "quoted",\n<script>alert(1)</script>'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A bypass, a request with a nasty remark, and a decision."""
    notebook = write_project(tmp_path / "project")
    root = tmp_path / "project"
    let_pass(root, notebook, doing="export", unsafe=UnsafeBypass("Bela", "on fire"))
    request(root, notebook, key=BELA, comment=REMARK)
    decide(root, notebook, Verdict(decision="approved"), key(1))
    return root


def rows(project: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(lines(project)), newline="")))


def test_every_line_is_there_with_its_signature(project: Path) -> None:
    """The table says who did what when, and whose key was checked."""
    found = rows(project)

    assert list(found[0]) == list(COLUMNS)
    assert [(row["number"], row["what"], row["who"]) for row in found] == [
        ("1", "unsafe-bypass", "Bela"), ("2", "requested", "Bela"), ("3", "approved", "Ana"),
    ]  # fmt: skip
    assert [row["signature"] for row in found] == [
        "none", f"verified: {BELA.public.fingerprint}", f"verified: {key(1).public.fingerprint}",
    ]  # fmt: skip
    assert [row["follows"] for row in found] == ["", found[0]["hash"], found[1]["hash"]]


def test_nothing_in_it_is_carried_out(project: Path) -> None:
    """A remark is no formula of a spreadsheet and no markup of a page."""
    assert rows(project)[1]["remark"] == f"'{REMARK}"

    page = as_page(lines(project), title="<b>", at="2026-01-01T00:00:00Z")

    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<b>" not in page
    assert "default-src 'none'" in page


def test_records_that_are_not_whole_are_not_told(project: Path) -> None:
    """An auditor gets a refusal and no table."""
    ledger = Ledger(project)
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole.replace(b"on fire", b"in time"))
    with pytest.raises(LedgerBroken, match="line 1"):
        lines(project)
    ledger.path.write_bytes(whole)
    signed = next((project / "approvals").glob("*-approved-*.dsse.json"))
    signed.write_bytes(signed.read_bytes().replace(b'"sig": "', b'"sig": "A'))
    with pytest.raises(ApprovalInvalid):
        lines(project)


def test_a_key_that_is_gone_is_told(project: Path) -> None:
    """Who has left the list is no reason to hide what they signed."""
    (project / "approvals/allowed_signers").write_text("")

    assert {row["signature"] for row in rows(project)} == {"none", "a key that is not listed"}


def test_by_command(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The files are written; without a Chromium the PDF is refused with what to install."""
    monkeypatch.chdir(project)
    assert carry_out(["review", "log", "--csv", "ledger.csv"]) == 0
    assert (project / "ledger.csv").read_bytes() == as_csv(lines(project)).encode()

    monkeypatch.setattr("nbproof.report.printing.shutil.which", lambda name: None)
    assert carry_out(["review", "log", "--pdf", "ledger.pdf"]) == 3
    assert "apt-get install chromium" in capsys.readouterr().err
    assert not (project / "ledger.pdf").exists()


@pytest.mark.slow
def test_as_pdf(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Chromium prints the page."""
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium")
    monkeypatch.chdir(project)

    assert carry_out(["review", "log", "--pdf", "ledger.pdf"]) == 0
    assert (project / "ledger.pdf").read_bytes().startswith(b"%PDF-")
