"""Schedules as others keep them, judged by those others where they can be had."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import kubernetes_validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import ScheduleInvalid
from nbproof.jobs.cron import problem
from nbproof.schedule.cron import UTC_ZONE, instants, read
from nbproof.schedule.definition import Schedule, Trigger, Work
from nbproof.schedule.elsewhere.systemd import calendars
from nbproof.schedule.elsewhere.woken import Wanted, five_fields
from nbproof.schedule.elsewhere.writing import written
from nbproof.schedule.policy import Policy

HERE = Wanted(("/usr/bin/env", "nbproof"), Path("/srv/100% credit $HOME"))
CLUSTER = Wanted(("nbproof",), Path("/project"), "registry.example/nbproof:1", "credit-project", "risk")
EXPRESSIONS = ["30 6 * * *", "*/15 9-17 * * mon-fri", "0 0 1 1,7 *", "15 3 13 * fri", "@weekly", "0 6 * * fri-7"]
has_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")


def schedule(cron: str = "0 6 * * mon-fri", timezone: str = "Europe/Berlin", **policy: object) -> Schedule:
    return Schedule(
        name="credit", work=Work(kind="pipeline", path="p"), trigger=Trigger(cron=cron, timezone=timezone),
        policy=Policy(**policy),  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_timer_and_its_service() -> None:
    """The timer knows the time zone and what was missed; the service starts one look of ours."""
    assert written(schedule(), "systemd", HERE) == {
        "nbproof-credit.timer": (
            "[Unit]\nDescription=nbproof schedule credit\n\n[Timer]\n"
            "OnCalendar=Mon,Tue,Wed,Thu,Fri *-01,02,03,04,05,06,07,08,09,10,11,12-* 06:00:00 Europe/Berlin\n"
            "Persistent=true\nAccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n"
        ),
        "nbproof-credit.service": (
            "[Unit]\nDescription=nbproof schedule credit\n\n[Service]\nType=oneshot\n"
            "WorkingDirectory=/srv/100%% credit $HOME\n"
            'ExecStart="/usr/bin/env" "nbproof" "schedule" "run" "credit" "--once"\n'
            "KillMode=mixed\nTimeoutStopSec=60\n"
        ),
    }


@has_systemd
@pytest.mark.parametrize("cron", EXPRESSIONS)
def test_systemd_takes_it(tmp_path: Path, cron: str) -> None:
    """`systemd-analyze verify` finds nothing to say about the units."""
    wanted = Wanted((sys.executable, "-m", "nbproof"), tmp_path)
    for name, text in written(schedule(cron), "systemd", wanted).items():
        (tmp_path / name).write_text(text)

    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.glob("*.timer"))], capture_output=True, text=True
    )

    said = [line for line in ran.stderr.splitlines() if str(tmp_path) in line or "nbproof-credit" in line]
    assert (ran.returncode, said) == (0, [])


@has_systemd
@pytest.mark.parametrize("cron", EXPRESSIONS)
def test_systemd_means_the_same_moments(cron: str) -> None:
    """The next moments by `systemd-analyze calendar` are those that we reckon."""
    ours = [
        moment.strftime("%Y-%m-%d %H:%M:%S")
        for moment in islice(instants(read(cron), UTC_ZONE, datetime.now(UTC).replace(microsecond=0)), 4)
    ]
    theirs = set()
    for calendar in calendars(read(cron)):
        ran = subprocess.run(
            ["systemd-analyze", "calendar", "--iterations=4", f"{calendar} UTC"],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [line.strip() for line in ran.stdout.splitlines()]
        shown = [line for line in lines if line.startswith(("Next elapse:", "Iter. #", "(in UTC):"))]
        theirs |= {" ".join(line.split()[-3:-1]) for line in shown if line.endswith("UTC")}

    assert sorted(theirs)[:4] == ours


def test_a_line_of_a_crontab() -> None:
    """Signs that a crontab understands are spelled out; another time zone than the machine's is refused."""
    line = written(schedule("0 6 * * fri-7", "UTC"), "cron", HERE) if time.localtime().tm_gmtoff == 0 else None

    if line is not None:
        assert line == {
            "nbproof-credit.crontab": "0 6 * * 0,5,6 cd '/srv/100\\% credit $HOME' && "
            "/usr/bin/env nbproof schedule run credit --once\n"
        }
    with pytest.raises(
        ScheduleInvalid, match=r"--to cron: found the time zone Pacific/Apia, expected this machine's own"
    ):
        written(schedule(timezone="Pacific/Apia"), "cron", HERE)


