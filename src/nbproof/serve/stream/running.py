"""The stream at work: records are read, answered while the model may answer, written down, and delivered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...errors import AnswersEnded
from ..log import Answered, PredictionLog
from ..rows import Reader
from ..stage import Loaded, NotReady, Stage
from .delivery import Undone, begun, delivered
from .reading import Stream, joined
from .records import Answer, Record, Scored, answered, written


@dataclass(frozen=True, slots=True)
class Counted:
    """How many records were answered with a score, and how many with what is wrong with them."""

    scored: int = 0
    unscored: int = 0

    def and_those(self, answers: Sequence[Answer]) -> Counted:
        """These and further answers."""
        scored = sum(isinstance(each, Scored) for each in answers)
        return Counted(self.scored + scored, self.unscored + len(answers) - scored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a stream is answered: with `until_end` what is there now, else until `is_stopped` says so.

    `began` hears before the first record how answers are delivered, in words, and again when that changes; `tell` what
    was done until now, after each batch.
    """

    log: PredictionLog | None = None
    until_end: bool = False
    is_stopped: Callable[[], bool] = lambda: False
    began: Callable[[str], None] = lambda delivery: None
    tell: Callable[[Counted], None] = lambda counted: None


def answer(stream: Stream, stage: Stage, reader: Reader, ways: Ways) -> Counted:
    """Answer the records of a stream with the model of a stage.

    Raises `AnswersEnded` as soon as that may answer no more, and `StreamBroken` where the brokers do not answer, or
    records were removed before they were read. What was not answered then is read again.
    """
    return asyncio.run(_answered(stream, stage, reader, ways))


async def _answered(stream: Stream, stage: Stage, reader: Reader, ways: Ways) -> Counted:
    counted = Counted()
    if ways.log is not None:
        ways.log.start()
    try:
        with joined(stream) as reading:
            delivery = begun(stream)
            ways.began(delivery.words)
            while not ways.is_stopped() and not (ways.until_end and reading.is_at_end):
                records = reading.batch()
                # Without records, too: whoever may not answer shall not look as if it waited for them.
                loaded, answers = await _of_batch(stage, reader, records, ways.log)
                if not answers:
                    continue
                messages = [(each.record.id, written(each, loaded)) for each in answers]
                before = delivery
                try:
                    delivery = delivered(delivery, messages, reading.after(records), reading, stream)
                except Undone:
                    reading.begin_again()
                    continue
                if delivery is not before:
                    ways.began(delivery.words)
                counted = counted.and_those(answers)
                ways.tell(counted)
    finally:
        if ways.log is not None:
            await ways.log.stop()
    return counted


async def _of_batch(
    stage: Stage, reader: Reader, records: Sequence[Record], log: PredictionLog | None
) -> tuple[Loaded, list[Answer]]:
    """The answers to some records, written down, while the model may answer. Raises `AnswersEnded`."""
    try:
        loaded = stage.current()
        answers = answered(loaded, reader, records)
        if log is not None:
            await asyncio.gather(*(log.keep(_kept(each, loaded)) for each in answers if isinstance(each, Scored)))
        # Its approval may have been taken back while the model worked.
        stage.current()
    except NotReady as error:
        raise AnswersEnded(stage.source, str(error)) from None
    return loaded, answers


def _kept(scored: Scored, loaded: Loaded) -> Answered:
    manifest = loaded.package.manifest
    return Answered(
        scored.record.request, time.time(), manifest.name, manifest.version, loaded.digest.hex, scored.table,
        [scored.score],
    )  # fmt: skip
