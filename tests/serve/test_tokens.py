"""Tokens of a provider let in who is meant, and nobody else: each attack that is known is tried at a real door."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from nbproof.cli.main import carry_out
from nbproof.errors import AskedWrongly
from nbproof.serve import keys, tokens
from nbproof.serve.admission import Unasked
from nbproof.serve.app import Ways, served
from nbproof.serve.package import read
from nbproof.serve.source import Folder
from nbproof.serve.tokens import KeysUnreachable, Provider, Tokens

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

jwt = pytest.importorskip("jwt")

ROWS = {"rows": [{"age": 30, "status": 2, "ratio": 0.25}]}
AUDIENCE = "scoring"
KEY, NEXT = (rsa.generate_private_key(65537, 2048) for _ in range(2))
CURVE = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """A public key as a JWKS has it."""
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


class Issuer:
    """A provider: its description and its keys over HTTP, which may change, or stop answering."""

    def __init__(self) -> None:
        self.keys = [public(KEY, "one"), public(CURVE, "curve")]
        self.status, self.asked, self.named = 200, 0, ""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += self.path == "/keys"
                described = {"issuer": issuer.named or issuer.url, "jwks_uri": f"{issuer.url}/keys"}
                content = json.dumps(described if "openid" in self.path else {"keys": issuer.keys}).encode()
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        found = {"iss": self.url, "aud": AUDIENCE, "sub": "ana", "iat": now, "nbf": now, "exp": now + 300, **more}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, key: Any = KEY, kid: str | None = "one", alg: str = "RS256", **more: Any) -> str:
        """A token as it signs them."""
        made: str = jwt.encode(self.claims(**more), key, algorithm=alg, headers={} if kid is None else {"kid": kid})
        return made


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def door(package: Path, provider: Provider, **more: Any) -> TestClient:
    return TestClient(served(read(package), Folder(package), Unasked(), Ways(provider=provider, **more)))


def said(client: TestClient, token: str, path: str = "/predict") -> int:
    return client.post(path, json=ROWS, headers={"Authorization": f"Bearer {token}"}).status_code


def spelled(head: dict[str, Any], claims: dict[str, Any]) -> str:
    """Head and claims without a signature."""
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, claims)
    )


def test_a_token_of_the_issuer_lets_in_and_its_scope_says_what_for(package_folder: Path, issuer: Issuer) -> None:
    """By the issuer's own description; keys of a file go on counting beside it."""
    provider = Provider(issuer=issuer.url, audience=AUDIENCE, scope="score", admin="deploy")
    with door(package_folder, provider) as client:
        assert client.get("/ready").status_code == 200
        assert client.post("/predict", json=ROWS).status_code == 401
        assert said(client, issuer.token(scope="read score")) == 200
        assert said(client, issuer.token(CURVE, "curve", "ES256", roles=["score"])) == 200
        assert (
            said(client, issuer.token(alg="PS384", aud=["other", AUDIENCE], realm_access={"roles": ["score"]})) == 200
        )
        assert said(client, issuer.token(scope="read")) == 401
        assert said(client, issuer.token()) == 401
        assert said(client, issuer.token(scope="score"), "/admin/swap") == 403
        assert said(client, issuer.token(scp=["deploy"]), "/admin/swap") == 200
    assert issuer.asked == 1


