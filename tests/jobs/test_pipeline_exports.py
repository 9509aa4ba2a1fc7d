"""Pipelines in the words of engines: what stands in the files, judged by whoever reads them."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows import models
from hypothesis import given
from hypothesis import strategies as st

from nbproof.cli.main import carry_out
from nbproof.errors import JobRefused, SettingsInvalid, UnknownName
from nbproof.jobs.pipelines import exporting
from nbproof.jobs.pipelines.exporting import Step, Steps, dashed, identifiers
from nbproof.records import Resources

Caught = pytest.CaptureFixture[str]
ARGO = {"image": "registry/credit:1", "claim": "project", "user": "1000"}
OPTIONS: dict[str, dict[str, str]] = {
    "airflow": {"gpu_pool": "gpus"}, "argo": ARGO, "prefect": {"gpu_tag": "gpus"}, "slurm": {"partition": "gpu"},
}  # fmt: skip


def step(name: str, *above: str, **resources: Any) -> Step:
    arguments = ("-m", "nbproof", "run", "/p/pipeline.yaml", "--only", name, "--wait")
    return Step(name, arguments, above, Resources(**resources))


DIAMOND = Steps(
    "credit", Path("/p"), "/env/bin/python",
    (
        step("01 top"),
        step("left", "01 top", gpus=2, gpu_kind="h200", memory_mb=4096, time_s=600),
        step("right", "01 top", cpus=3),
        step("bottom", "left", "right"),
    ),
)  # fmt: skip


def spelled(name: str, pipeline: Steps = DIAMOND, **options: str) -> str:
    return exporting.load(name, {**OPTIONS[name], **options}, {}).spell(pipeline)


# Slurm


def calls(script: str) -> list[list[str]]:
    """The calls of sbatch in a script, as the shell reads them."""
    lines = [line for line in script.splitlines() if line.startswith("submit ")]
    return [shlex.split(line)[1:] for line in lines]


def test_slurm_is_told_what_waits_for_what() -> None:
    """A call for each task, after those above it, with what the task is given."""
    script = spelled("slurm")
    found = calls(script)

    assert [[word for word in call if word.startswith("--dep")] for call in found] == [
        [], ["--dependency=afterok:$job_1"], ["--dependency=afterok:$job_1"], ["--dependency=afterok:$job_2:$job_3"],
    ]  # fmt: skip
    assert {"--gres=gpu:h200:2", "--mem=4096M", "--time=0-00:10:00"} < {*found[1]}
    assert "--kill-on-invalid-dep=yes --requeue" in script
    assert "--partition=gpu" in script
    assert shlex.split(found[0][-1].removeprefix("--wrap=exec ")) == [
        "/env/bin/python", "-m", "nbproof", "run", "/p/pipeline.yaml", "--only", "01 top", "--wait",
    ]  # fmt: skip
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_a_script_that_is_refused_half_way_leaves_nothing_queued(tmp_path: Path) -> None:
    """What was queued before is taken away, and the script fails."""
    place = Steps("credit", tmp_path, "python", DIAMOND.steps)
    log = tmp_path / "log"
    for name, body in {
        "sbatch": f'echo submitted >> {log}; [ "$(wc -l < {log})" -lt 3 ] && echo "$(wc -l < {log});lab"',
        "scancel": f'echo "cancelled $*" >> {log}',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)

    ended = subprocess.run(
        ["bash"], input=spelled("slurm", place), text=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}
    )

    assert ended.returncode == 1
    assert log.read_text().splitlines() == ["submitted", "submitted", "submitted", "cancelled 1 2"]


# Airflow


def operators(text: str) -> dict[str, dict[str, Any]]:
    """The keywords of each BashOperator in a DAG file by its task, as far as they are plain values."""
    made = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    found = [
        {
            each.arg or "": each.value.value if isinstance(each.value, ast.Constant) else ast.unparse(each.value)
            for each in node.keywords
        }
        for node in made
        if isinstance(node.func, ast.Name) and node.func.id == "BashOperator"
    ]
    return {held["task_id"]: held for held in found}


def test_airflow_is_told_what_waits_for_what() -> None:
    """An operator for each task; GPUs are counted by a pool, and Airflow itself tries nothing again."""
    text = spelled("airflow")
    found = operators(text)

    assert [*found] == ["01_top", "left", "right", "bottom"]
    assert found["left"]["pool"] == "gpus"
    assert found["left"]["pool_slots"] == 2
    assert found["left"]["execution_timeout"] == "timedelta(seconds=720)"
    assert "pool" not in found["right"]
    assert "'retries': 0" in text.replace('"', "'")
    edges = re.findall(r"^    \[(.*)\] >> (.*)$", text, re.MULTILINE)
    assert edges == [("task_1", "task_2"), ("task_1", "task_3"), ("task_2, task_3", "task_4")]
    assert "schedule=None" in text
    assert "schedule='0 6 * * *'" in spelled("airflow", schedule="0 6 * * *")


def test_airflow_takes_no_command_for_a_file_or_a_template() -> None:
    """A value that ends in .sh, or that Airflow would fill in, comes to nbproof as it was typed."""
    value = "note={{ ds }} of run.sh"
    plain = Steps("p", Path("/p"), "python", (Step("a", ("run", "-p", value), (), Resources()),))
    command = operators(spelled("airflow", plain))["a"]["bash_command"]

    assert command == "{% raw %}exec python run -p 'note={{ ds }} of run.sh'{% endraw %} "
    assert operators(spelled("airflow"))["left"]["bash_command"].endswith(" --only left --wait ")


def test_airflow_without_a_pool_is_given_no_gpus() -> None:
    """It counts none, so two tasks would take the same one."""
    with pytest.raises(JobRefused, match="Airflow counts none"):
        exporting.load("airflow", {}, {}).spell(DIAMOND)


# Argo


def workflow(**options: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(spelled("argo", **options))
    return found


def judged(found: Mapping[str, Any]) -> None:
    """Argo's own models take all of it: what they do not know would be gone, and what is wrong is refused."""
    model = models.Workflow.model_validate(found)
    kept = json.loads(model.model_dump_json(by_alias=True, exclude_none=True, exclude_unset=True))
    assert kept == found


