"""A pipeline as Ploomber reads it, checked whole before any kernel starts."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AskedWrongly, ContractInvalid, ParameterInvalid, PipelineInvalid, UnknownName
from ..notebook import contract, document
from ..notebook.contract import Contract
from ..notebook.document import Document
from ..records import Limits, OutputCaps, Pipeline, Task
from . import environment
from .lean import skip_idle_imports
from .worker import EXPORTERS

if TYPE_CHECKING:
    from ploomber import DAG

PIPELINE_FILE = "pipeline.yaml"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline with what was read to make it: this snapshot is what a build fingerprints and runs."""

    pipeline: Pipeline
    documents: Mapping[str, Document]
    contracts: Mapping[str, Contract]
    dag: DAG
    workers: int | None = None


def find(target: Path) -> Path:
    """The file that `target` means: a notebook, a pipeline file, or the pipeline file in a folder."""
    if target.is_dir():
        found = target / PIPELINE_FILE
        if not found.is_file():
            raise PipelineInvalid(
                target, f"a folder without `{PIPELINE_FILE}`", "a pipeline or a notebook",
                hint="nbproof init DIR makes an example",
            )  # fmt: skip
        return found.resolve()
    if not target.is_file():
        raise PipelineInvalid(target, "nothing", "a pipeline or a notebook", hint="nbproof init DIR makes an example")
    return target.resolve()


def load(
    target: Path,
    project: Path,
    texts: Sequence[str] = (),
    *,
    default_limits: Limits = Limits(),  # noqa: B008 (frozen)
    caps: OutputCaps = OutputCaps(),  # noqa: B008 (frozen)
) -> Loaded:
    """Read the pipeline (or the lone notebook) `target`, with `name=value` or `task.name=value` from the command line.

    Raises `PipelineInvalid`, `NotebookInvalid`, `ContractInvalid`, `ParameterInvalid` or `UnknownName`; starts nothing.
    """
    file = find(target)
    given: dict[str, Any] = {"project": project, "texts": texts, "default_limits": default_limits, "caps": caps}
    if file.suffix in {".yaml", ".yml"}:
        return describe(_read_dag(file), file=file, **given)
    home = _home(file, project)
    if home is None:
        return describe(_lone_dag(file), file=file, **given)
    return _up_to(describe(_read_dag(home), file=home, **given), file)


def _home(notebook: Path, project: Path) -> Path | None:
    """The pipeline of the project that `notebook` is a task of, if any."""
    document.read(notebook)
    homes = [file for file in _pipeline_files(project) if notebook in _sources(file)]
    if len(homes) > 1:
        raise PipelineInvalid(
            notebook, f"a task of {len(homes)} pipelines: {', '.join(map(str, homes))}", "a task of one pipeline",
            hint=f"nbproof run {homes[0]}",
        )  # fmt: skip
    return homes[0] if homes else None


def _pipeline_files(project: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in {"build", "exports"})
        folders[:] = [
            name for name in folders if name != "node_modules" and not (Path(folder, name) / "pyvenv.cfg").exists()
        ]
        if PIPELINE_FILE in files:
            yield Path(folder, PIPELINE_FILE)


def _sources(file: Path) -> set[Path]:
    import yaml

    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
        tasks = raw if isinstance(raw, list) else raw["tasks"]
        sources = [entry["source"] if isinstance(entry, dict) else entry for entry in tasks]
        return {(file.parent / source).resolve() for source in sources}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return set()  # a broken pipeline is told about when it is asked for


def _up_to(whole: Loaded, notebook: Path) -> Loaded:
    """The part of a pipeline that `notebook` needs: its own task and everything upstream of it."""
    pipeline = whole.pipeline
    wanted = {task.name for task in pipeline.tasks if task.notebook.resolve() == notebook}
    for task in reversed(pipeline.tasks):
        if task.name in wanted:
            wanted |= set(task.upstream)
    return replace(whole, pipeline=replace(pipeline, tasks=tuple(t for t in pipeline.tasks if t.name in wanted)))


def describe(
    dag: DAG,
    *,
    file: Path,
    project: Path,
    texts: Sequence[str] = (),
    default_limits: Limits = Limits(),  # noqa: B008 (frozen)
    caps: OutputCaps = OutputCaps(),  # noqa: B008 (frozen)
) -> Loaded:
    """What a Ploomber DAG says, as our records, checked whole."""
    tasks = {name: dag[name] for name in dag._iter()}
    for task in tasks.values():
        _check_kind(file, task)
    documents = {name: document.read(Path(task.source._path).resolve()) for name, task in tasks.items()}
    contracts = {name: contract.read(found) for name, found in documents.items()}
    names = _in_order(file, {name: tuple(task.upstream) for name, task in tasks.items()})
    kernels = {name: task.kernelspec_name or documents[name].kernel for name, task in tasks.items()}
    for kernel in sorted(set(kernels.values())):
        environment.check_kernel(kernel)
    _render(file, dag)
    products = {name: _products(file, project, tasks[name]) for name in names}
    _check_unique(file, products)
    _check_reads(contracts, products)
    parameters = _parameters(contracts, {name: _given(task) for name, task in tasks.items()}, texts)
    limits = getattr(dag.executor, "limits", {})
    _check_limits(file, limits, names)
    described = tuple(
        Task(
            name=name,
            notebook=documents[name].path,
            parameters=parameters[name],
            upstream=tuple(sorted(tasks[name].upstream)),
            products=products[name],
            limits=limits.get(name, default_limits),
            kernel=kernels[name],
            gate=_gate(tasks[name]),
            caps=caps,
            is_single=not isinstance(tasks[name].product.to_json_serializable(), dict),
        )
        for name in names
    )
    pipeline = Pipeline(name=_name(file), file=file, folder=file.parent, project=project, tasks=described)
    return Loaded(pipeline, documents, contracts, dag, getattr(dag.executor, "workers", None))


