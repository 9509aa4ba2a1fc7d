"""What a pipeline declares, whoever read it, joined with its notebooks and checked whole before any kernel starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ContractInvalid, ParameterInvalid, PipelineInvalid, UnknownName
from ...notebook.contract import Contract
from ...notebook.document import Document
from ...records import Limits, OutputCaps, Pipeline, Resources, Task
from ..sources import environment
from ..sources.memory import Memory
from ..sources.notebooks import Notebook
from .exporters import EXPORTERS

if TYPE_CHECKING:
    from ploomber import DAG

PIPELINE_FILE = "pipeline.yaml"
# The part of a path that a URL begins with: `s3:`.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")


@dataclass(frozen=True, slots=True)
class Declared:
    """One task as its pipeline declares it.

    `products` always holds the key `nb`; a `kernel` of None is the notebook's own.
    """

    name: str
    given: Mapping[str, Any]
    upstream: tuple[str, ...]
    products: Mapping[str, Path]
    is_single: bool
    kernel: str | None = None
    gate: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline with what was read to make it: this snapshot is what a build fingerprints and runs.

    `dag` is Ploomber's, where something in the pipeline needs it: a hook, say. `memory` keeps what was derived from
    the files that were read. `asked` names the tasks that were asked for, where the others are there only for what
    these need; empty, all of them were.
    """

    pipeline: Pipeline
    notebooks: Mapping[str, Notebook]
    contracts: Mapping[str, Contract]
    dag: DAG | None = None
    workers: int | None = None
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)
    asked: frozenset[str] = frozenset()

    def is_asked(self, task: str) -> bool:
        """Whether `task` was asked for itself, and so by force where force was asked for."""
        return not self.asked or task in self.asked

    @property
    def documents(self) -> Mapping[str, Document]:
        """Each notebook as a whole, parsed when it is asked for."""
        return _Documents(self.notebooks)


@dataclass(frozen=True, slots=True, eq=False)
class _Documents(Mapping[str, Document]):
    notebooks: Mapping[str, Notebook]

    def __getitem__(self, task: str) -> Document:
        return self.notebooks[task].document

    def __iter__(self) -> Iterator[str]:
        return iter(self.notebooks)

    def __len__(self) -> int:
        return len(self.notebooks)


def name_of(file: Path) -> str:
    """What the pipeline in `file` is called: by its folder, or by the file when that has a name of its own."""
    return file.parent.name if file.name == PIPELINE_FILE else file.stem


def joined(
    declared: Mapping[str, Declared],
    notebooks: Mapping[str, Notebook],
    *,
    file: Path,
    project: Path,
    texts: Sequence[str],
    limits: Mapping[str, Limits],
    resources: Mapping[str, Resources],
    default_limits: Limits,
    caps: OutputCaps,
) -> Pipeline:
    """The tasks of `file` with their notebooks, in order, checked whole.

    Raises `PipelineInvalid`, `ContractInvalid`, `ParameterInvalid` or `UnknownName`.
    """
    names = in_order(file, {name: found.upstream for name, found in declared.items()})
    products = {name: declared[name].products for name in names}
    _check_places(file, project, products)
    _check_unique(file, products)
    contracts = {name: found.said.contract for name, found in notebooks.items()}
    _check_reads(contracts, products)
    parameters = _parameters(contracts, {name: found.given for name, found in declared.items()}, texts)
    for kind, named in (("limits", limits), ("resources", resources)):
        _check_named(file, kind, named, names)
    tasks = tuple(
        Task(
            name=name,
            notebook=notebooks[name].path,
            parameters=parameters[name],
            upstream=tuple(sorted(declared[name].upstream)),
            products=products[name],
            limits=limits.get(name, default_limits),
            kernel=declared[name].kernel or notebooks[name].said.kernel,
            gate=declared[name].gate,
            is_single=declared[name].is_single,
            caps=caps,
            resources=resources.get(name, Resources()),
        )
        for name in names
    )
    return Pipeline(name=name_of(file), file=file, folder=file.parent, project=project, tasks=tasks)


def check_kernels(declared: Mapping[str, str | None], notebooks: Mapping[str, Notebook]) -> None:
    """Raise `UnknownName` or `KernelUnusable` unless the kernel of every task can run."""
    for kernel in sorted({declared[name] or found.said.kernel for name, found in notebooks.items()}):
        environment.check_kernel(kernel)


def in_order(file: Path, upstream: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The tasks in the order of the file wherever their upstream allows it; raises `PipelineInvalid` for a cycle."""
    try:
        TopologicalSorter(upstream).prepare()
    except CycleError as error:
        cycle = " → ".join(reversed(error.args[1]))
        raise PipelineInvalid(
            file, f"a cycle: {cycle}", "tasks without a cycle", hint="take one of them out of its `upstream`"
        ) from None
    names = list(upstream)
    place = {name: number for number, name in enumerate(names)}
    missing = {name: len(set(needed)) for name, needed in upstream.items()}
    downstream: dict[str, list[str]] = {name: [] for name in names}
    for name, needed in upstream.items():
        for above in set(needed):
            downstream[above].append(name)
    free = [place[name] for name in names if not missing[name]]
    heapify(free)
    ordered: list[str] = []
    while free:
        name = names[heappop(free)]
        ordered.append(name)
        for below in downstream[name]:
            missing[below] -= 1
            if not missing[below]:
                heappush(free, place[below])
    return tuple(ordered)


def _check_places(file: Path, project: Path, products: Mapping[str, Mapping[str, Path]]) -> None:
    root = project.resolve()
    is_inside: dict[Path, bool] = {}
    for task, paths in products.items():
        for key, path in paths.items():
            _check_no_url(file, project, task, key, path)
            # A product that is a link leads wherever it points; else its folder says where it lies.
            inside = path.resolve().is_relative_to(root) if path.is_symlink() else is_inside.get(path.parent)
            if inside is None:
                inside = is_inside[path.parent] = path.parent.resolve().is_relative_to(root)
            if not inside:
                raise PipelineInvalid(
                    file, f"product `{key}` of task `{task}` at `{path}`", f"a path inside the project `{project}`",
                    hint="write products below build/",
                )  # fmt: skip
        if paths["nb"].suffix not in {".ipynb", *EXPORTERS}:
            raise PipelineInvalid(
                file,
                f"the executed notebook of `{task}` as `{paths['nb'].suffix}`",
                f".ipynb or {', '.join(EXPORTERS)}",
                hint="give the product `nb` one of these endings",
            )


def _check_no_url(file: Path, project: Path, task: str, key: str, path: Path) -> None:
    """What is elsewhere cannot be seen to be what a task left there; as a path, `s3://a/b` would be a folder `s3:`."""
    scheme = next((part for part in path.parts if _SCHEME.fullmatch(part) and part not in project.parts), None)
    if scheme is not None:
        raise PipelineInvalid(
            file, f"product `{key}` of task `{task}` at a URL (`{scheme}//…`)", "a path inside the project",
            hint="write it below build/, on a file system that all who run the pipeline share",
        )  # fmt: skip


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


def _check_named(file: Path, kind: str, named: Iterable[str], names: Sequence[str]) -> None:
    for name in named:
        if name not in names:
            raise PipelineInvalid(
                file, f"{kind} for `{name}`", f"a task: {', '.join(names)}", hint=f"correct `executor: {kind}:`"
            )