def test_attacks_are_refused(package_folder: Path, issuer: Issuer) -> None:
    """No signature, the public key as a secret, another key, another issuer, audience or time, a key of its own."""
    shared = {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}
    issuer.keys = [
        public(KEY, "one", alg="RS256"),
        public(CURVE, "curve"),
        shared,
        public(NEXT, "other-use", use="enc"),
    ]
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    now, good = int(time.time()), issuer.token()

    def secret(with_key: bytes, kid: str) -> str:
        text = spelled({"alg": "HS256", "typ": "JWT", "kid": kid}, issuer.claims())
        made = (
            base64.urlsafe_b64encode(hmac.new(with_key, text.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
        )
        return f"{text}.{made}"

    head, body, signature = good.split(".")
    own = jwt.encode(issuer.claims(), NEXT, algorithm="RS256", headers={"kid": "mine", "jwk": public(NEXT, "mine")})
    attacks = {
        "no signature": spelled({"alg": "none", "kid": "one"}, issuer.claims()) + ".",
        "none, spelled otherwise": spelled({"alg": "nOnE", "kid": "one"}, issuer.claims()) + ".",
        "no signature after all": f"{head}.{body}.",
        "the public key as a secret": secret(pem, "one"),
        "a secret that is published": secret(b"secret", "secret"),
        "claims of another": ".".join((head, spelled({}, issuer.claims(sub="eve")).split(".")[1], signature)),
        "another key": issuer.token(NEXT),
        "an unknown key": issuer.token(NEXT, "unknown"),
        "no name of a key": issuer.token(NEXT, None),
        "a key for another use": issuer.token(NEXT, "other-use"),
        "another algorithm than the key's": issuer.token(alg="RS512"),
        "a key that it brings": own,
        "where its key is": jwt.encode(issuer.claims(), NEXT, algorithm="RS256",
                                       headers={"kid": "one", "jku": f"{issuer.url}/mine"}),
        "what must be understood": jwt.encode(issuer.claims(), KEY, algorithm="RS256",
                                              headers={"kid": "one", "crit": ["b64"]}),
        "a key's name that is none": jwt.encode(issuer.claims(), KEY, algorithm="RS256", headers={"kid": "../one"}),
        "expired": issuer.token(exp=now - 120),
        "not yet": issuer.token(nbf=now + 120),
        "issued tomorrow": issuer.token(iat=now + 86400),
        "for ever": issuer.token(exp=None),
        "another audience": issuer.token(aud="billing"),
        "no audience": issuer.token(aud=None),
        "another issuer": issuer.token(iss="https://evil.invalid"),
        "an issuer that begins so": issuer.token(iss=issuer.url + ".evil.invalid"),
        "no issuer": issuer.token(iss=None),
        "nobody": issuer.token(sub=None),
        "too long": issuer.token(padding="x" * 20_000),
        "nested": f"{base64.urlsafe_b64encode(b'[' * 3000).decode().rstrip('=')}.e30.x",
        "three words": "a.b.c",
        "nothing": "..",
    }  # fmt: skip
    with door(package_folder, Provider(issuer=issuer.url, audience=AUDIENCE)) as client:
        assert said(client, good) == 200
        found = {name: said(client, token) for name, token in attacks.items()}

    assert found == dict.fromkeys(attacks, 401)


def test_keys_that_nobody_can_read_let_nobody_in(package_folder: Path, issuer: Issuer) -> None:
    """Refused, and not open; once the provider answers again, so does the service. What went wrong is told inside."""
    issuer.status, heard = 500, []
    provider = Provider(issuer=issuer.url, audience=AUDIENCE, jwks=f"{issuer.url}/keys")
    with door(package_folder, provider, tell=lambda *told: heard.append(told)) as client:
        answer = client.post("/predict", json=ROWS, headers={"Authorization": f"Bearer {issuer.token()}"})
        assert client.post("/predict", json=ROWS).status_code == 401
    assert answer.status_code == 503
    assert answer.json()["problems"][0]["what"] == "no token can be verified now"
    assert any(event == "keys unreachable" and "answered 500" in words for event, words in heard)


def test_keys_are_read_again_and_withdrawn_ones_count_no_more(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one at once, within limits; one that is gone after the next reading; none for ever without a reading."""
    now = [1000.0]
    held = Tokens(Provider(issuer=issuer.url, audience=AUDIENCE, jwks=f"{issuer.url}/keys"), clock=lambda: now[0])

    def lets_in(token: str) -> bool:
        return asyncio.run(held.holder(token)) is not None

    old, new = issuer.token(), issuer.token(NEXT, "two")
    assert lets_in(old)
    assert not any(lets_in(new) for _ in range(50))
    assert issuer.asked == 1
    issuer.keys.append(public(NEXT, "two"))
    now[0] += 11
    assert lets_in(new)
    assert issuer.asked == 2
    issuer.keys = [public(NEXT, "two")]
    assert lets_in(old)
    now[0] += 301
    assert not lets_in(old)
    issuer.status = 503
    now[0] += 3500
    assert lets_in(new)
    now[0] += 101
    with pytest.raises(KeysUnreachable, match="answered 503"):
        lets_in(new)
    issuer.status = 200
    now[0] += 11
    assert lets_in(new)


def test_a_description_of_another_issuer_is_not_followed(issuer: Issuer) -> None:
    """Nor keys that are none: secrets, private ones, short ones."""
    held = Tokens(Provider(issuer=issuer.url, audience=AUDIENCE))
    issuer.named = "https://other.invalid"
    with pytest.raises(KeysUnreachable, match="names another issuer"):
        asyncio.run(held.holder(issuer.token()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = rsa.generate_private_key(65537, 1024)
    private = {**public(KEY, "one"), "d": "AQAB"}
    for odd in (
        public(short, "one"),
        private,
        {"kty": "oct", "k": "c2VjcmV0", "kid": "one"},
        {"kty": "OKP", "crv": "X25519"},
    ):
        with pytest.raises(ValueError, match="no key that verifies"):
            tokens._keys_of({"keys": [odd]})


def test_keys_may_lie_in_a_file(package_folder: Path, tmp_path: Path, issuer: Issuer) -> None:
    """Nothing is fetched then, and keys of the other kind let in beside tokens."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": issuer.keys}))
    shown = keys.add(tmp_path / "keys.txt", "app", "use")
    provider = Provider(issuer=issuer.url, audience=AUDIENCE, jwks=str(file))
    with door(package_folder, provider, keys=keys.Keys(tmp_path / "keys.txt")) as client:
        assert [said(client, each) for each in (issuer.token(), shown, issuer.token(NEXT), "nbp_x")] == [
            200,
            200,
            401,
            401,
        ]
    assert issuer.asked == 0


def test_what_anybody_could_stand_in_for_is_refused(
    package_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys over plain http from elsewhere, no audience, and options without an issuer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\n")
    for wrong in (
        {"issuer": "http://id.example", "audience": "a"},
        {"issuer": "https://id.example", "audience": "a", "jwks": "http://id.example/keys"},
        {"issuer": "file:///id", "audience": "a"},
        {"issuer": "https://id.example", "audience": ""},
    ):
        with pytest.raises(AskedWrongly):
            Provider(**wrong)
    assert carry_out(["serve", str(package_folder), "--oidc-issuer", "https://id.example"]) == 2
    assert "found no --oidc-audience" in capsys.readouterr().err
    assert carry_out(["serve", str(package_folder), "--oidc-audience", "a"]) == 2
    assert "found no --oidc-issuer" in capsys.readouterr().err
