"""A pipeline as Ploomber reads it: the truth for whatever only Ploomber can read or do."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import AskedWrongly, PipelineInvalid
from ...notebook import document
from ...records import Limits, OutputCaps
from ..lean import skip_idle_imports
from ..sources import notebooks
from ..sources.memory import Memory
from .declared import Declared, Loaded, check_kernels, in_order, joined

if TYPE_CHECKING:
    from ploomber import DAG


def describe(
    dag: DAG,
    *,
    file: Path,
    project: Path,
    texts: Sequence[str] = (),
    default_limits: Limits = Limits(),  # noqa: B008 (frozen)
    caps: OutputCaps = OutputCaps(),  # noqa: B008 (frozen)
    memory: Memory | None = None,
) -> Loaded:
    """What a Ploomber DAG says, as our records, checked whole."""
    memory = memory or Memory()
    tasks = {name: dag[name] for name in dag._iter()}
    for task in tasks.values():
        _check_kind(file, task)
    found = {name: notebooks.read(Path(task.source._path).resolve(), memory) for name, task in tasks.items()}
    in_order(file, {name: tuple(task.upstream) for name, task in tasks.items()})
    check_kernels({name: task.kernelspec_name for name, task in tasks.items()}, found)
    _render(file, dag)
    limits = getattr(dag.executor, "limits", {})
    pipeline = joined(
        {name: _declared(task) for name, task in tasks.items()},
        found,
        file=file,
        project=project,
        texts=texts,
        limits=limits,
        resources=getattr(dag.executor, "resources", {}),
        default_limits=default_limits,
        caps=caps,
    )
    contracts = {name: notebook.said.contract for name, notebook in found.items()}
    return Loaded(pipeline, found, contracts, dag, getattr(dag.executor, "workers", None), memory)


def read_dag(file: Path, memory: Memory) -> DAG:
    """Let Ploomber read `file`; raises `AskedWrongly` in our words wherever we know what is wrong."""
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
    _check_sources(file, raw if isinstance(raw, list) else raw["tasks"], memory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ploomber.spec import DAGSpec

        try:
            return DAGSpec(str(file), lazy_import=True).to_dag()
        except AskedWrongly:
            raise
        except Exception as error:
            raise _unreadable(file, error, "a pipeline that Ploomber can read") from error


def lone_dag(file: Path, product: Path) -> DAG:
    """A pipeline of the one notebook `file`."""
    _prepare_ploomber()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ploomber import DAG
        from ploomber.products import File
        from ploomber.tasks import NotebookRunner

        dag = DAG(name=file.stem)
        NotebookRunner(file, File(str(product)), dag=dag, name=file.stem, check_if_kernel_installed=False)
    return dag


def rendered(file: Path) -> DAG:
    """Ploomber's DAG of `file`, with every product where it lies: what its hooks are run from."""
    dag = read_dag(file, Memory())
    _render(file, dag)
    return dag


def _prepare_ploomber() -> None:
    skip_idle_imports()
    # Nothing that Ploomber starts may report to anyone.
    os.environ.setdefault("PLOOMBER_STATS_ENABLED", "false")
    os.environ.setdefault("PLOOMBER_VERSION_CHECK_DISABLED", "true")


def _check_sources(file: Path, tasks: Iterable[Any], memory: Memory) -> None:
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
        notebooks.read((file.parent / source).resolve(), memory)


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


def _render(file: Path, dag: DAG) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ploomber.dag.util import DAGWithDuplicatedProducts

        try:
            dag.render(force=True, show_progress=False)
        except DAGWithDuplicatedProducts:
            return  # told in our own words when the products are checked
        except Exception as error:
            raise _unreadable(file, error, "a pipeline that Ploomber can render") from error


def _declared(task: Any) -> Declared:
    found = task.product.to_json_serializable()
    is_single = not isinstance(found, dict)
    return Declared(
        name=task.name,
        given={name: value for name, value in dict(task.params).items() if name not in {"upstream", "product"}},
        upstream=tuple(task.upstream),
        products=_products(found, task.nb_product_key),
        is_single=is_single,
        kernel=task.kernelspec_name,
        gate=_gate(task),
    )


def _products(found: str | Mapping[str, str], notebook_key: str) -> Mapping[str, Path]:
    if isinstance(found, str):
        return {"nb": Path(found)}
    paths = {key: Path(path) for key, path in found.items()}
    if notebook_key != "nb":
        paths["nb"] = paths.pop(notebook_key)
    return paths


def _gate(task: Any) -> str:
    """How the `on_finish` hook is spelt in the file; it is not imported to find out."""
    if task.on_finish is None:
        return ""
    spec = task.on_finish._spec
    return " ".join([spec.dotted_path, *(f"{name}={value!r}" for name, value in sorted(spec.get_kwargs().items()))])


def _unreadable(file: Path, error: Exception, expected: str) -> PipelineInvalid:
    hint = f"read all that Ploomber says: ploomber status --entry-point {file}"
    return PipelineInvalid(file, _line(_root(error)), expected, hint=hint)


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
