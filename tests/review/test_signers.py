"""`approvals/allowed_signers`: one name for one person, read as OpenSSH reads it or refused."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from reviewed import key, write_key

from nbproof.errors import ReviewAskedWrongly
from nbproof.review.signers import FILE, Holder, line_of, parsed, read

LINE, OTHER = key(1).public.line, key(2).public.line
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ"


def test_who_is_listed(tmp_path: Path) -> None:
    """Names, quoted names, ends in UTC; comments, empty lines and remarks behind the key are passed over."""
    text = f"""# who decides
ana@bank.example namespaces="git,nbproof" {LINE} ana@laptop

"Ben Lee" valid-after="20260101Z",valid-before="202712311200Z" {OTHER}
"""
    (tmp_path / "approvals").mkdir()
    (tmp_path / FILE).write_text(text)

    assert read(tmp_path) == (
        Holder("ana@bank.example", key(1).public),
        Holder("Ben Lee", key(2).public, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 12, 31, 12, tzinfo=UTC)),
    )
    assert read(tmp_path / "elsewhere") == ()


def test_one_person_may_have_two_keys() -> None:
    """A new key stands beside the one that it replaces."""
    assert [holder.name for holder in parsed(f"Ana {LINE}\nAna {OTHER}\n")] == ["Ana", "Ana"]


@pytest.mark.parametrize(
    "line", [f"Ana {RSA}", f'Ana namespaces="git" {LINE}', f"Ana cert-authority {LINE}", "# Ana", "Ana"]
)
def test_keys_that_are_for_something_else_sign_nothing_here(line: str) -> None:
    """Other kinds of keys, keys for git only, and certificates are nobody's here."""
    assert parsed(line) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"*@bank.example {LINE}", "a pattern or a list"),
        (f"Ana,Ben {LINE}", "a pattern or a list"),
        (f"!Ana {LINE}", "a pattern or a list"),
        (f"Аna {LINE}", "a name in letters of CYRILLIC and LATIN"),
        (f"Ana\u200b {LINE}", "characters that cannot be seen"),
        (f"Ana {LINE[:-4]}", "no Ed25519 key"),
        (f'Ana valid-before="20271231" {LINE}', "a moment in UTC"),
        (f'Ana valid-before="20271331Z" {LINE}', "a moment in UTC"),
        (f'Ana valid-until="20271231Z" {LINE}', "options of ssh-keygen"),
        (f'Ana valid-before="20271231Z",valid-before="20281231Z" {LINE}', "each once"),
        (f'Ana valid-before="20271231Z",! {LINE}', "options that cannot be read"),
        (f"Ana {LINE}\nBen {LINE}", "one name for one person"),
        (f"Ana {LINE}\nANA {OTHER}", "one name for one person"),
        (f"Paco {LINE}\nРасо {OTHER}", "one name for one person"),
        (f"Ana {LINE}\nAna {LINE}", "each once"),
    ],
)
def test_lines_with_two_readings_are_refused(text: str, words: str) -> None:
    """Patterns, names that pose as others, keys and persons twice, moments without a zone: each is named."""
    with pytest.raises(ReviewAskedWrongly, match=words):
        parsed(text)


def test_openssh_reads_the_same_file(tmp_path: Path) -> None:
    """What `line_of` writes, `ssh-keygen -Y verify` takes for the same person, and for nobody else."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    (tmp_path / "allowed_signers").write_text(line_of("Ana Lee", key(1).public) + "\n")
    write_key(tmp_path / "ana", 1)
    (tmp_path / "text").write_text("yes")
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "nbproof", "-f", "ana", "text"]
    subprocess.run(sign, cwd=tmp_path, check=True, capture_output=True)

    def verify(name: str, namespace: str) -> int:
        command = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", name, "-n", namespace, "-s", "text.sig"]
        return subprocess.run(command, cwd=tmp_path, input=b"yes", capture_output=True, check=False).returncode

    assert (verify("Ana Lee", "nbproof"), verify("Ben", "nbproof") == 0, verify("Ana Lee", "git") == 0) == (
        0, False, False,
    )  # fmt: skip