def test_argo_takes_the_whole_workflow() -> None:
    """By its own models; each task is a pod with its resources, and what is not below a failure goes on."""
    found = workflow()

    judged(found)
    (dag, *tasks) = found["spec"]["templates"]
    assert dag["dag"]["failFast"] is False
    assert {each["name"]: each.get("dependencies", []) for each in dag["dag"]["tasks"]} == {
        "01-top": [], "left": ["01-top"], "right": ["01-top"], "bottom": ["left", "right"],
    }  # fmt: skip
    assert {each["template"] for each in dag["dag"]["tasks"]} == {each["name"] for each in tasks}
    left = tasks[1]
    assert left["container"]["resources"]["limits"] == {"cpu": "1", "memory": "4096Mi", "nvidia.com/gpu": "2"}
    assert left["nodeSelector"] == {"nvidia.com/gpu.product": "h200"}
    assert left["activeDeadlineSeconds"] == 600
    assert left["retryStrategy"]["retryPolicy"] == "OnError"


def wrong(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    found = workflow()
    change(found)
    return found


@pytest.mark.parametrize(
    "found",
    [
        wrong(lambda flow: flow["spec"].update(entrypont="pipeline")),
        wrong(lambda flow: flow["spec"]["templates"][1].update(contaner={})),
        wrong(lambda flow: flow["spec"]["templates"][1]["container"].update(image=3)),
        wrong(lambda flow: flow["spec"]["templates"][0]["dag"]["tasks"][1].update(dependencies="01-top")),
    ],
)
def test_what_judges_a_workflow_sees_what_is_wrong(found: dict[str, Any]) -> None:
    """A name that Argo does not know, or a value of another kind."""
    with pytest.raises((ValueError, AssertionError)):
        judged(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"image": ""}, "image"), ({"mount": "/elsewhere"}, "outside of the volume"), ({"user": "0"}, "not root")],
)
def test_what_argo_would_not_do_is_refused(options: dict[str, str], words: str) -> None:
    """An image, a claim, a folder that the pods have."""
    given = {**ARGO, **options}
    if not given["image"]:
        del given["image"]
    with pytest.raises((JobRefused, SettingsInvalid), match=words):
        exporting.load("argo", given, {}).spell(DIAMOND)


# Prefect


