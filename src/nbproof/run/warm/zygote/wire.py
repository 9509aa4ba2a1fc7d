"""Messages between a zygote and those who ask it: a length, then JSON, and open files beside it."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

# Changes with every change that makes an older zygote and a newer client misunderstand each other.
PROTOCOL = 1
LONGEST = 1 << 24
_HEAD = struct.Struct("!I")
_MOST_FILES = 8


def send(connection: socket.socket, message: Any, files: Sequence[int] = ()) -> None:
    """Send one message, with open file descriptors if there are any; raises OSError when nobody reads."""
    content = json.dumps(message).encode()
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    # The files travel with the first byte; what does not fit into the buffer follows.
    sent = connection.sendmsg([_HEAD.pack(len(content)) + content], beside)
    rest = memoryview(_HEAD.pack(len(content)) + content)[sent:]
    if rest:
        connection.sendall(rest)


def receive(connection: socket.socket) -> tuple[Any, list[int]]:
    """Return the next message and the files that came with it; (None, []) when the other side has gone.

    Raises ValueError for what is no message of ours; files that came with it are closed.
    """
    head, beside, _, _ = connection.recvmsg(_HEAD.size, socket.CMSG_SPACE(_MOST_FILES * 4))
    files = _files(beside)
    try:
        head += _exactly(connection, _HEAD.size - len(head)) if head else b""
        if len(head) < _HEAD.size:
            raise EOFError
        (length,) = _HEAD.unpack(head)
        if length > LONGEST:
            raise ValueError(f"a message of {length} bytes")
        return json.loads(_exactly(connection, length)), files
    except EOFError:
        close(files)
        return None, []
    except BaseException:
        close(files)
        raise


def close(files: Sequence[int]) -> None:
    """Close file descriptors that were received."""
    for file in files:
        os.close(file)


def _files(beside: Sequence[tuple[int, int, bytes]]) -> list[int]:
    files = array.array("i")
    for level, kind, data in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    for file in files:
        os.set_inheritable(file, False)
    return list(files)


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        part = connection.recv(count - len(content))
        if not part:
            raise EOFError
        content += part
    return bytes(content)
