"""A stream of predictions becomes windows: each message once, through the mock cluster that librdkafka brings."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import StreamBroken
from nbproof.monitor.collecting import UNREADABLE, Message, positions, segments
from nbproof.monitor.streaming import Stream, collect
from nbproof.monitor.watching import windows_of

DAY = 86400
BEGIN = datetime(2026, 8, 1, tzinfo=UTC).timestamp()

# A collector that is killed at its n-th write to the disk.
KILLED = """
import os, signal, sys
from pathlib import Path
from nbproof.monitor.streaming import Stream, collect

left, fsync = int(sys.argv[3]), os.fsync

def dying(descriptor):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    fsync(descriptor)

os.fsync = dying
collect(Stream(sys.argv[1], "predictions", batch=7), Path(sys.argv[2]), until_end=True)
"""


class Topic:
    """A topic in a cluster of this process that anybody on this machine can read."""

    def __init__(self) -> None:
        self.producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
        brokers = self.producer.list_topics(timeout=30).brokers.values()
        self.brokers = ",".join(f"{each.host}:{each.port}" for each in brokers)

    def send(self, values: list[bytes], *, day: int = 0, partition: int = 0) -> None:
        for value in values:
            self.producer.produce("predictions", value, partition=partition, timestamp=int((BEGIN + day * DAY) * 1000))
        assert self.producer.flush(30) == 0


@pytest.fixture
def topic() -> Iterator[Topic]:
    made = Topic()
    yield made
    made.producer.flush(5)


def rows(first: int, last: int) -> list[bytes]:
    return [json.dumps({"id": number, "score": number / 1000}).encode() for number in range(first, last)]


def ids(folder: Path) -> list[int]:
    """Every id in every window, in the order of the files."""
    found: list[int] = []
    for path in sorted(folder.glob("2*/*.parquet")):
        found += pq.read_table(path)["id"].to_pylist()
    return found


def test_a_topic_becomes_windows_by_day(topic: Topic, tmp_path: Path) -> None:
    """Read again it brings nothing; what came since is added; a day is a window once a later one has begun."""
    topic.send(rows(0, 20))
    topic.send(rows(20, 25), day=1)
    stream = Stream(topic.brokers, "predictions")

    first = collect(stream, tmp_path, until_end=True)
    again = collect(stream, tmp_path, until_end=True)
    topic.send(rows(25, 30), day=2)
    collect(stream, tmp_path, until_end=True)

    assert (first.rows, again.rows) == (25, 0)
    assert ids(tmp_path) == list(range(30))
    assert [window.name for window in windows_of(tmp_path)] == ["2026-08-01", "2026-08-02"]


def test_what_is_no_row_is_kept_apart(topic: Topic, tmp_path: Path) -> None:
    """It stops nothing, is there with its own bytes, and is not read again."""
    topic.send([b"not JSON", *rows(0, 3), b'{"nested": {"a": 1}}'])
    topic.send([b"[]"], day=1)
    stream = Stream(topic.brokers, "predictions")

    found = collect(stream, tmp_path, until_end=True)

    assert (found.rows, found.unreadable) == (3, 3)
    kept = [path.read_bytes() for path in sorted((tmp_path / UNREADABLE).glob("message-*"))]
    assert kept == [b"not JSON", b'{"nested": {"a": 1}}', b"[]"]
    assert collect(stream, tmp_path, until_end=True).unreadable == 0


@pytest.mark.slow
def test_a_collector_that_is_killed_anywhere_writes_each_message_once(topic: Topic, tmp_path: Path) -> None:
    """Killed at one write after the other until one lives: every row is there, once, and so is what is no row."""
    topic.send([*rows(0, 12), b"no row", *rows(12, 18)])
    topic.send(rows(18, 24), day=1)

    deaths = 0
    while _killed(topic, tmp_path, deaths):
        deaths += 1

    assert deaths >= 3
    assert ids(tmp_path) == list(range(24))
    assert len(list((tmp_path / UNREADABLE).glob("message-*"))) == 1


def _killed(topic: Topic, folder: Path, point: int) -> bool:
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, topic.brokers, folder, str(point)], check=False, capture_output=True, text=True
    )
    assert ran.returncode in (0, -signal.SIGKILL), ran.stderr
    return ran.returncode != 0


def test_a_stream_that_lost_messages_is_refused(topic: Topic, tmp_path: Path) -> None:
    """A folder that has read more than there is belongs to another topic; one that is not there has no messages."""
    topic.send(rows(0, 3))
    (tmp_path / "2026-08-01").mkdir()
    (tmp_path / "2026-08-01/part-0-000000000000-000000000009.parquet").touch()

    with pytest.raises(StreamBroken, match="3 messages, while 10 have been read"):
        collect(Stream(topic.brokers, "predictions"), tmp_path, until_end=True)


messages = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=40)


@settings(deadline=None)
@given(messages, st.sampled_from(["", "2026-08-02", "2026-09-01"]))
def test_segments_hold_each_message_once_and_in_order(sent: list[tuple[int, int]], newest: str) -> None:
    """By partition the offsets follow one another and the windows never go back, not even before the newest one."""
    counts = dict.fromkeys(range(3), 0)
    stream = []
    for partition, day in sent:
        stream.append(Message(partition, counts[partition], BEGIN + day * DAY, b"{}"))
        counts[partition] += 1

    found = segments(stream, newest)

    for partition, count in counts.items():
        of = [each for each in found if each.messages[0].partition == partition]
        assert [message.offset for each in of for message in each.messages] == list(range(count))
        assert [each.window for each in of] == sorted(each.window for each in of)
    assert all(each.window >= newest for each in found)


def test_the_folder_says_what_was_read(tmp_path: Path) -> None:
    """The next offset of each partition, also where the last messages had no row; unfinished files say nothing."""
    for name in ("2026-08-01/part-0-000000000000-000000000004.parquet",
                 f"{UNREADABLE}/part-0-000000000005-000000000006.none",
                 "2026-08-01/part-1-000000000000-000000000000.parquet",
                 "2026-08-01/.part-1-000000000001-000000000009.parquet.0123456789abcdef.unfinished"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert positions(tmp_path) == {0: 7, 1: 1}