def _name(file: Path) -> str:
    return file.parent.name if file.name == PIPELINE_FILE else file.stem


def identifier(pipeline: Pipeline) -> str:
    """A file name for the state of `pipeline`: its path within the project, readable and unique."""
    path = os.path.relpath(pipeline.file, pipeline.project)
    return re.sub(r"[^A-Za-z0-9.]+", "-", path).strip("-.")


def _prepare_ploomber() -> None:
    skip_idle_imports()
    # Nothing that Ploomber starts may report to anyone.
    os.environ.setdefault("PLOOMBER_STATS_ENABLED", "false")
    os.environ.setdefault("PLOOMBER_VERSION_CHECK_DISABLED", "true")


def _read_dag(file: Path) -> DAG:
    import yaml

    _prepare_ploomber()
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PipelineInvalid(
            file, f"no YAML ({_line(error)})", "a Ploomber pipeline", hint="mend the line that it names"
        ) from None
    if not isinstance(raw, (dict, list)) or (isinstance(raw, dict) and not isinstance(raw.get("tasks"), list)):
        raise PipelineInvalid(
            file, "no list of `tasks`", "a Ploomber pipeline with `tasks:`", hint="nbproof init DIR makes an example"
        )
    _check_sources(file, raw if isinstance(raw, list) else raw["tasks"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ploomber.spec import DAGSpec

        try:
            return DAGSpec(str(file), lazy_import=True).to_dag()
        except AskedWrongly:
            raise
        except Exception as error:
            raise _unreadable(file, error, "a pipeline that Ploomber can read") from error


def _lone_dag(file: Path) -> DAG:
    """A pipeline of one: the executed notebook goes to `build/<name>/` beside it."""
    _prepare_ploomber()
    read = document.read(file)
    contract.read(read)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ploomber import DAG
        from ploomber.products import File
        from ploomber.tasks import NotebookRunner

        dag = DAG(name=file.stem)
        product = File(str(file.parent / "build" / file.stem / f"{file.stem}.ipynb"))
        NotebookRunner(file, product, dag=dag, name=file.stem, check_if_kernel_installed=False)
    return dag


def _check_sources(file: Path, tasks: Iterable[Any]) -> None:
    """Read every notebook ourselves first: our messages name what is wrong, and nothing of theirs is evaluated."""
    for entry in tasks:
        source = entry.get("source") if isinstance(entry, dict) else entry
        if not isinstance(source, str):
            raise PipelineInvalid(
                file, f"a task without `source`: {entry!r}", "`source: notebook.ipynb`",
                hint="give every task a `source` and a `product`",
            )  # fmt: skip
        if "{{" in source or Path(source).suffix not in document.SUFFIXES:
            continue
        contract.read(document.read((file.parent / source).resolve()))


def _check_kind(file: Path, task: Any) -> None:
    kind = type(task).__name__
    if kind != "NotebookRunner":
        raise PipelineInvalid(
            file, f"task `{task.name}` of the kind {kind}", "notebooks and percent scripts",
            hint=f"run it with: ploomber build --entry-point {file}",
        )  # fmt: skip
    if task.local_execution or not isinstance(task.nb_product_key, str):
        raise PipelineInvalid(
            file,
            f"task `{task.name}` with `local_execution` or a list in `nb_product_key`",
            "notebooks that run in the pipeline's folder and leave one executed notebook",
            hint=f"run it with: ploomber build --entry-point {file}",
        )


def _in_order(file: Path, upstream: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The tasks in the order of the file wherever their upstream allows it."""
    try:
        TopologicalSorter(upstream).prepare()
    except CycleError as error:
        cycle = " → ".join(reversed(error.args[1]))
        raise PipelineInvalid(
            file, f"a cycle: {cycle}", "tasks without a cycle", hint="take one of them out of its `upstream`"
        ) from None
    ordered: list[str] = []
    while len(ordered) < len(upstream):
        ordered.append(
            next(name for name in upstream if name not in ordered and all(up in ordered for up in upstream[name]))
        )
    return tuple(ordered)


def _render(file: Path, dag: DAG) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ploomber.dag.util import DAGWithDuplicatedProducts

        try:
            dag.render(force=True, show_progress=False)
        except DAGWithDuplicatedProducts:
            return  # told in our own words by `_check_unique`
        except Exception as error:
            raise _unreadable(file, error, "a pipeline that Ploomber can render") from error


def _products(file: Path, project: Path, task: Any) -> Mapping[str, Path]:
    found = task.product.to_json_serializable()
    paths = {key: Path(path) for key, path in (found if isinstance(found, dict) else {"nb": found}).items()}
    if task.nb_product_key != "nb" and isinstance(found, dict):
        paths["nb"] = paths.pop(task.nb_product_key)
    for key, path in paths.items():
        if not path.resolve().is_relative_to(project.resolve()):
            raise PipelineInvalid(
                file, f"product `{key}` of task `{task.name}` at `{path}`", f"a path inside the project `{project}`",
                hint="write products below build/",
            )  # fmt: skip
    if paths["nb"].suffix not in {".ipynb", *EXPORTERS}:
        raise PipelineInvalid(
            file,
            f"the executed notebook of `{task.name}` as `{paths['nb'].suffix}`",
            f".ipynb or {', '.join(EXPORTERS)}",
            hint="give the product `nb` one of these endings",
        )
    return paths


def _check_unique(file: Path, products: Mapping[str, Mapping[str, Path]]) -> None:
    owner: dict[Path, str] = {}
    for task, paths in products.items():
        for path in paths.values():
            if path in owner:
                raise PipelineInvalid(
                    file, f"tasks `{owner[path]}` and `{task}` with one product `{path}`", "one task a product",
                    hint="give each task a path of its own",
                )  # fmt: skip
            owner[path] = task


def _check_reads(contracts: Mapping[str, Contract], products: Mapping[str, Mapping[str, Path]]) -> None:
    """A contract that names the products it reads must name products that exist."""
    for task, found in contracts.items():
        for upstream, keys in found.reads.items():
            for key in keys or ():
                if upstream in products and key not in products[upstream]:
                    raise ContractInvalid(
                        found.notebook, f"upstream product `{upstream}.{key}` in task `{task}`",
                        f"one of {', '.join(sorted(products[upstream]))}",
                        hint=f"name it in `upstream`, or declare it in `product` of `{upstream}`",
                    )  # fmt: skip


def _gate(task: Any) -> str:
    """How the `on_finish` hook is spelt in the file; it is not imported to find out."""
    if task.on_finish is None:
        return ""
    spec = task.on_finish._spec
    return " ".join([spec.dotted_path, *(f"{name}={value!r}" for name, value in sorted(spec.get_kwargs().items()))])


def _given(task: Any) -> Mapping[str, Any]:
    return {name: value for name, value in dict(task.params).items() if name not in {"upstream", "product"}}


def _parameters(
    contracts: Mapping[str, Contract], given: Mapping[str, Mapping[str, Any]], texts: Sequence[str]
) -> Mapping[str, Mapping[str, Any]]:
    """The full value of every parameter: command line over pipeline.yaml over the notebook's default."""
    of_task = _split_texts(contracts, texts)
    resolved, problems = {}, []
    for name, found in contracts.items():
        try:
            resolved[name] = found.resolve(given[name], of_task.get(name, {}), where=f"task `{name}`")
        except ParameterInvalid as error:
            problems.append(error)
    if problems:
        first, *more = problems
        raise ParameterInvalid(
            first.where, [*first.problems, *(str(error) for error in more)], hint=first.hint or None
        ) from None
    return resolved


def _split_texts(contracts: Mapping[str, Contract], texts: Sequence[str]) -> Mapping[str, dict[str, str]]:
    of_task: dict[str, dict[str, str]] = {name: {} for name in contracts}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ParameterInvalid("-p", [f"found `{text}`, expected name=value"], hint="nbproof run --help")
        for task, parameter in _addressed(contracts, name.strip()):
            of_task[task][parameter] = value
    return of_task


def _addressed(contracts: Mapping[str, Contract], name: str) -> Iterator[tuple[str, str]]:
    task, dot, parameter = name.rpartition(".")
    if dot:
        if task not in contracts:
            raise UnknownName("task", task, contracts, hint=f"-p {parameter}=VALUE sets it in every task that has it")
        yield task, parameter
        return
    found = [task for task, owner in contracts.items() if parameter in owner.names]
    if not found:
        known = {known for owner in contracts.values() for known in owner.names}
        raise UnknownName("parameter", parameter, known, hint="declare it in the parameters cell of a notebook")
    for task in found:
        yield task, parameter


def _check_limits(file: Path, limits: Mapping[str, Limits], names: Sequence[str]) -> None:
    for name in limits:
        if name not in names:
            raise PipelineInvalid(
                file, f"limits for `{name}`", f"a task: {', '.join(names)}", hint="correct `executor: limits:`"
            )


def _unreadable(file: Path, error: Exception, expected: str) -> PipelineInvalid:
    hint = f"read all that Ploomber says: ploomber status --entry-point {file}"
    return PipelineInvalid(file, _line(_root(error)), expected, hint=hint)


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
