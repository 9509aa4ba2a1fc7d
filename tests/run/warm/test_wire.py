"""Messages arrive whole, in order, with their files, or not at all."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.run.warm.zygote import wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@given(messages=st.lists(JSON, max_size=5))
def test_what_is_sent_is_received(messages: list[object]) -> None:
    """In order, each once."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for message in messages:
            wire.send(ours, message)

        assert [wire.receive(theirs)[0] for _ in messages] == messages


def test_a_message_larger_than_any_buffer_arrives(pair: tuple[socket.socket, socket.socket]) -> None:
    """An environment may be large."""
    ours, theirs = pair
    message = {"X": "x" * 3_000_000}
    sender = threading.Thread(target=wire.send, args=(ours, message))
    sender.start()

    received, _ = wire.receive(theirs)
    sender.join()

    assert received == message


def test_files_come_with_their_message(pair: tuple[socket.socket, socket.socket]) -> None:
    """They are the same files, and no child process inherits them."""
    ours, theirs = pair
    reading, writing = os.pipe()
    wire.send(ours, {"first": 1}, [writing])
    wire.send(ours, {"second": 2})
    os.close(writing)

    message, (received,) = wire.receive(theirs)
    os.write(received, b"through")

    assert message == {"first": 1}
    assert os.read(reading, 100) == b"through"
    assert not os.get_inheritable(received)
    assert wire.receive(theirs) == ({"second": 2}, [])
    os.close(received)
    os.close(reading)


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\0\0\x05", b"\0\0\0\x05tru"])
def test_a_message_that_is_cut_short_is_none(pair: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    """The other side died while it was speaking."""
    ours, theirs = pair
    ours.sendall(sent)
    ours.close()

    assert wire.receive(theirs) == (None, [])


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\0\0\0\x03abc"])
def test_what_is_no_message_is_refused(pair: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    """Too long, or no JSON."""
    ours, theirs = pair
    ours.sendall(sent)

    with pytest.raises(ValueError):
        wire.receive(theirs)
