"""Answers brought to their topic, together with how far was read: in a transaction, or once they are acknowledged."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from ...errors import StreamBroken
from .reading import ANSWER_S, HINT, TRANSACTION_S, Reading, Stream

# How long an answer may wait for its acknowledgement.
DELIVERY_S = 60.0
LOOK_S, LOOKS = 0.2, 25

# The names of answers, and what they say.
Messages = Sequence[tuple[str, bytes]]


class Undone(Exception):
    """Answers were taken back before anybody saw them: what they answer must be read again."""


class Delivery(Protocol):
    """Brings answers to their topic. `words` say what whoever reads them may rely on."""

    words: ClassVar[str]

    def deliver(self, messages: Messages, places: list[Any], reading: Reading) -> None:
        """Return once the brokers have both, answers and places. Raises `Undone` where they have neither."""


class Acknowledged:
    """How far was read moves once the answers are acknowledged; what is read again has the same names."""

    words: ClassVar[str] = "each at least once, always under one name"

    def __init__(self, stream: Stream) -> None:
        self._producer, self._output = _producer(stream), stream.output

    def deliver(self, messages: Messages, places: list[Any], reading: Reading) -> None:
        problems: list[Any] = []
        for name, value in messages:
            self._producer.produce(self._output, value, key=name, on_delivery=lambda error, _: problems.append(error))
        # It ends by itself: what is not acknowledged in time is told as a problem.
        self._producer.flush()
        for problem in filter(None, problems):
            raise StreamBroken(f"the topic `{self._output}`", str(problem), "answers that are taken", hint=HINT)
        reading.commit(places)


class Transactional:
    """Answers and how far was read become visible together."""

    words: ClassVar[str] = "each once, in transactions"

    def __init__(self, stream: Stream) -> None:
        # A name of its own for each process: none of a group is the successor of another that lives.
        self._producer = _producer(stream, {
            "transactional.id": f"{stream.group}-{secrets.token_hex(8)}",
            "transaction.timeout.ms": int(TRANSACTION_S * 1000),
        })  # fmt: skip
        self._producer.init_transactions(ANSWER_S)
        self._output, self._is_proven = stream.output, False

    def deliver(self, messages: Messages, places: list[Any], reading: Reading) -> None:
        """Raises `NotKept`, too, where the brokers have said yes and forgotten the places."""
        from confluent_kafka import KafkaException

        self._producer.begin_transaction()
        try:
            for name, value in messages:
                self._producer.produce(self._output, value, key=name)
            self._producer.send_offsets_to_transaction(places, reading.member, ANSWER_S)
            self._end()
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            self._producer.abort_transaction(DELIVERY_S)
            raise Undone from None
        if not self._is_proven:
            self._is_proven = _is_kept(places, reading)
        if not self._is_proven:
            raise NotKept

    def _end(self) -> None:
        from confluent_kafka import KafkaException

        until = time.monotonic() + DELIVERY_S
        while True:
            try:
                self._producer.commit_transaction(ANSWER_S)
                return
            except KafkaException as error:
                # Asked again, the brokers say whether it came through.
                if not error.args[0].retriable() or time.monotonic() > until:
                    raise


class NotKept(Exception):
    """The brokers take transactions and do not carry them out: the answers are there, and the places are not."""


def begun(stream: Stream) -> Delivery:
    """Transactions where the brokers have them, else acknowledged answers."""
    from confluent_kafka import KafkaError, KafkaException

    if not stream.is_transactional:
        return Acknowledged(stream)
    try:
        return Transactional(stream)
    except KafkaException as error:
        if error.args[0].code() not in (KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION):
            raise
        return Acknowledged(stream)


def delivered(delivery: Delivery, messages: Messages, places: list[Any], reading: Reading, stream: Stream) -> Delivery:
    """Deliver answers, and return what delivers the next ones. Raises `Undone`."""
    try:
        delivery.deliver(messages, places, reading)
        return delivery
    except NotKept:
        reading.commit(places)
        return Acknowledged(stream)


def _is_kept(places: list[Any], reading: Reading) -> bool:
    """Whether the places of a transaction are there, a moment after its end."""
    for _ in range(LOOKS):
        if reading.is_read(places):
            return True
        time.sleep(LOOK_S)
    return False


def _producer(stream: Stream, more: dict[str, Any] | None = None) -> Any:
    from confluent_kafka import Producer

    return Producer({
        "bootstrap.servers": stream.brokers, "enable.idempotence": True, "linger.ms": 0,
        "delivery.timeout.ms": int(TRANSACTION_S * 1000), **(more or {}),
    })  # fmt: skip
