"""A job as data, and what each engine is told of it: no engine is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.errors import JobInvalid, UnknownName
from nbproof.jobs import job as jobs
from nbproof.jobs import target
from nbproof.jobs.job import Job, Resources
from nbproof.jobs.submitting import elements

PLAIN = Job(name="train", command=("python", "-m", "train", "--out", "{work}"), folder="/p/train")
FULL = replace(
    PLAIN,
    resources=Resources(cpus=4, memory_mb=8192, gpus=2, gpu_kind="h200", time_s=93_784),
    elements=(("--month=1",), ("--month=2",), ("--month=3",)),
    is_array=True,
    at_once=2,
    signal_s=120,
    after=("17", "18"),
)


def directives(job: Job, place: str = "/p/.nbproof/jobs/train-0a1b2c") -> dict[str, str]:
    script = target.load("slurm").render(job, place)["job.sbatch"]
    lines = [line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH --")]
    return dict(line.partition("=")[::2] for line in lines)


def test_a_job_survives_a_way_through_json() -> None:
    """What is read back is what was written."""
    assert jobs.from_json(json.loads(json.dumps(jobs.to_json(FULL)))) == FULL


def test_slurm_is_told_every_resource() -> None:
    """The whole script, by its directives."""
    assert directives(FULL) == {
        "job-name": "train",
        "comment": "nbproof:train-0a1b2c",
        "chdir": "/p/.nbproof/jobs/train-0a1b2c",
        "output": "/p/.nbproof/jobs/train-0a1b2c/logs/%a.log",
        "open-mode": "append",
        "nodes": "1",
        "ntasks": "1",
        "cpus-per-task": "4",
        "mem": "8192M",
        "gres": "gpu:h200:2",
        "time": "1-02:03:04",
        "signal": "B:USR1@120",
        "array": "0-2%2",
        "dependency": "afterok:17:18",
        "kill-on-invalid-dep": "yes",
        "requeue": "",
    }


def test_what_is_not_asked_for_is_left_to_the_cluster() -> None:
    """No limit of memory or time, no GPU, no array."""
    assert {"mem", "gres", "time", "signal", "array", "dependency"}.isdisjoint(directives(PLAIN))


def test_a_folder_with_spaces_and_percent_signs_stays_one_folder() -> None:
    """Slurm reads `%` in the name of a log as a pattern, and an unquoted space as the end."""
    told = directives(PLAIN, "/my jobs/50%/train-0a1b2c")

    assert told["chdir"] == '"/my jobs/50%/train-0a1b2c"'
    assert told["output"] == '"/my jobs/50%%/train-0a1b2c/logs/0.log"'


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "My Job"}, "the name 'My Job'"),
        ({"command": ()}, "no command"),
        ({"elements": ()}, "0 elements"),
        ({"elements": ((), ())}, "2 elements"),
        ({"retries": -1}, "less than none"),
        ({"resources": Resources(cpus=0)}, "cpus = 0"),
        ({"resources": Resources(gpu_kind="h200")}, "the GPU kind 'h200'"),
        ({"resources": Resources(gpus=1, gpu_kind="h200:9 --exclusive")}, "the GPU kind"),
        ({"signal_s": 60}, "a signal 60 s before the end"),
        ({"environment": {"A B": "1"}}, "the variable 'A B'"),
        ({"folder": "/p\n#SBATCH --uid=0"}, "a line break"),
    ],
)
def test_what_no_engine_could_carry_out_is_refused_when_it_is_made(changes: dict[str, object], problem: str) -> None:
    """Everything that is wrong, in one line."""
    with pytest.raises(JobInvalid, match=problem):
        replace(PLAIN, **changes)  # type: ignore[arg-type]


def test_all_problems_are_told_at_once() -> None:
    """Nobody mends one to be told of the next."""
    with pytest.raises(JobInvalid) as refusal:
        replace(PLAIN, name="!", command=(), retries=-1)

    assert len(refusal.value.problems) == 3


@given(st.integers(1, 10**6), st.sampled_from(["G", "g", "GB", " gib"]))
def test_a_size_is_read_as_it_is_written(count: int, unit: str) -> None:
    """In whatever spelling."""
    assert jobs.memory_mb(f"{count}{unit}") == count * 1024


@pytest.mark.parametrize("text", ["", "0", "-1h", "1.5h", "two", "1 fortnight", "1h30"])
def test_what_is_no_time_is_none(text: str) -> None:
    """A time is a whole number and a unit."""
    with pytest.raises(ValueError, match=r".*"):
        jobs.time_s(text)


def test_an_unknown_target_is_named_beside_those_there_are() -> None:
    """Targets are found by their entry points."""
    with pytest.raises(UnknownName, match=r"no target is called `kafka`; known: .*kubernetes.*, local, .*slurm"):
        target.load("kafka")


def test_elements_are_read_from_lines_and_from_tables(tmp_path: Path) -> None:
    """Both give the same parameters."""
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
    lines.write_text('{"month": 1, "name": "a b"}\n\n{"month": 2, "name": "c"}\n')
    table.write_text("month,name\n1,a b\n2,c\n")

    assert list(elements(lines)) == list(elements(table)) == [
        {"month": "1", "name": "a b"}, {"month": "2", "name": "c"}
    ]  # fmt: skip