def futures(text: str) -> list[dict[str, Any]]:
    """What each task of a flow is given, as Python reads the file."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "submit":
            assert isinstance(node.func.value, ast.Call)
            options = {str(each.arg): ast.literal_eval(each.value) for each in node.func.value.keywords}
            (waits,) = (ast.unparse(each.value) for each in node.keywords)
            found.append({"command": ast.literal_eval(node.args[0]), "above": waits, **options})
    return found


def with_gpus(count: int) -> Steps:
    return Steps("credit", Path("/p"), "python", (step("top"), step("left", "top", gpus=count), step("right", "top")))


def test_prefect_is_told_what_waits_for_what() -> None:
    """A task for each notebook, one after those above it; a tag counts the GPUs."""
    text = spelled("prefect", with_gpus(1))

    assert futures(text) == [
        {"name": "top", "above": "[]",
         "command": ["python", "-m", "nbproof", "run", "/p/pipeline.yaml", "--only", "top", "--wait"]},
        {"name": "left", "tags": ["gpus"], "above": "[task_1]",
         "command": ["python", "-m", "nbproof", "run", "/p/pipeline.yaml", "--only", "left", "--wait"]},
        {"name": "right", "above": "[task_1]",
         "command": ["python", "-m", "nbproof", "run", "/p/pipeline.yaml", "--only", "right", "--wait"]},
    ]  # fmt: skip
    assert text.endswith('if __name__ == "__main__":\n    pipeline()\n')
    served = "pipeline.serve(name='credit', cron='0 6 * * *', limit=1)"
    assert served in spelled("prefect", with_gpus(1), schedule="0 6 * * *")


@pytest.mark.parametrize(("gpus", "options"), [(1, {}), (2, {"gpu_tag": "gpus"})])
def test_prefect_is_given_no_gpus_that_it_cannot_count(gpus: int, options: dict[str, str]) -> None:
    """Without a tag, or with two for one task, tasks would take the same one."""
    with pytest.raises(JobRefused, match="counts at most one a task"):
        exporting.load("prefect", options, {}).spell(with_gpus(gpus))


def test_a_flow_has_a_name_that_prefect_takes() -> None:
    """A slash would be a deployment's."""
    with pytest.raises(SettingsInvalid, match="without / and %"):
        spelled("prefect", with_gpus(1), flow="a/b")


# All of them


@pytest.mark.parametrize("name", sorted(OPTIONS))
@given(names=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
def test_any_name_is_one_task_of_its_own(name: str, names: list[str]) -> None:
    """Whatever tasks are called, each is one step, and its command names it as it is called."""
    names = [each for each in names if not {"\0", "\n"} & {*each} and "endraw" not in each and "{{" not in each]
    names = [each for each in names if each.isprintable()] or ["a"]
    chain = tuple(step(each, *names[max(at - 1, 0) : at]) for at, each in enumerate(names))
    text = exporting.load(name, OPTIONS[name], {}).spell(Steps("p", Path("/p"), "python", chain))

    if name == "slurm":
        commands = [shlex.split(call[-1].removeprefix("--wrap=")) for call in calls(text)]
    elif name == "airflow":
        raw = [held["bash_command"].removeprefix("{% raw %}") for held in operators(text).values()]
        commands = [shlex.split(each.removesuffix("{% endraw %} ")) for each in raw]
    elif name == "prefect":
        commands = [submitted["command"] for submitted in futures(text)]
    else:
        commands = [each["container"]["command"] for each in yaml.safe_load(text)["spec"]["templates"][1:]]
    assert [command[command.index("--only") + 1] for command in commands] == names


@given(names=st.lists(st.text(max_size=6), max_size=6, unique=True))
def test_two_names_never_become_one(names: list[str]) -> None:
    """Whatever an engine leaves of them."""
    found = identifiers(names, dashed)

    assert len({*found.values()}) == len(names)


def test_an_engine_or_option_that_nobody_knows_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(UnknownName, match="luigi"):
        exporting.load("luigi", {}, {})
    with pytest.raises(SettingsInvalid, match="gpupool"):
        exporting.load("airflow", {"gpupool": "x"}, {})


def test_settings_of_the_project_count_unless_somebody_says_otherwise() -> None:
    """The table of options that jobs on the same engine have; what an export has no use for is left out."""
    settings = {"slurm": {"partition": "cpu", "account": "risk"}, "airflow": {"dags": "/dags", "queue": "big"}}

    script = exporting.load("slurm", {"partition": "gpu"}, settings).spell(DIAMOND)

    assert "--account=risk --partition=gpu" in script
    assert "queue='big'" in exporting.load("airflow", {"gpu_pool": "g"}, settings).spell(DIAMOND)


def test_a_file_of_somebody_elses_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Caught
) -> None:
    """One of ours is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\n")
    (tmp_path / "a.py").write_text(
        '# %% tags=["parameters"]\nupstream = None\nproduct = None\nrows: int = 1\n\n# %%\n1\n'
    )
    (tmp_path / "pipeline.yaml").write_text("tasks:\n- {source: a.py, product: build/a.ipynb}\n")
    export = ["pipeline", "export", "--to", "slurm", "--out", "run.sh"]

    assert carry_out([*export, "-p", "rows=2"]) == 0
    assert carry_out(export) == 0
    Path("run.sh").write_text("echo mine\n")
    capsys.readouterr()
    assert carry_out(export) == 2

    assert "nbproof did not write it" in capsys.readouterr().err
    assert Path("run.sh").read_text() == "echo mine\n"
