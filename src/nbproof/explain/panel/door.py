"""Where a page comes in: a comm target of the kernel, registered when a page asks for it and at no other time."""

from __future__ import annotations

import threading
from typing import Any

from .agent import Agent

TARGET = "nbproof.explain"
# What page and kernel must agree upon; a page of another version says so instead of guessing.
VERSION = 1


def open_door() -> int:
    """Register the comm target in the kernel that this runs in, once, and return the version of what is spoken."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    manager = shell.kernel.comm_manager
    if TARGET not in manager.targets:
        turn = threading.Lock()
        manager.register_target(TARGET, lambda comm, _: _let_in(comm, shell, turn))
    return VERSION


def _let_in(comm: Any, shell: Any, turn: threading.Lock) -> None:
    agent = Agent(lambda: _user_names(shell), comm.send, turn)
    comm.on_msg(lambda message: agent.hear(message["content"]["data"]))
    comm.on_close(lambda _: agent.close())


def _user_names(shell: Any) -> dict[str, Any]:
    """The user's names, without those that IPython put there."""
    while True:
        try:
            hidden = shell.user_ns_hidden
            return {
                name: value for name, value in shell.user_ns.items() if name not in hidden or hidden[name] is not value
            }
        except RuntimeError:
            # A cell added a name meanwhile.
            continue
