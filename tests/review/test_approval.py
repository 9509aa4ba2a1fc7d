"""Signed decisions: whatever is changed in one, it is refused; and public tools can check it without nbproof."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewed import key, write_key

from nbproof.errors import ApprovalInvalid, KeyUnusable
from nbproof.records import ContentHash
from nbproof.review.approval import sign, verify
from nbproof.review.dsse import Envelope, opened, sealed
from nbproof.review.keys import PublicKey, read_private
from nbproof.review.statement import PAYLOAD, Approval, Condition, Measured, Subject, moment

ANA, OTHER = key(1), key(2)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APPROVAL = Approval(
    notebook="notebooks/score.ipynb",
    subjects=(
        Subject("notebook", "notebooks/score.ipynb", ContentHash.of(b"content")),
        Subject("data", "data/panel.csv", ContentHash.of(b"data")),
    ),
    parameters={"rows": 3, "größe": 0.5, "names": ["a", None]},
    cells=("a", "b"),
    metrics=(Measured("auc", 0.9, ">= 0.85", "passed"),),
    decision="approved-with-conditions",
    conditions=(Condition("watch the drift", "2027-01-31"),),
    comment="seen",
    requester="Bela",
    reviewer="Ana",
    key=ANA.public.fingerprint,
    policy="0" * 64,
    ledger=("0" * 64,),
    at=moment(NOW),
    nbproof="0.1.0",
)
SIGNED = sign(APPROVAL, ANA).written()


def test_what_was_signed_comes_back() -> None:
    """A decision is read again exactly as it was signed."""
    assert verify(SIGNED, [OTHER.public, ANA.public], now=NOW) == APPROVAL


@settings(max_examples=400)
@given(place=st.integers(0, len(SIGNED) - 1), bit=st.integers(0, 7))
def test_no_bit_of_the_file_can_be_flipped(place: int, bit: int) -> None:
    """Whatever bit of the file changes, it is refused, or it was a blank between two words of JSON."""
    changed = bytearray(SIGNED)
    changed[place] ^= 1 << bit

    try:
        found = verify(bytes(changed), [ANA.public], now=NOW)
    except ApprovalInvalid:
        return
    assert found == APPROVAL
    assert SIGNED[place : place + 1].isspace()


@settings(max_examples=300)
@given(st.data())
def test_no_byte_of_payload_or_signature_can_be_changed(data: st.DataObject) -> None:
    """Inside the envelope, too: payload and signature belong together, byte by byte."""
    envelope = opened(SIGNED, where="x")
    part = data.draw(st.sampled_from(["payload", "signature"]))
    content = bytearray(getattr(envelope, part))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))

    with pytest.raises(ApprovalInvalid):
        verify(replace(envelope, **{part: bytes(content)}).written(), [ANA.public], now=NOW)


@given(st.binary(max_size=300))
def test_anything_else_is_refused(content: bytes) -> None:
    """Whatever bytes come, the answer is a refusal and never an accident."""
    with pytest.raises(ApprovalInvalid):
        verify(content, [ANA.public], now=NOW)


def changed(**parts: object) -> bytes:
    return json.dumps({**json.loads(SIGNED), **parts}).encode()


SIGNATURE = json.loads(SIGNED)["signatures"][0]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (changed(payloadType="application/json"), "a payload of type `application/json`"),
        (changed(signatures=[]), "0 signatures"),
        (changed(signatures=[SIGNATURE, SIGNATURE]), "2 signatures"),
        (changed(signatures={"0": SIGNATURE}), "no list of signatures"),
        (changed(signatures=[{**SIGNATURE, "keyid": OTHER.public.fingerprint}]), "a signature that is not that of"),
        (changed(signatures=[{**SIGNATURE, "keyid": "SHA256:nobody"}]), "a signature of the key SHA256:nobody"),
        (changed(signatures=[{**SIGNATURE, "sig": SIGNATURE["sig"] + "\n"}]), "a value that is no base64"),
        (changed(more=1), "the keys more, payload, payloadType, signatures"),
        (SIGNED.replace(b'"payload":', b'"payload": "", "payload":'), "a key twice"),
        (SIGNED[: len(SIGNED) // 2], "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_every_other_envelope_is_refused_and_why(content: bytes, found: str) -> None:
    """Another type, other or more signatures, other keys: each is refused in words of its own."""
    with pytest.raises(ApprovalInvalid, match=found.replace("(", r"\(")):
        verify(content, [ANA.public, OTHER.public], now=NOW)


def test_who_is_not_trusted_signs_in_vain() -> None:
    """A valid signature of an unlisted key is worth nothing, nor is one when nobody is listed."""
    theirs = sign(replace(APPROVAL, key=OTHER.public.fingerprint), OTHER).written()

    for trusted in ([ANA.public], []):
        with pytest.raises(ApprovalInvalid, match="expected a key of a listed reviewer"):
            verify(theirs, trusted, now=NOW)


def test_nobody_signs_in_the_name_of_another_key() -> None:
    """A statement that names another key than its signature is refused, when it is made and when it is read."""
    with pytest.raises(ApprovalInvalid):
        sign(APPROVAL, OTHER)
    forged = sealed(PAYLOAD, APPROVAL.payload(), OTHER).written()
    with pytest.raises(ApprovalInvalid, match="a decision of"):
        verify(forged, [ANA.public, OTHER.public], now=NOW)


def test_a_signature_is_of_one_type_only() -> None:
    """What was signed as another type of payload is no approval, although the bytes are the same."""
    envelope = sealed("text/plain", APPROVAL.payload(), ANA)

    with pytest.raises(ApprovalInvalid, match="is not that of"):
        verify(Envelope(PAYLOAD, envelope.payload, envelope.key, envelope.signature).written(), [ANA.public], now=NOW)


@pytest.mark.parametrize(
    "spelled",
    [
        lambda payload: json.dumps(json.loads(payload)).encode(),
        lambda payload: payload.replace(b'"seen"', b'"s\\u0065en"'),
        lambda payload: payload.replace(b'"comment":"seen"', b'"comment":"seen","more":1'),
        lambda payload: payload.replace(b'"rows":3', b'"rows":3.0,"rows":3'),
        lambda payload: payload.replace(b'"approved-with-conditions"', b'"approved"'),
        lambda payload: payload.replace(b'"notebook":"notebooks/', b'"notebook":"../notebooks/'),
        lambda payload: payload.replace(b"Ana", "Аna".encode()),
        lambda payload: payload.replace(b"2026-03-01T", b"2026-02-30T"),
    ],
)  # fmt: skip
def test_a_signed_statement_has_one_spelling(spelled: object) -> None:
    """Even with a good signature, a statement in another spelling, with more in it, or with less sense, is refused."""
    payload = spelled(APPROVAL.payload())  # type: ignore[operator]
    assert payload != APPROVAL.payload()

    with pytest.raises(ApprovalInvalid):
        verify(sealed(PAYLOAD, payload, ANA).written(), [ANA.public], now=NOW)


def test_a_decision_of_tomorrow_is_refused() -> None:
    """Clocks differ by minutes and not by days."""
    with pytest.raises(ApprovalInvalid, match="made in the future"):
        verify(SIGNED, [ANA.public], now=NOW - timedelta(days=1))
    assert verify(SIGNED, [ANA.public], now=NOW - timedelta(minutes=4)) == APPROVAL


def test_keys_are_those_of_openssh(tmp_path: Path) -> None:
    """What ssh-keygen makes is read; the fingerprint is the one that it shows."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    file = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ana", "-f", file], check=True)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", file], check=True, capture_output=True, text=True).stdout

    private, public = read_private(file), PublicKey.read(file.with_suffix(".pub").read_text())

    assert private.public == public
    assert public.fingerprint in shown
    assert public.has_signed(b"message", private.sign(b"message"))


