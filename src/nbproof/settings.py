"""One frozen `Settings`, read from `[tool.nbproof]` in pyproject.toml and from NBPROOF_* variables."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from .errors import SettingsInvalid

PROJECT_FILE = "pyproject.toml"
TABLE = "tool.nbproof"
# Tables within it: `key` in `[tool.nbproof.review]` is the setting `review_key`.
GROUPS = ("jobs", "review", "schedule")
SEVERITIES = ("error", "warning", "note", "off")
CODE = re.compile(r"NBP\d{3}")
THRESHOLD = re.compile(r"(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)")
PREFIX = "NBPROOF_"
# nbproof sets these itself in the processes that it starts; they are no settings.
OWN_VARIABLES = frozenset({
    "NBPROOF_CHECKPOINT", "NBPROOF_KEEP", "NBPROOF_LEASE", "NBPROOF_LOG", "NBPROOF_PRELOAD", "NBPROOF_RUNTIME",
})  # fmt: skip


def _count_processors() -> int:
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one project asks of nbproof.

    `workers` notebooks run at the same time. `tracking_uri` None is the embedded store in the project's folder.
    `timeout_s` is the wall-clock limit of a task that declares none (None: no limit). `delivery_wait_s` is how long
    a finished run waits for its records to reach the tracker before it leaves them in the spool. Of what a cell, and
    a whole notebook, puts out, no more than `cell_output_bytes` and `notebook_output_bytes` are kept. `warm` lets
    kernels be forked from a process that has imported what they import; `warm_idle_s` is how long such a process waits
    for further kernels before it ends. `recording` is how much is recorded of the cells that run in JupyterLab: `off`,
    `metadata` (no code, no messages of errors) or `full`. `review_key` is the private key that signs decisions and
    `review_name` the name of whoever uses this project here; `review_lock` is the file that pins the environment (None:
    the kernel's own packages stand for it); `review_severity` says how much each check weighs, `review_thresholds` what
    metrics must reach; `review_advisories` is a folder or ZIP of known vulnerabilities in the OSV format. The others
    that begin with `jobs_` are what a job is given where its command line says nothing: its target, its resources as
    texts, and for each target the options that it is made with.
    `schedule_approved_only` lets a schedule start no pipeline whose notebooks are not approved; `schedule_smtp` is the
    server that sends mail about ticks (`smtp://user@host:587`), `schedule_smtp_password` a reference to its password
    and `schedule_mail_from` the sender.
    """

    experiment: str
    workers: int = field(default_factory=_count_processors)
    tracking_uri: str | None = None
    tracking: bool = True
    timeout_s: float | None = None
    delivery_wait_s: float = 30.0
    warm: bool = True
    warm_idle_s: float = 900.0
    cell_output_bytes: int = 10_000_000
    notebook_output_bytes: int = 100_000_000
    recording: Literal["off", "metadata", "full"] = "metadata"
    review_key: str | None = None
    review_name: str | None = None
    review_lock: str | None = None
    review_severity: Mapping[str, str] = field(default_factory=dict)
    review_thresholds: Mapping[str, str] = field(default_factory=dict)
    review_advisories: str | None = None
    jobs_target: str = "local"
    jobs_cpus: int = 1
    jobs_memory: str | None = None
    jobs_gpus: int = 0
    jobs_gpu_kind: str | None = None
    jobs_time: str | None = None
    jobs_retries: int = 0
    jobs_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    schedule_approved_only: bool = False
    schedule_smtp: str | None = None
    schedule_smtp_password: str | None = None
    schedule_mail_from: str | None = None


def find_project(start: Path) -> Path:
    """Return the folder of the project that `start` (a file or a folder) belongs to.

    That is the nearest folder whose pyproject.toml has `[tool.nbproof]`, else the nearest one under git, else the
    folder of `start` itself.
    """
    start = start.resolve()
    folder = start if start.is_dir() else start.parent
    chain = (folder, *folder.parents)
    for candidate in chain:
        if _has_table(candidate / PROJECT_FILE):
            return candidate
    for candidate in chain:
        if (candidate / ".git").exists():
            return candidate
    return folder


