"""Settings: where they come from, which one wins, and what is refused."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from nbproof.errors import SettingsInvalid
from nbproof.settings import PREFIX, Settings, find_project, load

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"


def write(folder: Path, table: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(table)
    return folder


def test_a_project_without_settings_has_true_defaults(tmp_path: Path) -> None:
    """The experiment is called like the folder, the tracker is the embedded one."""
    project = tmp_path / "credit"
    project.mkdir()

    assert load(project, {}) == Settings(
        experiment="credit",
        workers=os.cpu_count() or 1,
        tracking_uri=None,
        tracking=True,
        timeout_s=None,
        delivery_wait_s=30.0,
        warm=True,
        warm_idle_s=900.0,
    )


def test_the_file_is_read(tmp_path: Path) -> None:
    """Every key of [tool.nbproof] becomes its setting."""
    project = write(
        tmp_path,
        "[tool.nbproof]\nworkers = 3\nexperiment = 'e'\ntracking = false\ntracking_uri = 'http://127.0.0.1:5000'\n"
        "timeout_s = 60\ndelivery_wait_s = 0\nwarm = false\nwarm_idle_s = 5\n",
    )

    assert load(project, {}) == Settings(
        experiment="e",
        workers=3,
        tracking_uri="http://127.0.0.1:5000",
        tracking=False,
        timeout_s=60.0,
        delivery_wait_s=0.0,
        warm=False,
        warm_idle_s=5.0,
    )


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """NBPROOF_NAME beats the key `name`."""
    project = write(tmp_path, "[tool.nbproof]\nworkers = 3\ntracking = true\nexperiment = 'e'\n")
    environ = {"NBPROOF_WORKERS": "5", "NBPROOF_TRACKING": "no", "NBPROOF_TIMEOUT_S": "1.5", "HOME": "/"}

    found = load(project, environ)

    assert (found.workers, found.tracking, found.timeout_s, found.experiment) == (5, False, 1.5, "e")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "http://127.0.0.1:1"),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:2"}, "http://127.0.0.1:2"),
        ({"MLFLOW_TRACKING_URI": " "}, "http://127.0.0.1:1"),
        (
            {"MLFLOW_TRACKING_URI": "http://127.0.0.1:2", "NBPROOF_TRACKING_URI": "http://127.0.0.1:3"},
            "http://127.0.0.1:3",
        ),
    ],
)
def test_the_tracker_is_named_by_the_nearest_word(tmp_path: Path, environ: dict[str, str], expected: str) -> None:
    """NBPROOF_TRACKING_URI beats MLFLOW_TRACKING_URI, which beats the file."""
    project = write(tmp_path, "[tool.nbproof]\ntracking_uri = 'http://127.0.0.1:1'\n")

    assert load(project, environ).tracking_uri == expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:///stores/m.db", "sqlite:///{project}/stores/m.db"),
        ("sqlite:////abs/m.db", "sqlite:////abs/m.db"),
        ("stores/files", "{project}/stores/files"),
        ("https://tracker.example", "https://tracker.example"),
    ],
)
def test_a_relative_tracker_means_one_place(tmp_path: Path, uri: str, expected: str) -> None:
    """A relative path is spelt from the project's folder, whatever the working directory of a kernel is."""
    project = tmp_path.resolve()

    assert load(project, {"NBPROOF_TRACKING_URI": uri}).tracking_uri == expected.format(project=project)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("worker = 2", r"`worker` of \[tool.nbproof\] in .*: found an unknown setting, expected one of .*workers"),
        ("workers = 0", "found 0, expected a whole number above 0"),
        ("workers = 1.5", "found 1.5, expected a whole number above 0"),
        ("workers = true", "found True, expected a whole number above 0"),
        ("experiment = ''", "found '', expected a name"),
        ("tracking = 'no'", "found 'no', expected true or false"),
        ("tracking_uri = 5", "found 5, expected the URI of an MLflow tracker"),
        ("timeout_s = 0", "found 0, expected a number of seconds above 0"),
        ("timeout_s = nan", "found nan, expected a number of seconds above 0"),
        ("delivery_wait_s = -1", "found -1, expected a number of seconds, 0 or more"),
        ("workers = = 2", "expected valid TOML"),
    ],
)
def test_what_is_no_setting_is_refused(tmp_path: Path, line: str, message: str) -> None:
    """The error names the file, what was found and what was expected."""
    project = write(tmp_path, f"[tool.nbproof]\n{line}\n")

    with pytest.raises(SettingsInvalid, match=message):
        load(project, {})


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("NBPROOF_WORKER", "2", "NBPROOF_WORKER: found an unknown setting"),
        ("NBPROOF_WORKERS", "two", "NBPROOF_WORKERS: found 'two', expected a whole number above 0"),
        ("NBPROOF_TRACKING", "maybe", "NBPROOF_TRACKING: found 'maybe', expected true or false"),
        ("NBPROOF_TIMEOUT_S", "inf", "NBPROOF_TIMEOUT_S: found inf, expected a number of seconds above 0"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(tmp_path: Path, variable: str, text: str, message: str) -> None:
    """A slip in a variable's name or value does not pass in silence."""
    with pytest.raises(SettingsInvalid, match=message):
        load(tmp_path, {variable: text})


def test_what_a_run_sets_for_its_notebooks_is_no_setting(tmp_path: Path) -> None:
    """nbproof can be called from a notebook that nbproof runs."""
    own = ("NBPROOF_LOG", "NBPROOF_KEEP", "NBPROOF_LEASE", "NBPROOF_RUNTIME", "NBPROOF_PRELOAD")

    load(tmp_path, dict.fromkeys(own, "x"))


def test_the_nearest_table_makes_the_project(tmp_path: Path) -> None:
    """A pyproject.toml without [tool.nbproof] further down does not."""
    project = write(tmp_path / "a", "[tool.nbproof]\n")
    inner = write(project / "b" / "c", "[tool.other]\n")
    notebook = inner / "x.ipynb"
    notebook.touch()

    assert find_project(notebook) == project.resolve()


def test_a_table_wins_over_a_nearer_git(tmp_path: Path) -> None:
    """[tool.nbproof] is said on purpose."""
    project = write(tmp_path / "a", "[tool.nbproof]\n")
    (project / "b" / ".git").mkdir(parents=True)

    assert find_project(project / "b") == project.resolve()


def test_git_makes_the_project_where_no_table_does(tmp_path: Path) -> None:
    """The nearest folder under git."""
    (tmp_path / "a" / ".git").mkdir(parents=True)
    (tmp_path / "a" / "b").mkdir()

    assert find_project(tmp_path / "a" / "b") == (tmp_path / "a").resolve()


def test_a_lonely_folder_is_its_own_project(tmp_path: Path) -> None:
    """Neither table nor git further up (a temporary folder lies under neither)."""
    assert find_project(tmp_path) == tmp_path.resolve()


def test_a_broken_file_of_somebody_else_is_passed_over(tmp_path: Path) -> None:
    """Only a broken file that speaks of nbproof is ours to refuse."""
    write(tmp_path / "a", "= broken")
    (tmp_path / "a" / "b").mkdir()
    write(tmp_path / "ours", "[tool.nbproof\n")

    assert find_project(tmp_path / "a" / "b") == (tmp_path / "a" / "b").resolve()
    with pytest.raises(SettingsInvalid, match="expected valid TOML"):
        find_project(tmp_path / "ours")


def test_every_setting_is_documented() -> None:
    """The reference has a heading for each setting, and its variable."""
    text = REFERENCE.read_text(encoding="utf-8")

    headings = {line.removeprefix("## `").removesuffix("`") for line in text.splitlines() if line.startswith("## `")}

    assert headings == {field.name for field in fields(Settings)}
    for field in fields(Settings):
        assert f"`{PREFIX}{field.name.upper()}`" in text


def test_what_every_job_is_given_has_a_table_of_its_own(tmp_path: Path) -> None:
    """Within it, a table that is called like a target holds that one's options."""
    project = write(
        tmp_path,
        "[tool.nbproof.jobs]\ntarget = 'slurm'\ncpus = 2\nmemory = '4G'\n"
        "[tool.nbproof.jobs.slurm]\npartition = 'gpu'\n",
    )

    found = load(project, {"NBPROOF_JOBS_CPUS": "4"})

    assert (found.jobs_target, found.jobs_cpus, found.jobs_memory) == ("slurm", 4, "4G")
    assert found.jobs_options == {"slurm": {"partition": "gpu"}}
    assert load(project, {"NBPROOF_JOBS_OPTIONS": "slurm.account=a,ray.address=b"}).jobs_options == {
        "slurm": {"account": "a"}, "ray": {"address": "b"}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cpu = 2", r"`jobs_cpu` of \[tool.nbproof\] in .*: found an unknown setting"),
        ("gpus = -1", "found -1, expected a whole number, 0 or more"),
        ("memory = 4", "found 4, expected a size"),
        ("slurm = {partition = 1}", "expected tables of texts"),
    ],
)
def test_what_is_no_setting_of_jobs_is_refused(tmp_path: Path, line: str, message: str) -> None:
    """As everywhere else."""
    project = write(tmp_path, f"[tool.nbproof.jobs]\n{line}\n")

    with pytest.raises(SettingsInvalid, match=message):
        load(project, {})
