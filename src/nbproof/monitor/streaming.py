"""A topic of predictions, read into a folder of windows: the broker is asked here, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StreamBroken
from ..extras import require
from .collecting import Message, newest_window, positions, segments, write

ANSWER_S, POLL_S = 15.0, 1.0


@dataclass(frozen=True, slots=True)
class Stream:
    """A topic of the brokers at `brokers` (HOST:PORT,…); `batch` messages at most become segments at a time."""

    brokers: str
    topic: str
    batch: int = 10_000
    group: str = "nbproof-monitor"


@dataclass(frozen=True, slots=True)
class Collected:
    """What one batch has brought: rows that were written, and messages that held none."""

    rows: int
    unreadable: int


def collect(
    stream: Stream, folder: Path, *, until_end: bool, tell: Callable[[Collected], None] = lambda batch: None
) -> Collected:
    """Read the topic into windows, from where the folder says; with `until_end` up to what is there now.

    Raises `StreamBroken` when no broker answers, when messages were removed before they were read, or when the folder
    knows of messages that the topic does not have.
    """
    rows = unreadable = 0
    with _consumer(stream, folder) as (consumer, places):
        waiting = set(places)
        while True:
            batch = _batch(consumer, stream, places, waiting)
            for segment in segments(batch, newest_window(folder)):
                one, other = write(folder, segment)
                rows, unreadable = rows + one, unreadable + other
            if batch:
                # Only for whoever watches the lag: what has been read stands in the folder.
                _commit(consumer, stream, batch)
                tell(Collected(rows, unreadable))
            if until_end and not waiting:
                return Collected(rows, unreadable)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where reading a partition begins, and where the broker says that it ends."""

    begin: int
    high: int


@contextmanager
def _consumer(stream: Stream, folder: Path) -> Iterator[tuple[Any, dict[int, _Place]]]:
    require("confluent_kafka")
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer({
        "bootstrap.servers": stream.brokers, "group.id": stream.group, "enable.auto.commit": False,
        "auto.offset.reset": "error", "allow.auto.create.topics": False, "enable.partition.eof": True,
    })  # fmt: skip
    try:
        found = consumer.list_topics(stream.topic, timeout=ANSWER_S).topics[stream.topic]
        if found.error is not None:
            raise StreamBroken(f"the topic `{stream.topic}`", str(found.error), "a topic that is there")
        known, places = positions(folder), {}
        for partition in sorted(found.partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(stream.topic, partition), timeout=ANSWER_S)
            begin = known.get(partition, low)
            if begin < low:
                raise StreamBroken(_where(stream, partition), f"messages {begin} to {low - 1} removed before they were "
                                   "read", "all of them")  # fmt: skip
            places[partition] = _Place(begin, high)
        consumer.assign([TopicPartition(stream.topic, partition, place.begin) for partition, place in places.items()])
        yield consumer, places
    except KafkaException as error:
        raise StreamBroken(f"the brokers at {stream.brokers}", str(error.args[0]), "an answer") from None
    finally:
        consumer.close()


def _where(stream: Stream, partition: int) -> str:
    return f"partition {partition} of `{stream.topic}`"


def _batch(consumer: Any, stream: Stream, places: Mapping[int, _Place], waiting: set[int]) -> list[Message]:
    """What came within a moment, at most a batch; a partition whose end was reached is `waiting` no more.

    The end is what a reader meets. What a broker says when it is asked is less in some: the first message of its last
    batch.
    """
    from confluent_kafka import KafkaError

    found: list[Message] = []
    end = time.monotonic() + POLL_S
    while len(found) < stream.batch and (left := end - time.monotonic()) > 0:
        for message in consumer.consume(stream.batch - len(found), timeout=left):
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                waiting.discard(message.partition())
                continue
            if error is not None and error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                place = places[message.partition()]
                raise StreamBroken(
                    _where(stream, message.partition()), f"{place.high} messages, while {place.begin} have been read",
                    "the topic that was read before",
                )  # fmt: skip
            if error is not None:
                raise StreamBroken(f"the topic `{stream.topic}`", str(error), "messages")
            _, at = message.timestamp()
            found.append(Message(message.partition(), message.offset(), at / 1000, message.value() or b""))
    return found


def _commit(consumer: Any, stream: Stream, batch: list[Message]) -> None:
    from confluent_kafka import TopicPartition

    last = {message.partition: message.offset + 1 for message in batch}
    consumer.commit(offsets=[TopicPartition(stream.topic, *each) for each in last.items()], asynchronous=False)
