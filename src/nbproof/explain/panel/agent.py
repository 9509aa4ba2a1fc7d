"""Answers a page that explains: requests are carried out one by one beside the kernel's own work, and can be cancelled.

The kernel's main thread stays free for cells, and for hearing a cancel; answers go out from a thread of their own.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import NbproofError

LONGEST = 2000
EXTRA = "pip install 'nbproof[explain]'"

Send = Callable[[dict[str, Any]], None]


class Agent:
    """One page's agent. `namespace` gives the user's names, `send` takes what is told to the page.

    `turn` is held while something is explained, so that two pages do not make each other's estimates wrong.
    """

    def __init__(self, namespace: Callable[[], Mapping[str, Any]], send: Send, turn: threading.Lock) -> None:
        self._namespace, self._send, self._turn = namespace, send, turn
        self._waiting: queue.SimpleQueue[tuple[str, str, Mapping[str, Any]] | None] = queue.SimpleQueue()
        self._cancels: dict[str, threading.Event] = {}
        self._thread: threading.Thread | None = None

    def hear(self, message: Any) -> None:
        """Take a request `{id, ask, with}`; what is not one is left alone. Cancelling is done at once."""
        if not isinstance(message, Mapping) or not isinstance(message.get("id"), str):
            return
        identity, name = message["id"], message.get("ask")
        asked = message.get("with")
        asked = asked if isinstance(asked, Mapping) else {}
        if name == "cancel":
            self._cancel(str(asked.get("of")))
            return
        self._cancels[identity] = threading.Event()
        self._send({"id": identity, "is": "taken"})
        self._waiting.put((identity, str(name), asked))
        self._start()

    def close(self) -> None:
        """Cancel what is under way, and let the thread end."""
        for cancel in list(self._cancels.values()):
            cancel.set()
        self._waiting.put(None)

    def _cancel(self, identity: str) -> None:
        cancel = self._cancels.get(identity)
        if cancel is not None:
            cancel.set()

    def _start(self) -> None:
        if self._thread is None:
            # With the context of the request, from which a kernel learns whom its messages belong to.
            context = contextvars.copy_context()
            self._thread = threading.Thread(target=context.run, args=(self._work,), name="nbproof-explain", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        # Imported here: the kernel goes on meanwhile.
        from .work import Desk

        desk = Desk()
        while (request := self._waiting.get()) is not None:
            with self._turn:
                self._carry_out(desk, *request)

    def _carry_out(self, desk: Any, identity: str, name: str, asked: Mapping[str, Any]) -> None:
        """Carry one request out; whatever it raises becomes an answer, for nobody else would hear of it."""
        try:
            self._send({"id": identity, "is": "end", "content": self._done(desk, identity, name, asked)})
        except NbproofError as error:
            self._fail(identity, type(error).__name__, str(error), error.hint)
        except ImportError as error:
            self._fail(identity, "ExtraMissing", f"{error} (in this kernel)", EXTRA)
        except Exception as error:  # A model is code of its user's, and may raise anything.
            self._fail(identity, type(error).__name__, f"{type(error).__name__}: {error}", "")
        finally:
            self._cancels.pop(identity, None)

    def _done(self, desk: Any, identity: str, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        from ..progress import Watch
        from .work import Job, carry_out

        cancel = self._cancels[identity]
        if cancel.is_set():
            from ...errors import Cancelled

            raise Cancelled(0, 0)

        def tell(kind: str, content: Mapping[str, Any]) -> None:
            self._send({"id": identity, "is": kind, "content": dict(content)})

        return carry_out(name, desk, Job(asked, self._namespace(), tell, Watch(cancel=cancel)))

    def _fail(self, identity: str, kind: str, message: str, hint: str) -> None:
        content = {"error": kind, "message": message[:LONGEST], "hint": hint[:LONGEST]}
        self._send({"id": identity, "is": "failure", "content": content})