def test_a_dag_file() -> None:
    """It looks at the schedule's times in its time zone, leaves the past to us, and tries nothing again by itself."""
    (text,) = written(schedule("0 6 * * fri-7"), "airflow", HERE).values()
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    told = {each.arg: ast.unparse(each.value) for call in calls for each in call.keywords}

    assert told == {
        "dag_id": "'nbproof_credit'", "schedule": "'0 6 * * 0,5,6'", "tz": "'Europe/Berlin'", "catchup": "False",
        "start_date": "pendulum.datetime(2020, 1, 1, tz='Europe/Berlin')", "is_paused_upon_creation": "False",
        "tags": "['nbproof']", "task_id": "'look'", "append_env": "True", "retries": "0",
        "bash_command": "'exec /usr/bin/env nbproof schedule run credit --once '",
        "cwd": "'/srv/100% credit $HOME'",
    }  # fmt: skip
    with pytest.raises(ScheduleInvalid, match="a template in Airflow's eyes"):
        written(schedule(), "airflow", Wanted(("nbproof",), Path("/srv/{{ ds }}")))


@pytest.mark.parametrize("cron", EXPRESSIONS)
def test_kubernetes_takes_it(cron: str) -> None:
    """The manifest is valid by Kubernetes' own schema, strictly; its expression by Kubernetes' own words."""
    (text,) = written(schedule(cron, grace_s=5.0), "kubernetes", CLUSTER).values()
    manifest = json.loads(text)

    kubernetes_validate.validate(manifest, "1.33", strict=True)
    assert problem(manifest["spec"]["schedule"]) is None
    assert manifest["spec"]["timeZone"] == "Europe/Berlin"
    assert manifest["spec"]["startingDeadlineSeconds"] == 10
    assert manifest["metadata"]["namespace"] == "risk"
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] == ["nbproof", "schedule", "run", "credit", "--once"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "credit-project"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(("nbproof",), Path("/p")), "no --image, no --volume"),
        (Wanted(("nbproof",), Path("/p"), "an image", "v"), "the image 'an image'"),
        (Wanted(("nbproof",), Path("/p"), "image", "V_1"), "the name 'V_1'"),
    ],
)
def test_what_kubernetes_would_not_take_is_refused(wanted: Wanted, found: str) -> None:
    """What is missing or misspelled is said before anything is written."""
    with pytest.raises(ScheduleInvalid, match=found):
        written(schedule(), "kubernetes", wanted)


@pytest.mark.parametrize(
    "trigger", [Trigger(every_s=1), Trigger(every_s=5400), Trigger(every_s=90), Trigger(path="data"), Trigger()]
)
@pytest.mark.parametrize("target", ["airflow", "cron", "systemd", "kubernetes"])
def test_what_no_calendar_says_is_refused(trigger: Trigger, target: str) -> None:
    """Seconds, an hour and a half, data and events: only our own daemon waits for them."""
    waiting = Schedule(name="credit", work=Work(kind="pipeline", path="p"), trigger=trigger)

    with pytest.raises(ScheduleInvalid, match=f"--to {target}: found a schedule that starts"):
        written(waiting, target, CLUSTER)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(
        st.sampled_from(["*", "*/7", "3", "0-59/13,5"]), st.sampled_from(["*", "*/5", "22-23", "6"]),
        st.sampled_from(["*", "1,15", "28"]), st.sampled_from(["*", "feb", "1-6/2"]),
        st.sampled_from(["*", "7", "fri-sun", "mon-fri"]),
    )
)  # fmt: skip
def test_numbers_mean_what_was_written(words: tuple[str, ...]) -> None:
    """The plain spelling comes true at the same moments, and Kubernetes knows it."""
    plain = five_fields(read(" ".join(words)))

    assert problem(plain) is None
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert list(islice(instants(read(plain), UTC_ZONE, after), 5)) == list(
        islice(instants(read(" ".join(words)), UTC_ZONE, after), 5)
    )
