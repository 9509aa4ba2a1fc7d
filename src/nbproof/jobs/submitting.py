"""A package submitted: admitted, made a job, told to an engine, and kept whatever the engine answers."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import AskedWrongly, EngineAbsent, JobInvalid, JobRefused, ParameterInvalid, StorageFailed, UnknownName
from ..review.gate import UnsafeBypass
from . import admission, place, target
from .admission import Admission
from .job import PYTHON, WORK, Job, Resources
from .on_gpu import ACCELERATE, ACCELERATORS
from .place import Place

# Reads values for each element, and says for each what its own contract says of it.
_CHECK = """
import importlib, json, sys
command = importlib.import_module(sys.argv[1] + "._command")
try:
    contract = importlib.import_module(sys.argv[1] + "._contract")
except ModuleNotFoundError:
    contract = None
types = {each.name: each.type for each in contract.PARAMETERS} if contract else {}
said = []
for element in json.load(sys.stdin):
    values = {name: command.read(types[name], text) if name in types else text for name, text in element.items()}
    try:
        if contract:
            contract.checked(values)
        said.append("" if contract or not values else "unknown parameter `%s`; it takes none" % next(iter(values)))
    except ValueError as error:
        said.append(str(error))
json.dump(said, sys.stdout)
"""
_CHECK_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asks for beside the package: parameters as texts, an array of further ones, and resources."""

    parameters: Mapping[str, str]
    array: Path | None = None
    resources: Resources = field(default_factory=Resources)
    at_once: int | None = None
    retries: int = 0
    signal_s: int | None = None
    after: tuple[str, ...] = ()
    name: str | None = None
    accelerate: tuple[str, ...] = ()


def prepared(
    package: Path, asked: Asked, *, project: Path, unsafe: UnsafeBypass | None = None
) -> tuple[Job, Admission]:
    """The job that a package becomes; nothing is written.

    Raises what `admission.admit` does, and `ParameterInvalid`.
    """
    admitted = admission.admit(package, project=project, unsafe=unsafe)
    rows = [dict(asked.parameters)] if asked.array is None else [
        {**asked.parameters, **row} for row in elements(asked.array)
    ]  # fmt: skip
    _check(admitted, rows, asked.array)
    job = Job(
        name=asked.name or admitted.name.replace("_", "-").lower().strip("-")[:40],
        command=(PYTHON, "-m", *_started(admitted.name, asked), "--out", WORK),
        folder=admitted.folder,
        resources=asked.resources,
        environment=_environment(admitted),
        elements=tuple(tuple(f"--{name}={value}" for name, value in row.items()) for row in rows),
        is_array=asked.array is not None,
        at_once=asked.at_once,
        retries=asked.retries,
        signal_s=asked.signal_s,
        after=tuple(place.find(project, name).id for name in asked.after),
    )
    return job, admitted


def _started(name: str, asked: Asked) -> tuple[str, ...]:
    """What is started for a package: by itself, or on the GPU that it is given."""
    if asked.accelerate and not asked.resources.gpus:
        raise JobInvalid(asked.name or name, ["an accelerator without a GPU, expected --gpus 1 beside it"])
    unknown = [each for each in asked.accelerate if each not in ACCELERATORS]
    if unknown:
        raise UnknownName("accelerator", unknown[0], ACCELERATORS, hint="nbproof submit --help")
    if not asked.resources.gpus:
        return (name,)
    return ("nbproof.jobs.on_gpu", *(f"{ACCELERATE}{each}" for each in asked.accelerate), name)


