"""Whether a tick is lost or doubled: daemons beside APScheduler for two minutes each, and simulated years.

    python -m benchmarks.schedules                  # writes results/schedules.json
    python -m benchmarks.schedules --ticks 30 --years 9

Two daemons share one store and tick every second. After a third of the time one is killed, after two thirds another
takes its place. The peer is APScheduler 3 with its durable store, in the same run and on the same machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / "schedule"), str(TESTS)]

from daemons import two_with_one_killed  # noqa: E402
from year import lived  # noqa: E402

from nbproof.schedule.definition import Schedule, Trigger, Work  # noqa: E402
from nbproof.schedule.policy import Policy  # noqa: E402

from .machine import machine  # noqa: E402

RESULT = Path(__file__).parent / "results" / "schedules.json"
WORK = Work(kind="pipeline", path="p")
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
TRIGGERS = (
    Trigger(cron="30 2 * * sun", timezone="Europe/Berlin"),
    Trigger(cron="15 1,2 * * sun", timezone="America/New_York"),
    Trigger(cron="45 1 * * sun", timezone="Australia/Lord_Howe"),
    Trigger(cron="0 6 1,15 * *", timezone="Asia/Kolkata"),
)
# As its documentation shows it; the listener writes the moments for which a job was started.
PEER = """
import os, sys, time
from apscheduler.events import EVENT_JOB_SUBMITTED
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger

folder = sys.argv[1]
lines = os.open(folder + "/peer", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
store = SQLAlchemyJobStore(url=f"sqlite:///{folder}/peer.sqlite")
scheduler = BlockingScheduler(jobstores={"default": store}, timezone="UTC",
                              job_defaults={"coalesce": False, "misfire_grace_time": 60, "max_instances": 100})

def submitted(event):
    for moment in event.scheduled_run_times:
        os.write(lines, f"{moment.timestamp():.0f} {time.time():.3f}\\n".encode())

scheduler.add_listener(submitted, EVENT_JOB_SUBMITTED)
scheduler.add_job("time:time", CronTrigger(second="*"), id="seconds", replace_existing=True)
scheduler.start()
"""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Ticks of one second: how many there were, were started never, or more than once; how late the middle one was.

    `tried_again` of those that were started more than once were, by the store, lost with their process.
    """

    ticks: int
    lost: int
    doubled: int
    tried_again: int
    late_s: float


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--ticks", type=int, default=120)
    asked.add_argument("--years", type=int, default=27)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours = measured(Path(folder), given.ticks)
    with tempfile.TemporaryDirectory() as folder:
        peer = measured_peer(Path(folder), given.ticks)
    for name, each in (("nbproof", ours), ("apscheduler", peer)):
        print(f"{name:12} {each}")
    years = simulated(given.years)
    print(f"years {json.dumps(years)}")
    told = {
        "machine": machine(),
        "versions": {name: version(name) for name in ("nbproof", "apscheduler", "sqlalchemy")},
        "seconds": {"nbproof": asdict(ours), "apscheduler": asdict(peer)},
        "years": years,
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n")


def measured(folder: Path, ticks: int) -> Seconds:
    """Two daemons of ours."""
    kept, ran, _ = two_with_one_killed(folder, ticks)
    moments = {entry.at for entry in kept}
    started = Counter(tick for tick, _ in ran)
    more = [tick for tick, count in started.items() if count > 1]
    tried = {entry.tick for entry in kept if entry.attempt > 1}
    first, last = min(moments), max(moments)
    never = [entry for entry in kept if started[entry.tick] == 0]
    return Seconds(
        ticks=len(kept),
        lost=int(last - first) + 1 - len(moments) + len(never),
        doubled=len([tick for tick in more if tick not in tried]),
        tried_again=len(tried),
        late_s=round(statistics.median((entry.began_at or entry.at) - entry.at for entry in kept), 3),
    )


def measured_peer(folder: Path, ticks: int) -> Seconds:
    """Two schedulers on one durable store; its moments are complete from the first to the last, or some are lost."""

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PEER, str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    processes = [started()]
    wait_for(folder / "peer")
    processes.append(started())
    time.sleep(ticks / 3)
    processes[0].kill()
    time.sleep(ticks / 3)
    processes.append(started())
    time.sleep(ticks / 3)
    for process in processes:
        process.kill()
        process.wait()
    lines = [line.split() for line in (folder / "peer").read_text().splitlines()]
    counts = Counter(int(moment) for moment, _ in lines)
    return Seconds(
        ticks=len(counts),
        lost=max(counts) - min(counts) + 1 - len(counts),
        doubled=len([moment for moment, count in counts.items() if count > 1]),
        tried_again=0,
        late_s=round(statistics.median(float(at) - int(moment) for moment, at in lines), 3),
    )


def wait_for(file: Path) -> None:
    end = time.monotonic() + 120
    while not file.exists() or not file.read_text():
        if time.monotonic() > end:
            raise TimeoutError(file)
        time.sleep(0.1)


def simulated(count: int) -> dict[str, Any]:
    """Years by every policy in turn; each look of a daemon holds all promises, or this raises."""
    happened: Counter[str] = Counter()
    states: Counter[str] = Counter()
    policies = list(product((0, 1, 2), ("skip", "wait", "cancel"), ("none", "last", "all")))
    for number in range(count):
        retries, overlap, catch_up = policies[number % len(policies)]
        policy = Policy(catch_up=catch_up, overlap=overlap, retries=retries, grace_s=600.0)
        trigger = TRIGGERS[number % len(TRIGGERS)]
        schedule = Schedule(name="year", work=WORK, trigger=trigger, policy=policy)
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            year = lived(schedule, Path(folder), START, number)
        happened.update(year.happened)
        states.update(entry.state for entry in year.rows.values())
    return {"years": count, "ticks": states.total(), "states": dict(states), "happened": dict(happened), "broken": 0}


if __name__ == "__main__":
    main()
