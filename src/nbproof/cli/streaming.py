"""`nbproof serve-stream`: an approved model answers the records of one Kafka topic in another."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import as_json, print_json
from .serving import project_of

if TYPE_CHECKING:
    from ..serve.stream.running import Counted

# A line about what was done, so often.
EVERY_S = 10.0


@click.command("serve-stream")
@click.argument("model", metavar="MODEL")
@click.argument("topic", metavar="TOPIC")
@click.argument("output", metavar="OUTPUT")
@click.option("--brokers", required=True, metavar="HOST:PORT,…", help="Where both topics are.")
@click.option("--group", metavar="NAME",
              help="Who shares the records; nbproof-MODEL-OUTPUT when left out.")  # fmt: skip
@click.option("--project", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Whose approvals count; that of this folder when left out.")  # fmt: skip
@click.option("--follow", is_flag=True, help="Load by itself what takes the model's place, once it is approved.")
@click.option("--log", "log", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep every score with its row, on the disk before it is sent.")  # fmt: skip
@click.option("--log-share", type=click.FloatRange(min=0, max=1, min_open=True), default=1.0, show_default=True,
              help="Which part of the requests is kept.")  # fmt: skip
@click.option("--batch-rows", type=click.IntRange(1, 10_000), default=1000, show_default=True,
              help="Records at a time.")  # fmt: skip
@click.option("--check", "check_s", type=click.FloatRange(min=0.1), default=5.0, show_default=True, metavar="SECONDS",
              help="How often the approval is verified again.")  # fmt: skip
@click.option("--no-transactions", is_flag=True, help="Try none; answers may then be seen twice, under one name.")
@click.option("--until-end", is_flag=True, help="Answer what is there now, and end.")
@click.option("--unsafe-draft", metavar="WHY", help="Answer with what nobody has approved; the ledger says why.")
@as_json
def serve_stream(
    model: str, topic: str, output: str, brokers: str, group: str | None, project: Path | None, follow: bool,
    log: Path | None, log_share: float, batch_rows: int, check_s: float, no_transactions: bool, until_end: bool,
    unsafe_draft: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Answer the records of a Kafka topic with an approved model.

    MODEL is what nbproof serve takes. Each record of TOPIC is a JSON object with the fields of the model; its answer
    in OUTPUT has the score, or what is wrong with the record, under a name made of topic, partition and offset. The
    command ends, with 3, as soon as the approval does; started again it goes on after the last answer.

    \b
    Example:
      nbproof serve-stream models:/credit-default@champion applications predictions --brokers 127.0.0.1:9092
    """
    from ..review.gate import UnsafeBypass
    from ..serve import telling
    from ..serve.admission import ByApproval
    from ..serve.log import PredictionLog
    from ..serve.package import of_contents
    from ..serve.rows import Reader
    from ..serve.source import find
    from ..serve.stage import Stage
    from ..serve.stream.reading import Stream
    from ..serve.stream.running import Ways, answer

    if unsafe_draft is not None and not unsafe_draft.strip():
        raise click.UsageError("--unsafe-draft: found no reason, expected why nobody needs to approve it")
    root, by, registry = project_of(project)
    unsafe = None if unsafe_draft is None else UnsafeBypass(by, unsafe_draft)
    source = find(model, uri=registry)
    package = of_contents(source.contents())
    name = package.manifest.name
    stream = Stream(
        brokers=brokers, topic=topic, output=output, group=group or f"nbproof-{name}-{output}", batch=batch_rows,
        is_transactional=not no_transactions,
    )  # fmt: skip
    stage = Stage(source, ByApproval(root, unsafe), follow=follow, explains=False, check_s=check_s, tell=telling.tell)
    approval = stage.load(package).grant.sentence
    said: dict[str, Any] = {"model": name, "version": package.manifest.version, "approval": approval}

    def began(delivery: str) -> None:
        said["delivery"] = delivery
        if not as_json:
            click.echo(f"answering {topic} in {output} with {name}, {delivery}; {approval}")

    stage.watch()
    try:
        with _told_to_stop() as is_stopped:
            found = answer(stream, stage, Reader(package.signature, batch_rows), Ways(
                log=None if log is None else PredictionLog(log, package.signature, share=log_share),
                until_end=until_end, is_stopped=is_stopped, began=began, tell=_teller(is_silent=as_json),
            ))  # fmt: skip
    finally:
        stage.stop()
    if as_json:
        print_json({**said, "scored": found.scored, "unscored": found.unscored})
    else:
        click.echo(_words(found))


def _words(counted: Counted) -> str:
    return f"{counted.scored} records are scored, {counted.unscored} could not be"


def _teller(*, is_silent: bool) -> Callable[[Counted], None]:
    """Tells what was done, now and then."""
    told = time.monotonic()

    def tell(counted: Counted) -> None:
        nonlocal told
        if not is_silent and time.monotonic() - told >= EVERY_S:
            told = time.monotonic()
            click.echo(_words(counted))

    return tell


@contextmanager
def _told_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether somebody wants an end: what is under way is finished then."""
    heard: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda number, _: heard.append(number)) for number in numbers}
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
