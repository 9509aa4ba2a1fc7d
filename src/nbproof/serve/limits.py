"""How much one request may ask for: of rows, of bytes, of time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits. A body has `body_s` to arrive, an answer `answer_s`; `waiting_rows` may wait for the model."""

    rows: int = 1000
    body_bytes: int = 1_000_000
    body_s: float = 10.0
    answer_s: float = 30.0
    waiting_rows: int = 10_000

    def __post_init__(self) -> None:
        if min(self.rows, self.body_bytes, self.body_s, self.answer_s, self.waiting_rows) <= 0:
            raise ValueError("a service that takes no rows is none")


class TooLarge(Exception):
    """A body is larger than it may be."""


class TooSlow(Exception):
    """A body did not arrive in time."""


class Gone(Exception):
    """Whoever asked has left."""


async def body_of(receive: Receive, bounds: Bounds) -> bytes:
    """Read a body before anyone parses it. Raises `TooLarge` as soon as it is, `TooSlow`, or `Gone`."""
    message = await _first(receive, bounds)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > bounds.body_bytes:
            raise TooLarge
        return body
    try:
        async with asyncio.timeout(bounds.body_s):
            return await _rest(receive, body, bounds)
    except TimeoutError:
        raise TooSlow from None


async def _first(receive: Receive, bounds: Bounds) -> Message:
    try:
        async with asyncio.timeout(bounds.body_s):
            message = await receive()
    except TimeoutError:
        raise TooSlow from None
    if message["type"] == "http.disconnect":
        raise Gone
    return message


async def _rest(receive: Receive, begun: bytes, bounds: Bounds) -> bytes:
    body = bytearray(begun)
    more = True
    while more:
        if len(body) > bounds.body_bytes:
            raise TooLarge
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > bounds.body_bytes:
        raise TooLarge
    return bytes(body)
