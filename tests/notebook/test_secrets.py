"""Secrets: read from where a reference points, and gone from everything that is kept."""

from __future__ import annotations

import ast
import base64
import html
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.errors import SecretUnavailable
from nbproof.notebook.secrets import MASK, is_reference, mask, reveal

SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="•"), min_size=4, max_size=24)
SPELLINGS = [
    lambda s: s,
    lambda s: json.dumps(s),
    lambda s: json.dumps(s, ensure_ascii=False),
    lambda s: json.dumps(json.dumps({"key": s})),
    repr,
    ascii,
    lambda s: repr([s, "'"]),
    lambda s: repr(s.encode()),
    lambda s: html.escape(s),
    lambda s: "https://host/?token=" + quote(s, safe=""),
    lambda s: quote_plus(s),
    lambda s: s.encode().hex(),
    lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
]


@given(SECRETS, st.text(max_size=10), st.text(max_size=10))
def test_no_secret_survives_as_it_is(secret: str, before: str, after: str) -> None:
    """Wherever it stands, the secret is gone: in keys, in lists, in texts."""
    dirty = {before + secret: [secret + after, (before + secret + after,)], "deep": {"er": [{"x": secret * 2}]}}

    cleaned = mask(dirty, [secret])

    assert not any(secret in text for text in texts(cleaned))


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, held in value.items() for text in (key, *texts(held))]
    if isinstance(value, list | tuple):
        return [text for held in value for text in texts(held)]
    return [value]


@given(SECRETS, st.sampled_from(SPELLINGS), st.text(max_size=5))
def test_no_spelling_of_a_secret_survives(secret: str, spell: Any, around: str) -> None:
    """JSON, Python, HTML, URLs, hexadecimal and base64 hide nothing."""
    spelled = spell(secret)
    core = spelled.strip("\"'b=")

    cleaned = mask(around + spelled + around, [secret])

    assert MASK in cleaned
    assert len(core) < 4 or core not in cleaned


@given(st.binary(max_size=7), st.binary(max_size=7))
def test_a_secret_inside_base64_is_found(before: bytes, after: bytes) -> None:
    """Basic authentication spells user and password as one base64 text; what is left no longer spells it."""
    secret = "correct-horse-battery"
    encoded = base64.b64encode(before + secret.encode() + after).decode()

    cleaned = mask(encoded, [secret])

    assert MASK in cleaned
    assert len(cleaned) <= len(encoded) - 20


@given(st.lists(SECRETS, min_size=1, max_size=4), st.text(max_size=40))
def test_many_secrets_are_hidden_at_once(secrets: list[str], text: str) -> None:
    """A secret that holds another one leaves no part behind."""
    cleaned = mask(text.join(["", *secrets, ""]), secrets)

    assert not any(secret in cleaned for secret in secrets)


def test_what_is_no_secret_stays() -> None:
    """Masking touches nothing else, and keeps numbers and None."""
    value = {"a": [1, 2.5, None, True, "text"], "b": ("x",)}

    assert mask(value, ["not-in-there"]) == value
    assert mask(value, []) == value


def test_lines_and_numbers_of_a_secret_are_hidden() -> None:
    """A key file printed line by line, and a PIN held as a number, are found too."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----\n"

    assert mask(["MIIEvQIBADANBgkq", 80085123], [key, "80085"]) == [MASK, MASK]


def test_a_short_secret_cannot_be_hidden() -> None:
    """Three characters are in every text; such a secret is refused rather than half hidden."""
    with pytest.raises(ValueError, match="shorter than 4"):
        mask("abc", ["abc"])


def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`env:NAME` is the variable's value."""
    monkeypatch.setenv("NBPROOF_TEST_TOKEN", "s3cret!")

    assert reveal("env:NBPROOF_TEST_TOKEN") == "s3cret!"


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    """`file:PATH` is the file's content less its last line end."""
    (tmp_path / "token").write_text("two\nlines\r\n", newline="")

    assert reveal(f"file:{tmp_path / 'token'}") == "two\nlines"


def test_a_missing_secret_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable or the file and what to do."""
    monkeypatch.delenv("NBPROOF_TEST_TOKEN", raising=False)

    with pytest.raises(SecretUnavailable, match="env:NBPROOF_TEST_TOKEN: the environment variable is not set") as env:
        reveal("env:NBPROOF_TEST_TOKEN")
    with pytest.raises(SecretUnavailable, match="No such file") as file:
        reveal(f"file:{tmp_path / 'none'}")

    assert env.value.hint == "export NBPROOF_TEST_TOKEN=…"
    assert file.value.hint.startswith("ls -l ")


def test_a_short_or_literal_secret_is_refused_unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No error repeats the value."""
    monkeypatch.setenv("NBPROOF_TEST_TOKEN", "zq7")

    with pytest.raises(SecretUnavailable) as short:
        reveal("env:NBPROOF_TEST_TOKEN")
    with pytest.raises(SecretUnavailable) as literal:
        reveal("hunter2")

    assert "zq7" not in str(short.value)
    assert "hunter2" not in str(literal.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env:A_1", True),
        ("file:a/b", True),
        ("env:1A", False),
        ("env:", False),
        ("file:", False),
        ("x", False),
        (1, False),
    ],
)
def test_references_are_told_from_secrets(text: object, expected: bool) -> None:
    """Only `env:NAME` and `file:PATH` are references."""
    assert is_reference(text) is expected


def test_masked_python_and_json_can_still_be_read() -> None:
    """A quoted secret leaves its quotes behind."""
    secret = "pa'ss\"word\\1"

    assert json.loads(mask(json.dumps({"a": secret}), [secret])) == {"a": MASK}
    assert ast.literal_eval(mask(repr({"a": secret}), [secret])) == {"a": MASK}