def load(project: Path, environ: Mapping[str, str]) -> Settings:
    """Read the settings of `project`; a variable NBPROOF_NAME wins over the key `name` in pyproject.toml.

    Raises `SettingsInvalid` for an unknown key, an unknown NBPROOF_* variable or a value of the wrong kind.
    """
    project = project.resolve()
    values: dict[str, Any] = {"experiment": project.name or "nbproof"}
    values |= _from_file(project / PROJECT_FILE)
    if "MLFLOW_TRACKING_URI" in environ and environ["MLFLOW_TRACKING_URI"].strip():
        values["tracking_uri"] = environ["MLFLOW_TRACKING_URI"].strip()
    values |= _from_environment(environ)
    if values.get("tracking_uri") is not None:
        values["tracking_uri"] = anchored(values["tracking_uri"], project)
    return Settings(**values)


def anchored(uri: str, project: Path) -> str:
    """Spell a relative path in a tracking URI from the project's folder, so that it means one place everywhere."""
    if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////") and uri != "sqlite:///:memory:":
        return f"sqlite:///{project / uri.removeprefix('sqlite:///')}"
    if not urlsplit(uri).scheme and uri != "databricks":
        return str(project / uri)
    return uri


def _has_table(file: Path) -> bool:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    # Another project's pyproject.toml further up may be broken; that is not ours to judge.
    return TABLE in text and "nbproof" in _parse(file).get("tool", {})


def _from_file(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    table = _parse(file).get("tool", {}).get("nbproof", {})
    where = f"[{TABLE}] in {file}"
    if not isinstance(table, dict):
        raise SettingsInvalid(where, f"a {type(table).__name__}", "a table")
    return {name: _checked(f"`{name}` of {where}", name, value) for name, value in _flat(table).items()}


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the keys of its groups spelled out."""
    plain = {name: value for name, value in table.items() if not (name in GROUPS and isinstance(value, dict))}
    grouped = {
        f"{group}_{name}": value
        for group in GROUPS
        if isinstance(table.get(group), dict)
        for name, value in table[group].items()
    }
    # A table within `[tool.nbproof.jobs]` is called like a target, and holds the options of that one.
    options = {name.removeprefix("jobs_"): value for name, value in grouped.items() if _is_of_a_target(name, value)}
    grouped = {name: value for name, value in grouped.items() if not _is_of_a_target(name, value)}
    return {**plain, **grouped, **({"jobs_options": options} if options else {})}


def _is_of_a_target(name: str, value: Any) -> bool:
    return name.startswith("jobs_") and isinstance(value, dict)


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(str(file), f"a file that cannot be read ({error})", "valid TOML") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in OWN_VARIABLES:
            name = variable.removeprefix(PREFIX).lower()
            found[name] = _checked(variable, name, _from_text(name, environ[variable].strip()))
    return found


def _from_text(name: str, text: str) -> Any:
    """The value that `text` means for the setting `name`; text that means none is returned as it is."""
    if name in ("schedule_approved_only", "tracking", "warm"):
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower(), text)
    if name == "jobs_options":
        return _options_from_text(text)
    if name in _TABLES:
        return _table_from_text(text)
    if name in _WHOLE or name in ("timeout_s", "delivery_wait_s", "warm_idle_s"):
        try:
            return int(text) if name in _WHOLE else float(text)
        except ValueError:
            return text
    return text


def _table_from_text(text: str) -> Any:
    """`auc=>=0.85,brier=<=0.1`: names and values."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    return {name.strip(): value.strip() for name, _, value in pairs}


def _options_from_text(text: str) -> Any:
    """`slurm.partition=gpu,slurm.account=risk`: targets, their options and values."""
    found: dict[str, dict[str, str]] = {}
    for name, value in _table_from_text(text).items():
        target, _, option = name.partition(".")
        found.setdefault(target, {})[option] = value
    return found


def _checked(where: str, name: str, value: Any) -> Any:
    if name not in _RULES:
        raise SettingsInvalid(where, "an unknown setting", f"one of {', '.join(sorted(_RULES))}")
    expected, is_fit = _RULES[name]
    if not is_fit(value):
        raise SettingsInvalid(where, repr(value), expected)
    return float(value) if name.endswith("_s") else value


def _is_number(value: Any) -> bool:
    # In Python a bool is an int; in a settings file it is a slip.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_smtp(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"smtps?://([^@:/\s]+@)?[^@:/\s]+(:\d+)?", value) is not None


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"env:\w+|file:.+", value) is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_options(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(options, dict) and all(_is_text(name) and _is_text(text) for name, text in options.items())
        for options in value.values()
    )


