"""A topic is answered in another, through librdkafka's mock cluster: each record once, whatever is killed meanwhile."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from mock_topics import IN, OUT, Topics

from nbproof.errors import AskedWrongly, StreamBroken
from nbproof.serve.admission import Unasked
from nbproof.serve.log import PredictionLog
from nbproof.serve.log_reading import read_log
from nbproof.serve.package import read
from nbproof.serve.rows import Reader
from nbproof.serve.source import Folder
from nbproof.serve.stage import Stage
from nbproof.serve.stream.delivery import Acknowledged, Transactional
from nbproof.serve.stream.reading import Stream
from nbproof.serve.stream.running import Counted, Ways, answer

# A reader in a process of its own, which nobody has to wait long for once it is killed.
READER = """
import sys
from pathlib import Path
from nbproof.serve.admission import Unasked
from nbproof.serve.package import read
from nbproof.serve.rows import Reader
from nbproof.serve.source import Folder
from nbproof.serve.stage import Stage
from nbproof.serve.stream.reading import Stream
from nbproof.serve.stream.running import Ways, answer

brokers, folder = sys.argv[1], Path(sys.argv[2])
stage = Stage(Folder(folder), Unasked(), explains=False)
stage.load()
stream = Stream(brokers=brokers, topic="applications", output="predictions", group="g", batch=7,
                is_transactional=False, session_s=6.0)
ways = Ways(until_end=True, tell=lambda counted: print(counted, flush=True))
answer(stream, stage, Reader(read(folder).signature, 100), ways)
"""


@pytest.fixture
def topics() -> Iterator[Topics]:
    made = Topics.of_this_process()
    yield made
    made.producer.flush(5)


def stream(topics: Topics, **more: Any) -> Stream:
    return Stream(brokers=topics.brokers, topic=IN, output=OUT, group="g", session_s=6.0, **more)


def run(topics: Topics, folder: Path, *, log: PredictionLog | None = None, **more: Any) -> tuple[Counted, list[str]]:
    """Answer what is there now; what is told of the delivery comes back, too."""
    stage = Stage(Folder(folder), Unasked(), explains=False)
    stage.load()
    told: list[str] = []
    ways = Ways(until_end=True, began=told.append, log=log)
    return answer(stream(topics, **more), stage, Reader(read(folder).signature, 100), ways), told


def rows(first: int, last: int) -> list[bytes]:
    return [
        json.dumps({"age": 18 + at % 60, "status": at % 3, "ratio": at / 100}).encode() for at in range(first, last)
    ]


def test_a_topic_is_answered_in_another(topics: Topics, package_folder: Path, tmp_path: Path) -> None:
    """Each record has one answer with the model's score; what came since is answered next, and the log has it all.

    The mock cluster takes transactions and forgets the places in them, which is found out: nothing is answered twice.
    """
    topics.send([*rows(0, 30), b"no row"], keys=[b"case-%d" % at for at in range(31)])
    signature = read(package_folder).signature

    first, told = run(topics, package_folder, log=PredictionLog(tmp_path / "log", signature))
    again, _ = run(topics, package_folder, is_transactional=False)
    topics.send(rows(30, 40))
    since, _ = run(topics, package_folder, is_transactional=False)

    assert (first, again, since) == (Counted(30, 1), Counted(0, 0), Counted(10, 0))
    assert told == [Transactional.words, Acknowledged.words]
    found = topics.answers()
    assert sorted(key for key, _ in found) == sorted(
        [f"{IN}-0-{at}" for at in range(21)] + [f"{IN}-1-{at}" for at in range(20)]
    )
    assert all(key == value["id"] for key, value in found)
    model = read(package_folder).load()
    scores = {value["request"]: value["score"] for _, value in found if "score" in value}
    assert [scores[f"case-{at}"] for at in range(30)] == model.score([json.loads(each) for each in rows(0, 30)])
    assert [value["request"] for _, value in found if "problems" in value] == ["case-30"]
    logged = read_log(tmp_path / "log")
    assert dict(zip(logged["request"], logged["score"], strict=True)) == {
        f"case-{at}": scores[f"case-{at}"] for at in range(30)
    }


@pytest.mark.slow
def test_a_reader_that_is_killed_at_any_moment_loses_nothing(topics: Topics, package_folder: Path) -> None:
    """Killed again and again, then left to end: every record has one name, and all answers under it are equal."""
    count = 1400
    topics.send([b"no row" if at % 100 == 0 else each for at, each in enumerate(rows(0, count))])
    command = [sys.executable, "-c", READER, topics.brokers, str(package_folder)]
    moments = random.Random(7)

    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:
            assert reader.stdout is not None
            for _ in range(moments.randint(1, 40)):
                assert reader.stdout.readline()
            time.sleep(moments.uniform(0, 0.01))
            reader.send_signal(signal.SIGKILL)
            assert reader.wait() == -signal.SIGKILL
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    assert ended.returncode == 0, ended.stderr
    values: dict[str, set[str]] = {}
    for key, value in topics.answers():
        values.setdefault(key, set()).add(json.dumps(value, sort_keys=True))
    assert sorted(values) == sorted(f"{IN}-{part}-{at}" for part in range(2) for at in range(count // 2))
    assert {len(each) for each in values.values()} == {1}
    assert sum("problems" in each.pop() for each in values.values()) == count // 100


def test_records_that_were_lost_end_it(topics: Topics, package_folder: Path) -> None:
    """A group that has read more than there is belongs to another topic; nothing is begun anew by itself."""
    topics.send(rows(0, 6))
    consumer = Consumer({"bootstrap.servers": topics.brokers, "group.id": "g"})
    consumer.commit(offsets=[TopicPartition(IN, 0, 10)], asynchronous=False)
    consumer.close()

    with pytest.raises(StreamBroken, match="3 records, while 10 have been read"):
        run(topics, package_folder)


def test_a_topic_that_is_not_there_is_not_made(topics: Topics, package_folder: Path) -> None:
    """A name that somebody has misspelt would be read for ever, and nobody would answer anything."""
    stage = Stage(Folder(package_folder), Unasked(), explains=False)
    misspelt = Stream(brokers=topics.brokers, topic="aplications", output=OUT, group="g")

    with pytest.raises(StreamBroken, match=r"`aplications`: found .*Unknown topic"):
        answer(misspelt, stage, Reader(read(package_folder).signature, 100), Ways())


def test_answers_do_not_become_records(topics: Topics) -> None:
    """One topic for both would answer its own answers without end."""
    with pytest.raises(AskedWrongly, match="expected two"):
        Stream(brokers=topics.brokers, topic=IN, output=IN, group="g")