def rendered(
    job: Job, target_name: str, folder: Path, *, project: Path, options: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    """What the engine will be told, by file; nothing is written."""
    return target.load(target_name, options).render(_told(job, target_name, project), str(folder))


def submit(
    job: Job,
    admitted: Admission | None,
    target_name: str,
    *,
    project: Path,
    unsafe: UnsafeBypass | None = None,
    options: Mapping[str, str] | None = None,
) -> Place:
    """Hand a job to an engine. Its folder is there before the engine is asked, and stays whatever comes.

    `admitted` None: its command itself verifies what it runs, when it starts.

    Raises `EngineUnreachable` and `JobRefused`; a job that was refused, or that no program could hand over, leaves no
    folder. Raises `StorageFailed` when there is no room for it.
    """
    engine = target.load(target_name, options)
    told = _told(job, target_name, project)
    folder = place.folder_of(project, job)
    files = engine.render(told, str(folder))
    if admitted is not None and admitted.is_draft and unsafe is not None:
        admission.note_draft(admitted, unsafe, target=target_name)
    try:
        package = {} if admitted is None else admission.to_json(admitted)
        made = place.make(folder, job, package, target_name, files, options=options)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StorageFailed(str(folder), str(error.strerror or error)) from None
    try:
        number = engine.submit(told, folder)
    except (JobRefused, EngineAbsent):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    made.submit(replace(made.submitted(), number=number))
    return made


def elements(file: Path) -> Iterator[dict[str, str]]:
    """The parameters of each element: one JSON object a line (.jsonl), or a table with a head (.csv).

    Raises `AskedWrongly`, naming the first line that says none.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AskedWrongly(f"`{file}` cannot be read ({error}); expected a .jsonl or .csv file") from None
    found = list(_from_csv(file, text) if file.suffix == ".csv" else _from_lines(file, text))
    if not found:
        raise AskedWrongly(f"`{file}` holds no element; expected one line of parameters for each")
    yield from found


def _from_lines(file: Path, text: str) -> Iterator[dict[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise AskedWrongly(f"line {number} of `{file}` is no JSON object; expected one with parameters")
        yield {name: _spelled(value) for name, value in row.items()}


def _from_csv(file: Path, text: str) -> Iterator[dict[str, str]]:
    for row in csv.DictReader(text.splitlines()):
        if None in row or None in row.values():
            raise AskedWrongly(f"a line of `{file}` has another number of values than its head")
        yield {str(name): value for name, value in row.items()}


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check(admitted: Admission, rows: Sequence[Mapping[str, str]], array: Path | None) -> None:
    """Let the package itself judge the values, before anything is queued."""
    asked = subprocess.run(
        [sys.executable, "-c", _CHECK, admitted.name],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        timeout=_CHECK_S,
        env={**os.environ, **_environment(admitted)},
        check=False,
    )
    if asked.returncode != 0:
        words = (asked.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise AskedWrongly(f"the package `{admitted.name}` cannot be imported: {words}", hint="nbproof verify PACKAGE")
    said = json.loads(asked.stdout)
    problems = [words if array is None else f"element {at}: {words}" for at, words in enumerate(said) if words]
    if problems:
        shown = [*problems[:5], *([f"and {len(problems) - 5} more"] if len(problems) > 5 else [])]
        raise ParameterInvalid(str(array or admitted.name), shown, hint=f"python -m {admitted.name} --help")


def _environment(admitted: Admission) -> dict[str, str]:
    """The package is found where it lies; nothing is installed for a job."""
    path = [str(Path(admitted.folder) / "src"), os.environ.get("PYTHONPATH", "")]
    # As what was proven was run: texts have their hashes, and sets their order, from here.
    return {"PYTHONPATH": os.pathsep.join(filter(None, path)), "MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}


def _told(job: Job, target_name: str, project: Path) -> Job:
    """The job as its engine knows others: those that it waits for by the engine's own numbers."""
    numbers = []
    for id_ in job.after:
        other = place.find(project, id_)
        submitted = other.submitted()
        if submitted.target != target_name or submitted.number is None:
            where = submitted.target if submitted.number is not None else "no target yet"
            raise UnknownName("job", f"{id_} on {target_name}", [f"it is on {where}"])
        numbers.append(submitted.number)
    return replace(job, after=tuple(numbers))
