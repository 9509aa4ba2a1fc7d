"""Topics in the mock cluster that librdkafka brings: it lives in this process, and any other can use it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

IN, OUT = "applications", "predictions"


@dataclass(frozen=True)
class Topics:
    """A cluster with a topic of records and one of answers, of a few partitions each."""

    producer: Any
    brokers: str

    @classmethod
    def of_this_process(cls) -> Topics:
        producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
        # Asked about by one who may make topics, they are made.
        for topic in (IN, OUT):
            producer.list_topics(topic, timeout=30)
        found = producer.list_topics(timeout=30).brokers.values()
        return cls(producer, ",".join(f"{each.host}:{each.port}" for each in found))

    def send(self, values: list[bytes], *, keys: list[bytes] | None = None) -> None:
        """Records, two partitions in turn, each acknowledged."""
        for number, value in enumerate(values):
            self.producer.produce(IN, value, key=keys[number] if keys else None, partition=number % 2)
        assert self.producer.flush(30) == 0

    def answers(self) -> list[tuple[str, dict[str, Any]]]:
        """Every answer with its key, as far as there is one now."""
        consumer = Consumer({
            "bootstrap.servers": self.brokers, "group.id": "reader", "enable.partition.eof": True, "log_level": 0,
        })  # fmt: skip
        waiting = set(consumer.list_topics(OUT, timeout=30).topics[OUT].partitions)
        consumer.assign([TopicPartition(OUT, each, OFFSET_BEGINNING) for each in waiting])
        found = []
        deadline = time.monotonic() + 60
        while waiting:
            assert time.monotonic() < deadline
            for message in consumer.consume(1000, timeout=0.5):
                if message.error() is None:
                    found.append((message.key().decode(), json.loads(message.value())))
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF
                    waiting.discard(message.partition())
        consumer.close()
        return found
