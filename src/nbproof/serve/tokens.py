"""Tokens of an OpenID provider: who may ask, as the provider signed it, verified with the keys that it publishes.

Whatever cannot be verified is not let in: an algorithm that is not on the list, a key that the provider does not
publish, a claim that is missing, keys that nobody has been able to read for too long.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import AskedWrongly
from ..extras import require
from .keys import Scope
from .process import is_loopback

# Signatures by a key that only the provider has. With HS* whoever verifies could sign, and `none` is no signature.
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA", "Ed448": "EdDSA"}
ALLOWED = frozenset((*RSA, *CURVES.values()))
LOOK = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
LONGEST, SMALLEST_RSA = 16_384, 2048
# Clocks of two machines differ by so much at most.
LEEWAY_S = 30.0
# Keys are read again after AGE_S, and for an unknown one at once, but not more often than AGAIN_S says; a file after
# AGAIN_S. What could not be read again for STALE_S lets nobody in: a key may have been withdrawn since.
AGE_S, AGAIN_S, STALE_S = 300.0, 10.0, 3600.0
FETCH_S, MOST_BYTES = 5.0, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Whose tokens count: the `iss` and the `aud` that they must name, and where the provider's keys are.

    `jwks` is a file or a URL; None asks the issuer's own description. `scope` is the scope or role that a token needs,
    "" none; `admin` the one that may exchange the model, "" nobody.
    """

    issuer: str
    audience: str
    jwks: str | None = None
    scope: str = ""
    admin: str = ""

    def __post_init__(self) -> None:
        if not self.audience:
            raise AskedWrongly("--oidc-issuer: found no --oidc-audience, expected whom its tokens are meant for",
                               hint="nbproof serve MODEL --oidc-issuer URL --oidc-audience NAME")  # fmt: skip
        for place in (self.issuer, self.jwks if self.jwks is not None and _is_url(self.jwks) else self.issuer):
            if not _is_safe(place):
                raise AskedWrongly(f"`{place}`: found no address that nobody can stand in for, expected https://…",
                                   hint="http is for addresses of this machine alone")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Holder:
    """Who shows a token, by its subject, and what it may do."""

    name: str
    scope: Scope


class KeysUnreachable(Exception):
    """The keys of the provider cannot be read, so nobody can say whose a token is."""


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str | None
    algorithms: tuple[str, ...]
    key: Any


