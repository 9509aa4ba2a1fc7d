"""Sends a kernel the text that records it, ahead of everybody else's first word, and hears what it says to that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..track.capture import boot

LAUNCHERS = ("ipykernel", "ipykernel_launcher")
# How often the socket tries to reach a kernel that does not listen yet; others try every 100 ms.
EAGER_MS = 5


def is_python(manager: Any) -> bool:
    """Whether the kernel of this manager runs Python, and can be reached from here."""
    spec = getattr(manager, "kernel_spec", None)
    return spec is not None and spec.language == "python" and hasattr(manager, "connect_shell")


class Injection:
    """One text on its way to one kernel; `done` is called in the loop with what the kernel said, or why it did not.

    A kernel that is busy answers later; `close()` when nobody waits for the answer any more.
    """

    def __init__(
        self, manager: Any, given: boot.Given, done: Callable[[boot.KernelAnswer | None, str | None], None]
    ) -> None:
        self._manager, self._given, self._done = manager, given, done
        self._stream = _eager_stream(manager)
        self._stream.on_recv(self._hear)
        if any(word in LAUNCHERS for word in manager.kernel_spec.argv):
            self._send("execute_request", boot.request(given))
        else:
            # Not every kernel of Python runs IPython here: some send what they get to a cluster, and pay for it.
            self._send("kernel_info_request", {})

    def close(self) -> None:
        """Hear no more."""
        if not self._stream.closed():
            self._stream.close()

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        self._manager.session.send(self._stream, kind, content)

    def _hear(self, frames: list[bytes]) -> None:
        _, parts = self._manager.session.feed_identities(frames)
        message = self._manager.session.deserialize(parts)
        kind, content = message["msg_type"], message["content"]
        if kind == "kernel_info_reply" and content.get("implementation") == "ipython":
            self._send("execute_request", boot.request(self._given))
        elif kind == "kernel_info_reply":
            self._end(None, f"its kernel is {content.get('implementation', 'unknown')}, not IPython")
        elif kind == "execute_reply":
            try:
                self._end(boot.answer(content), None)
            except ValueError as error:
                self._end(None, str(error))

    def _end(self, answer: boot.KernelAnswer | None, reason: str | None) -> None:
        # Not within its own callback: what comes after would find it closed.
        self._stream.stop_on_recv()
        asyncio.get_running_loop().call_soon(self.close)
        self._done(answer, reason)


def _eager_stream(manager: Any) -> Any:
    """A way to the kernel that is open before a page's: what is sent first is executed first."""
    context = manager.context
    # The defaults of sockets that are made meanwhile: none but ours, for the loop does nothing else now.
    context.reconnect_ivl = EAGER_MS
    try:
        return manager.connect_shell()
    finally:
        del context.reconnect_ivl
