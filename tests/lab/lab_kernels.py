"""Kernels of a real JupyterLab server, as a page uses them: sessions by REST, cells by the websocket."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import websocket
from lab_server import ANSWER_S, Lab


def start(lab: Lab, spec: str, path: str = "untitled.ipynb", kind: str = "notebook") -> str:
    """Start a session as JupyterLab does; return the id of its kernel."""
    wanted = {"path": path, "name": path.rpartition("/")[2], "type": kind, "kernel": {"name": spec}}
    return str(lab.ask("sessions", wanted)["kernel"]["id"])


@contextlib.contextmanager
def started(lab: Lab, spec: str, path: str | None = None) -> Iterator[str]:
    """A session that is over afterwards; its kernel's id."""
    kernel_id = start(lab, spec, path or f"{uuid.uuid4()}.ipynb")
    try:
        yield kernel_id
    finally:
        stop_kernel(lab, kernel_id)


def stop_kernel(lab: Lab, kernel_id: str) -> None:
    """End the session of a kernel, if it has not ended yet."""
    for session in lab.ask("sessions"):
        if session["kernel"]["id"] == kernel_id:
            # Its kernel goes with it, and any other session of that kernel.
            lab.ask(f"sessions/{session['id']}", method="DELETE")
            return


@contextlib.contextmanager
def channels(lab: Lab, kernel_id: str) -> Iterator[websocket.WebSocket]:
    address = lab.address.replace("http", "ws", 1)
    header = [f"Authorization: token {lab.token}"]
    connection = websocket.create_connection(
        f"{address}/api/kernels/{kernel_id}/channels", header=header, timeout=ANSWER_S
    )
    try:
        yield connection
    finally:
        connection.close()


def send(connection: websocket.WebSocket, cell: str, *, stop_on_error: bool = True, **metadata: Any) -> str:
    """Ask for a cell; return the id of the question."""
    question = uuid.uuid4().hex
    header = {"msg_id": question, "msg_type": "execute_request", "session": "test", "username": "", "version": "5.3"}
    content = {"code": cell, "silent": False, "store_history": True, "allow_stdin": False}
    content["stop_on_error"] = stop_on_error
    message = {"header": header, "parent_header": {}, "metadata": metadata, "content": content, "channel": "shell"}
    connection.send(json.dumps(message))
    return question


def answers(connection: websocket.WebSocket, question: str) -> Iterator[dict[str, Any]]:
    """What is said to a question, until the kernel is idle again."""
    for message in messages(connection):
        if message["parent_header"].get("msg_id") != question or message["channel"] != "iopub":
            continue
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return
        yield message


def messages(connection: websocket.WebSocket) -> Iterator[dict[str, Any]]:
    """All that is said to a page.

    Raises TimeoutError where it goes on for too long; a server's pings alone would keep the connection alive for ever.
    """
    deadline = time.monotonic() + ANSWER_S
    while True:
        kind, said = connection.recv_data(control_frame=True)
        if time.monotonic() > deadline:
            raise TimeoutError(f"no answer within {ANSWER_S} s")
        if kind == websocket.ABNF.OPCODE_CLOSE:
            raise websocket.WebSocketConnectionClosedException("the server has closed the connection")
        if kind == websocket.ABNF.OPCODE_TEXT:
            yield json.loads(said)


def outcome(lab: Lab, kernel_id: str, cell: str, **metadata: Any) -> str:
    """Run a cell; return how it ended, by the kernel's reply.

    A reply finds its page always. What is published may be over before the page has subscribed to it: the server waits
    for that, but not with a kernel that was busy when it died, which it takes to be busy still.
    """
    with channels(lab, kernel_id) as connection:
        question = send(connection, cell, **metadata)
        for message in messages(connection):
            if message["parent_header"].get("msg_id") == question and message["channel"] == "shell":
                return str(message["content"]["status"])
    raise AssertionError("messages end with an error only")


def run(lab: Lab, kernel_id: str, cell: str, **metadata: Any) -> str:
    """Run a cell; return what it printed, or its error."""
    with channels(lab, kernel_id) as connection:
        return run_in(connection, cell, **metadata)


def run_in(connection: websocket.WebSocket, cell: str, **metadata: Any) -> str:
    """Run a cell over an open connection; return what it printed, or its error."""
    said = ""
    for message in answers(connection, send(connection, cell, **metadata)):
        content = message["content"]
        said += content.get("text", "") if message["msg_type"] == "stream" else content.get("ename", "")
    return said