def _is_severities(value: Any) -> bool:
    return isinstance(value, dict) and all(
        CODE.fullmatch(code) and weight in SEVERITIES for code, weight in value.items()
    )


def _is_thresholds(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(t, str) and THRESHOLD.fullmatch(t) for t in value.values())


_TABLES = frozenset({"review_severity", "review_thresholds"})
_WHOLE = frozenset({
    "cell_output_bytes", "jobs_cpus", "jobs_gpus", "jobs_retries", "notebook_output_bytes", "workers",
})  # fmt: skip
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "cell_output_bytes": ("a whole number above 0", _is_count),
    "delivery_wait_s": ("a number of seconds, 0 or more", lambda value: _is_number(value) and value >= 0),
    "experiment": ("a name", _is_text),
    "jobs_cpus": ("a whole number above 0", _is_count),
    "jobs_gpu_kind": ("the name of a kind of GPU", _is_text),
    "jobs_gpus": ("a whole number, 0 or more", _is_whole),
    "jobs_memory": ("a size (4G, 512M)", _is_text),
    "jobs_options": ('tables of texts, each called like a target (partition = "gpu")', _is_options),
    "jobs_retries": ("a whole number, 0 or more", _is_whole),
    "jobs_target": ("the name of a target", _is_text),
    "jobs_time": ("a time (90s, 30min, 2h, 1d)", _is_text),
    "notebook_output_bytes": ("a whole number above 0", _is_count),
    "recording": ('"off", "metadata" or "full"', lambda value: value in ("off", "metadata", "full")),
    "review_advisories": ("a folder or ZIP of advisories", _is_text),
    "review_key": ("the file of a private key", _is_text),
    "review_lock": ("a file of the project", _is_text),
    "review_name": ("a name", _is_text),
    "review_severity": ("a table of codes (NBP001) with error, warning, note or off", _is_severities),
    "review_thresholds": ('a table of metrics with bounds (">= 0.85", "<= 0.1")', _is_thresholds),
    "schedule_approved_only": ("true or false", lambda value: isinstance(value, bool)),
    "schedule_mail_from": ("a mail address", lambda value: _is_text(value) and "@" in value),
    "schedule_smtp": ("the address of a mail server (smtp://host:port)", lambda value: _is_smtp(value)),
    "schedule_smtp_password": ("a reference to a password (env:NAME or file:PATH)", lambda value: _is_reference(value)),
    "timeout_s": ("a number of seconds above 0", lambda value: _is_number(value) and value > 0),
    "tracking": ("true or false", lambda value: isinstance(value, bool)),
    "tracking_uri": ("the URI of an MLflow tracker", _is_text),
    "warm": ("true or false", lambda value: isinstance(value, bool)),
    "warm_idle_s": ("a number of seconds, 0 or more", lambda value: _is_number(value) and value >= 0),
    "workers": ("a whole number above 0", _is_count),
}