class Tokens:
    """Verifies tokens of one provider. `tell` hears what goes wrong with its keys, in words."""

    def __init__(
        self, provider: Provider, *, tell: Callable[[str, str], None] = lambda event, words: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        require("jwt")
        self._provider, self._tell, self._clock = provider, tell, clock
        self._age = AGE_S if provider.jwks is None or _is_url(provider.jwks) else AGAIN_S
        self._keys: tuple[_Key, ...] = ()
        self._read_at, self._tried_at = float("-inf"), float("-inf")
        self._problem = "they have not been read yet"
        self._reading = threading.Lock()

    async def holder(self, token: str) -> Holder | None:
        """Whose token it is, or None. Raises `KeysUnreachable`."""
        if len(token) > LONGEST:
            return None
        head = _head(token)
        if head is None:
            return None
        algorithm, kid = head
        if self._clock() - self._read_at > self._age:
            await self._renew()
        found = self._fitting(algorithm, kid)
        if not found:
            # It may have been published since.
            await self._renew()
            found = self._fitting(algorithm, kid)
        if self._clock() - self._read_at > STALE_S:
            raise KeysUnreachable(self._problem)
        for key in found:
            claims = self._claims(token, algorithm, key)
            if claims is not None:
                return self._holder(claims)
        return None

    def _fitting(self, algorithm: str, kid: str | None) -> list[_Key]:
        """The keys that such a token may be signed with: the one that it names, or the only one that there is."""
        fitting = [key for key in self._keys if algorithm in key.algorithms]
        if kid is not None:
            return [key for key in fitting if key.kid == kid]
        return fitting if len(fitting) == 1 else []

    def _claims(self, token: str, algorithm: str, key: _Key) -> Mapping[str, Any] | None:
        import jwt

        try:
            return jwt.decode(
                token, key.key, algorithms=[algorithm], audience=self._provider.audience, issuer=self._provider.issuer,
                leeway=LEEWAY_S, options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
        except Exception:
            # Whatever it stumbles over: what cannot be verified is not let in.
            return None

    def _holder(self, claims: Mapping[str, Any]) -> Holder | None:
        held = _scopes(claims)
        if self._provider.admin and self._provider.admin in held:
            return Holder(str(claims["sub"]), "admin")
        if self._provider.scope and self._provider.scope not in held:
            return None
        return Holder(str(claims["sub"]), "use")

    async def _renew(self) -> None:
        # Nobody waits for a provider that was asked just now, or is being asked while there are keys.
        if self._clock() - self._tried_at >= AGAIN_S or (not self._keys and self._reading.locked()):
            await asyncio.to_thread(self._refresh)

    def _refresh(self) -> None:
        """Read the keys again, one thread at a time and not too often; without success those of before stay."""
        with self._reading:
            now = self._clock()
            if now - self._tried_at < AGAIN_S:
                return
            self._tried_at = now
            try:
                self._keys = _keys_of(_document(self._provider))
            except Exception as error:
                self._problem = f"{type(error).__name__}: {error}".splitlines()[0][:300]
                self._tell("keys unreachable", self._problem)
                return
            self._read_at = now


def looks_like_token(presented: str) -> bool:
    """Whether it has the three parts of a token, and so is no key of a file."""
    return LOOK.fullmatch(presented) is not None


def _head(token: str) -> tuple[str, str | None] | None:
    """The algorithm and the key that a token names, where we may follow it; nothing in it is trusted yet."""
    import jwt

    try:
        head = jwt.get_unverified_header(token)
    except Exception:
        return None
    algorithm, kid = head.get("alg"), head.get("kid")
    # `crit` names what a reader must understand; `jwk`, `jku` and `x5u` would let the token bring its own key.
    if algorithm not in ALLOWED or "crit" in head or not (kid is None or isinstance(kid, str)):
        return None
    return algorithm, kid


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    """Scopes and roles of a token, as providers spell them: `scope`, `scp`, `roles`, `realm_access.roles`."""
    realm = claims.get("realm_access")
    found: set[str] = set()
    for said in (claims.get("scope"), claims.get("scp"), claims.get("roles"),
                 realm.get("roles") if isinstance(realm, dict) else None):  # fmt: skip
        listed = said.split() if isinstance(said, str) else said
        found |= {each for each in listed if isinstance(each, str)} if isinstance(listed, list) else set()
    return found


def _keys_of(document: Any) -> tuple[_Key, ...]:
    """The keys of a JWKS that verify signatures; secrets and short ones are none. Raises `ValueError` without any."""
    import jwt

    found = []
    for each in document["keys"]:
        algorithms = RSA if each.get("kty") == "RSA" else tuple(filter(None, [CURVES.get(each.get("crv", ""))]))
        if "alg" in each:
            algorithms = tuple(name for name in algorithms if name == each["alg"])
        if not algorithms or each.get("use", "sig") != "sig" or "d" in each:
            continue
        try:
            key = jwt.PyJWK(each, algorithm=algorithms[0]).key
        except jwt.PyJWTError:
            continue
        if each["kty"] == "RSA" and key.key_size < SMALLEST_RSA:
            continue
        found.append(_Key(each.get("kid"), algorithms, key))
    if not found:
        raise ValueError("no key that verifies signatures")
    return tuple(found)


def _document(provider: Provider) -> Any:
    """The JWKS of a provider, from a file, a URL or what its own description names."""
    place = provider.jwks
    if place is not None and not _is_url(place):
        return json.loads(Path(place).read_bytes())
    if place is None:
        described = _fetched(provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if described["issuer"] != provider.issuer:
            raise ValueError("its description names another issuer")
        place = str(described["jwks_uri"])
        if not _is_safe(place):
            raise ValueError("its description names keys that anybody could stand in for")
    return _fetched(place)


def _fetched(url: str) -> Any:
    require("httpx")
    import httpx

    with httpx.Client(timeout=FETCH_S, follow_redirects=False) as client, client.stream("GET", url) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{url} answered {answer.status_code}")
        content = b""
        for part in answer.iter_bytes():
            content += part
            if len(content) > MOST_BYTES:
                raise ValueError(f"{url} answered more than {MOST_BYTES} bytes")
    return json.loads(content)


def _is_url(place: str) -> bool:
    return "://" in place


def _is_safe(place: str) -> bool:
    parts = urlsplit(place)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )
