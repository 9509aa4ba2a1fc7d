"""The door of a service: who may come in, what a request is called, and where it goes; every answer is counted here."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from ..extras import is_installed
from . import reply
from .answering import Asked
from .counts import Counts
from .keys import Key, Keys
from .limits import Bounds, Gone, TooLarge, TooSlow, body_of
from .reply import Reply
from .rows import ARROW
from .tokens import Holder, KeysUnreachable, Tokens, looks_like_token

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = ("/health", "/ready")
ADMIN = "/admin/"
# No more than what can stand in a log without meaning anything there.
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

Answer = Callable[[Asked, "Receive"], Awaitable[Reply]]
Told = Callable[[str, str, int, float], None]


class Door:
    """Lets requests in: those of `answers` are answered here, all others by `app`."""

    def __init__(
        self, app: ASGIApp, *, answers: Mapping[tuple[str, str], Answer], bounds: Bounds, counts: Counts,
        keys: Keys | None, is_draining: Callable[[], bool], told: Told | None, tokens: Tokens | None = None,
    ) -> None:  # fmt: skip
        self._app, self._answers, self._bounds, self._counts = app, answers, bounds, counts
        self._keys, self._tokens, self._is_draining, self._told = keys, tokens, is_draining, told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, route = time.perf_counter(), 500, "other"
        headers = dict(scope["headers"])
        named = headers.get(b"x-request-id", b"")
        request = named if REQUEST_ID.fullmatch(named) else secrets.token_hex(12).encode()
        extra = [(b"x-request-id", request)]
        if self._is_draining():
            # Whoever keeps the connection would find it closed at the next request.
            extra.append((b"connection", b"close"))
        try:
            given = await self._refusal(scope["path"], headers)
            answer = self._answers.get((scope["method"], scope["path"]))
            if answer is not None:
                route = scope["path"]
                given = given or await answer(_asked(request, headers), receive)
            if given is not None:
                status = given.status
                await given.send(send, extra)
            else:
                status, route = await self._passed_on(scope, receive, send, extra)
        except Gone:
            status = 499
        finally:
            took = time.perf_counter() - began
            self._counts.answered(route, status, took)
            if self._told is not None:
                self._told(request.decode(), route, status, took)

    async def _refusal(self, path: str, headers: Mapping[bytes, bytes]) -> Reply | None:
        """Why this request is not let in, or None."""
        if path in OPEN:
            return None
        if self._keys is None and self._tokens is None:
            if path.startswith(ADMIN):
                return reply.problems(
                    403, [("header.authorization", "this service has no keys: start it with --api-keys")]
                )
            return None
        try:
            holder = await self._holder(_presented(headers))
        except KeysUnreachable:
            # Why is for whoever runs the service; it is told there.
            return reply.problems(503, [("header.authorization", "no token can be verified now")])
        if holder is None:
            what = "no key that is known" if self._tokens is None else "no key or token that is known"
            return reply.problems(401, [("header.authorization", what)], ((b"www-authenticate", b"Bearer"),))
        if path.startswith(ADMIN) and holder.scope != "admin":
            return reply.problems(403, [("header.authorization", "a key that may only use the model")])
        return None

    async def _holder(self, presented: str) -> Key | Holder | None:
        """Whose key or token it is. Raises `KeysUnreachable`."""
        if self._tokens is not None and looks_like_token(presented):
            return await self._tokens.holder(presented)
        return None if self._keys is None else self._keys.holder(presented)

    async def _passed_on(
        self, scope: Scope, receive: Receive, send: Send, extra: list[tuple[bytes, bytes]]
    ) -> tuple[int, str]:
        """Let the application answer; its status and route come back."""
        try:
            body = await body_of(receive, self._bounds)
        except TooLarge:
            given = reply.problems(413, [("body", f"larger than {self._bounds.body_bytes} bytes")])
            await given.send(send, extra)
            return 413, "other"
        except TooSlow:
            given = reply.problems(408, [("body", f"not there within {self._bounds.body_s:g} s")])
            await given.send(send, [*extra, (b"connection", b"close")])
            return 408, "other"
        waiting, status = [body], 500

        async def replayed() -> Message:
            if waiting:
                return {"type": "http.request", "body": waiting.pop(), "more_body": False}
            return await receive()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        await self._app(scope, replayed, watched)
        return status, getattr(scope.get("route"), "path", "other")


def _asked(request: bytes, headers: Mapping[bytes, bytes]) -> Asked:
    media = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
    return Asked(request.decode(), media, ARROW.encode() in headers.get(b"accept", b"") and is_installed("pyarrow"))


def _presented(headers: Mapping[bytes, bytes]) -> str:
    """The key that a request shows: `Authorization: Bearer KEY`, or `X-API-Key: KEY`."""
    scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
    given = value if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
    return given.strip().decode("latin-1")
