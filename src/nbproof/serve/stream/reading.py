"""The records of a topic, from where a group of readers has stopped: partitions are shared, and change hands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...errors import AskedWrongly, StreamBroken
from ...extras import require
from .records import Record

ANSWER_S, POLL_S = 15.0, 1.0
# A transaction that its process does not live to end keeps the place of reading closed for so long.
TRANSACTION_S = 30.0
HINT = "nbproof serve-stream --help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Records of `topic` become answers in `output`, through the brokers at `brokers` (HOST:PORT,…).

    Readers of one `group` share the partitions between them; the brokers give those of a reader that they have not
    heard of for `session_s` to the others. At most `batch` records are answered at a time. Without `is_transactional`
    no transactions are tried.
    """

    brokers: str
    topic: str
    output: str
    group: str
    batch: int = 1000
    is_transactional: bool = True
    session_s: float = 10.0

    def __post_init__(self) -> None:
        if self.topic == self.output:
            raise AskedWrongly(f"found the topic `{self.topic}` for records and answers; expected two", hint=HINT)


class Reading:
    """One reader of a stream. What it does with brokers raises `KafkaException`, until `joined` tells it."""

    def __init__(self, stream: Stream, consumer: Any) -> None:
        self._stream, self._consumer = stream, consumer
        # Partitions whose end was not reached yet; None while this reader has not been given any.
        self._waiting: set[int] | None = None

    @property
    def is_at_end(self) -> bool:
        """Whether everything was read that the partitions of this reader hold."""
        return self._waiting is not None and not self._waiting

    @property
    def member(self) -> Any:
        """Who reads, as the brokers know it."""
        return self._consumer.consumer_group_metadata()

    def batch(self) -> list[Record]:
        """What is there, at most a batch; nothing where nothing came within a moment. Raises `StreamBroken`."""
        from confluent_kafka import KafkaError

        found: list[Record] = []
        for message in self._messages():
            error = message.error()
            if error is None:
                place = message.topic(), message.partition(), message.offset()
                found.append(Record(*place, message.key(), message.value()))
            elif error.code() == KafkaError._PARTITION_EOF:
                (self._waiting or set()).discard(message.partition())
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise self._lost(message.partition())
            elif error.code() != KafkaError._MAX_POLL_EXCEEDED:
                raise StreamBroken(f"the topic `{self._stream.topic}`", str(error), "records", hint=HINT)
        return found

    def after(self, records: Iterable[Record]) -> list[Any]:
        """The places up to which the partitions are read once these records are answered."""
        from confluent_kafka import TopicPartition

        last = {record.partition: record.offset + 1 for record in records}
        return [TopicPartition(self._stream.topic, *each) for each in last.items()]

    def commit(self, places: list[Any]) -> None:
        """Say that partitions are read up to there."""
        from confluent_kafka import KafkaError, KafkaException

        gone = (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS)
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            # Whoever has the partitions now reads these records again, and answers them under the same names.
            if error.args[0].code() not in gone:
                raise

    def is_read(self, places: list[Any]) -> bool:
        """Whether the brokers know that partitions are read up to there."""
        found = self._consumer.committed(places, timeout=ANSWER_S)
        return all(known.offset >= place.offset for known, place in zip(found, places, strict=True))

    def begin_again(self) -> None:
        """Read again what was read since the last place that the brokers know."""
        for each in self._placed(self._consumer.assignment()):
            self._consumer.seek(each)

    def given(self, consumer: Any, partitions: list[Any]) -> None:
        """Take partitions over, each where it was left."""
        placed = self._placed(partitions)
        self._waiting = {each.partition for each in placed}
        consumer.assign(placed)

    def taken(self, consumer: Any, partitions: list[Any]) -> None:
        """Give partitions up: nothing of theirs is under way, since a batch is answered as a whole."""
        self._waiting = None
        consumer.unassign()

    def _messages(self) -> list[Any]:
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        more = self._stream.batch - 1
        return [first, *(self._consumer.consume(more, timeout=0) if more else ())]

    def _placed(self, partitions: list[Any]) -> list[Any]:
        """Partitions with where reading goes on: after what was answered, or at the first record that there is."""
        from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

        # Whoever read here before may have died within a transaction.
        found = self._consumer.committed(partitions, timeout=2 * TRANSACTION_S) if partitions else []
        for each in found:
            if each.error is not None:
                raise KafkaException(each.error)
        return [
            TopicPartition(each.topic, each.partition, each.offset if each.offset >= 0 else OFFSET_BEGINNING)
            for each in found
        ]

    def _lost(self, partition: int) -> StreamBroken:
        from confluent_kafka import TopicPartition

        place = TopicPartition(self._stream.topic, partition)
        (known,) = self._consumer.committed([place], timeout=ANSWER_S)
        low, high = self._consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        found = f"{high} records, while {known.offset} have been read"
        if known.offset < low:
            found = f"records {known.offset} to {low - 1} removed before they were read"
        return StreamBroken(
            f"partition {partition} of `{self._stream.topic}`", found, "the topic that was read before, whole",
            hint="begin at what is there now, under another name: --group NAME",
        )  # fmt: skip


@contextmanager
def joined(stream: Stream) -> Iterator[Reading]:
    """A reader that has joined its group, and leaves it at the end.

    Whatever the brokers do not answer within the block is raised as `StreamBroken`.
    """
    require("confluent_kafka")
    from confluent_kafka import Consumer, KafkaException

    consumer = Consumer({
        "bootstrap.servers": stream.brokers, "group.id": stream.group, "enable.auto.commit": False,
        "auto.offset.reset": "error", "allow.auto.create.topics": False, "enable.partition.eof": True,
        "isolation.level": "read_committed", "session.timeout.ms": int(stream.session_s * 1000),
        "heartbeat.interval.ms": int(stream.session_s * 300),
    })  # fmt: skip
    try:
        for topic in (stream.topic, stream.output):
            found = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
            if found.error is not None:
                raise StreamBroken(f"the topic `{topic}`", str(found.error), "a topic that is there", hint=HINT)
        reading = Reading(stream, consumer)
        consumer.subscribe([stream.topic], on_assign=reading.given, on_revoke=reading.taken)
        yield reading
    except KafkaException as error:
        raise StreamBroken(f"the brokers at {stream.brokers}", str(error.args[0]), "an answer", hint=HINT) from None
    finally:
        consumer.close()