def test_keys_that_cannot_sign_are_refused(tmp_path: Path) -> None:
    """A public key, one that others may read, one with a passphrase and nobody to ask, another kind: each in words."""
    file = write_key(tmp_path / "id", 1)
    (tmp_path / "id.pub").write_text(ANA.public.line)
    file.chmod(0o644)
    with pytest.raises(KeyUnusable, match="others may read"):
        read_private(file)
    with pytest.raises(KeyUnusable, match="agent"):
        read_private(tmp_path / "id.pub")
    with pytest.raises(KeyUnusable, match="cannot be read"):
        read_private(tmp_path / "none")
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(KeyUnusable, match="no private key"):
        read_private(tmp_path / "text")


def test_a_locked_key_is_not_opened_without_a_passphrase(tmp_path: Path) -> None:
    """Where nobody can be asked, a key with a passphrase signs nothing, and the hint says where it can."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    file = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", file], check=True)

    with pytest.raises(KeyUnusable, match="a passphrase, and nobody to ask") as refused:
        read_private(file)
    assert refused.value.hint == f"approve at a terminal: nbproof review approve NOTEBOOK --key {file}"


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-rsa AAAA", "ssh-ed25519 AAAA", ANA.public.line[:-1]])
def test_a_line_that_is_no_key_is_refused(line: str) -> None:
    """Only Ed25519 keys in their one spelling are keys."""
    with pytest.raises(KeyUnusable):
        PublicKey.read(line)
