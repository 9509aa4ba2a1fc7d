"""Our reader of plain pipelines and Ploomber's say the same, or ours says nothing."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from nbproof.errors import NbproofError
from nbproof.run.pipeline import dag, reading
from nbproof.run.pipeline.declared import Loaded
from nbproof.run.pipeline.loading import load
from nbproof.run.sources.memory import Memory

ROOT = Path(__file__).parents[3]
EXECUTOR = {"dotted_path": reading.OUR_EXECUTOR}
PARAMETERS = """\
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

upstream = {upstream}
product = None
rows: int = 3
rate: float = 0.5
name: str = "all"
kind: Literal["a", "b"] = "a"
day: date = date(2005, 9, 30)
data: Path = Path("data.csv")
more: Any = None
least: Annotated[int, Ge(0)] = 0
"""


def notebook(upstream: str = "None", **metadata: Any) -> str:
    """A notebook whose parameters cell says `upstream = …`."""
    found = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, **metadata}
    cells = [
        {"id": "parameters", "source": PARAMETERS.format(upstream=upstream), "metadata": {"tags": ["parameters"]}},
        {"id": "work", "source": "print(rows)", "metadata": {}},
    ]
    code = [{"cell_type": "code", "outputs": [], "execution_count": None, **cell} for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": found, "cells": code})


def script(upstream: str = "None") -> str:
    """The same as a percent script."""
    return f'# %% tags=["parameters"]\n{PARAMETERS.format(upstream=upstream)}\n# %%\nprint(rows)\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with four notebooks: `a`, `b` and `c` for chains, and the script `s`."""
    for name, text in {
        "a.ipynb": notebook(),
        "b.ipynb": notebook('["a"]'),
        "c.ipynb": notebook('{"a": {"data": ""}, "b": None}'),
        "s.py": script('("b",)'),
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ploombers(file: Path, project: Path) -> Loaded:
    """What Ploomber reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dag.describe(dag.read_dag(file, Memory()), file=file, project=project)


def same(ours: Loaded, theirs: Loaded) -> None:
    """Compare all that a build takes from a pipeline."""
    assert ours.pipeline == theirs.pipeline
    assert [list(task.products) for task in ours.pipeline.tasks] == [
        list(task.products) for task in theirs.pipeline.tasks
    ]
    assert repr(ours.pipeline) == repr(theirs.pipeline)
    assert ours.contracts == theirs.contracts
    assert ours.documents == theirs.documents
    assert ours.workers == theirs.workers


def compare(folder: Path, content: object, *, name: str = "pipeline.yaml") -> None:
    """Our reader must take `content`, and mean by it what Ploomber means."""
    file = folder / name
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))

    ours = load(file, folder)

    assert ours.dag is None
    same(ours, ploombers(file, folder))


TASK_A = {"source": "a.ipynb", "product": {"nb": "build/a.ipynb", "data": "build/a.txt"}}
TASK_B = {"source": "b.ipynb", "product": "build/b.ipynb"}
TASK_C = {"source": "c.ipynb", "product": {"nb": "build/c.html"}}
TASK_S = {"source": "s.py", "product": "build/s.md"}
ALL = [TASK_A, TASK_B, TASK_C, TASK_S]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"tasks": ALL}, id="a chain"),
        pytest.param(ALL, id="a list"),
        pytest.param({"tasks": ALL[::-1]}, id="in no order"),
        pytest.param({"meta": {"extract_upstream": True}, "tasks": ALL}, id="meta as it is anyway"),
        pytest.param({"executor": "serial", "tasks": ALL}, id="serial"),
        pytest.param({"executor": "parallel", "tasks": ALL}, id="parallel"),
        pytest.param({"executor": EXECUTOR, "tasks": ALL}, id="our executor"),
        pytest.param(
            {"executor": {**EXECUTOR, "workers": "3", "limits": {"a": {"timeout_s": 2, "retries": 1}}}, "tasks": ALL},
            id="workers and limits",
        ),
        pytest.param(
            {
                "executor": {**EXECUTOR, "resources": {"a": {"gpus": 1, "gpu_kind": "h200"}, "b": {"cpus": 2}}},
                "tasks": ALL,
            },
            id="resources",
        ),
        pytest.param(
            {
                "meta": {"extract_upstream": False},
                "tasks": [{**TASK_B, "name": "first"}, {**TASK_A, "upstream": ["first"]}, {**TASK_C, "upstream": "a"}],
            },
            id="upstream in the file",
        ),
        pytest.param({"tasks": [{**TASK_A, "name": "01"}]}, id="a name that is nearly a number"),
        pytest.param({"tasks": [{**TASK_A, "kernelspec_name": "python3", "class": "NotebookRunner"}]}, id="a kernel"),
        pytest.param(
            {"tasks": [{**TASK_A, "nb_product_key": "page", "product": {"page": "x.html", "data": "y"}}]},
            id="another key of the notebook",
        ),
        pytest.param(
            {"tasks": [{**TASK_A, "params": {"rows": "5", "rate": 2, "name": "'quoted'", "more": "[1, 'x']"}}]},
            id="text that is read as values",
        ),
        pytest.param({"tasks": [{**TASK_A, "params": {"more": "TRUE", "kind": "b"}}]}, id="words"),
        pytest.param({"tasks": [{**TASK_A, "product": "./deep/../build/x.ipynb"}]}, id="a path with dots"),
    ],
)
def test_a_plain_pipeline_is_read_alike(folder: Path, content: object) -> None:
    """Tasks, order, parameters, products, kernels, limits and workers are those that Ploomber reads."""
    compare(folder, content)


@pytest.mark.parametrize(
    "env",
    [
        "out: build\nrows: 4\nrate: '0.25'\n",
        "out: '{{here}}/build'\nrows: '4'\nrate: 1.0e-3\n",
        "out: '{{ root }}/build'\nrows: 4\nrate: 1\nnested: {a: [1, b]}\n",
    ],
)
@pytest.mark.parametrize("name", ["pipeline.yaml", "pipeline.train.yaml"])
def test_placeholders_are_filled_alike(folder: Path, env: str, name: str) -> None:
    """Those of `env.yaml`, and those that are always there."""
    if name != "pipeline.yaml" and "root" in env:
        (folder / "pipeline.yaml").write_text("tasks: []")
        env = env.replace("root", "here")
    (folder / "env.yaml").write_text(env)
    task = {"source": "{{here}}/a.ipynb", "product": "{{out}}/{{rows}}/x.ipynb", "name": "a-{{ user }}"}

    compare(folder, {"tasks": [{**task, "params": {"rows": "{{rows}}", "rate": "{{rate}}"}}]}, name=name)


def test_the_file_of_placeholders_is_the_one_that_ploomber_takes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the pipeline's own name before the common one, the working directory before the pipeline's folder."""
    (folder / "sub").mkdir()
    task = {"source": "a.ipynb", "product": "{{out}}/{{cwd}}.ipynb"}
    for env, value in {"env.yaml": "common", "sub/env.yaml": "here", "env.x.yaml": "own"}.items():
        (folder / env).write_text(f"out: {value}\n")

    compare(folder, {"tasks": [task]})
    compare(folder, {"tasks": [task]}, name="pipeline.x.yaml")
    monkeypatch.chdir(folder / "sub")
    compare(folder, {"tasks": [task]})


def test_a_product_behind_a_link_is_where_the_link_leads(folder: Path) -> None:
    """Both the folder and the file may be links."""
    (folder / "real").mkdir()
    (folder / "linked").symlink_to("real")
    (folder / "real" / "link.ipynb").symlink_to(folder / "elsewhere.ipynb")

    compare(folder, {"tasks": [{**TASK_B, "source": "a.ipynb", "product": "linked/x.ipynb"}]})
    compare(folder, {"tasks": [{**TASK_B, "source": "a.ipynb", "product": "linked/link.ipynb"}]})


@pytest.mark.parametrize("name", ["credit"])
def test_the_reference_pipeline_is_plain(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines of this repository are read without Ploomber, and alike."""
    file = ROOT / "pipelines" / name / "pipeline.yaml"
    monkeypatch.chdir(file.parent)

    ours = load(file, ROOT)

    assert ours.dag is None
    same(ours, ploombers(file, ROOT))


HOOKS = "def check(product):\n    pass\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"tasks": [{**TASK_A, "on_finish": "hooks.check"}]}, id="a hook"),
        pytest.param({"tasks": [TASK_A], "on_failure": "hooks.check"}, id="a hook of the pipeline"),
        pytest.param(
            {"tasks": [{**TASK_A, "name": "a-[[rows]]", "product": "b/[[rows]].ipynb", "grid": {"rows": [1, 2]}}]},
            id="a grid",
        ),
        pytest.param({"tasks": [{**TASK_A, "static_analysis": "strict"}]}, id="an option of the task"),
        pytest.param({"tasks": [TASK_A], "meta": {"source_loader": {"path": "."}}}, id="a loader of sources"),
        pytest.param({"tasks": [TASK_A], "clients": {}}, id="clients"),
        pytest.param({"tasks": [TASK_A], "meta": {"jupyter_hot_reload": True, "extract_product": True}}, id="products"),
        pytest.param({"tasks": [{**TASK_A, "params": {"name": "hooks::check"}}]}, id="a value that is a function"),
        pytest.param({"tasks": [{"source": "hooks.check", "product": "x.txt"}]}, id="a function"),
        pytest.param({"tasks": [TASK_A, TASK_A]}, id="one name twice"),
        pytest.param({"tasks": [TASK_B]}, id="an upstream that is not there"),
        pytest.param({"tasks": [{**TASK_A, "product": "x.pdf"}]}, id="an ending that we do not make"),
        pytest.param({"tasks": [{**TASK_A, "product": "{{nowhere}}.ipynb"}]}, id="an unknown placeholder"),
        pytest.param({"tasks": [{**TASK_A, "product": "{{ 'x' | upper }}.ipynb"}]}, id="more of Jinja"),
        pytest.param({"tasks": [{**TASK_A, "name": "12"}]}, id="a name that is a number"),
        pytest.param({"tasks": [{**TASK_A, "upstream": ["a"]}]}, id="upstream in two places"),
        pytest.param({"tasks": [TASK_A], "executor": "hooks.check"}, id="an executor of others"),
        pytest.param("tasks:\n- &a {source: a.ipynb, product: x.ipynb, params: {more: &m ['1']}}\n- *a\n", id="alias"),
        pytest.param({"tasks": [{**TASK_A, "prodcut": "x"}]}, id="a misspelt key"),
        pytest.param({"tasks": [TASK_A], "excutor": "serial"}, id="a misspelt key at the top"),
        pytest.param("tasks:\n- {source: a.ipynb, product: b.md, params: {day: 2020-02-29}}\n", id="a date"),
        pytest.param({"tasks": []}, id="no task"),
        pytest.param("tasks: [\n", id="no YAML"),
    ],
)
def test_what_is_not_plain_is_left_to_ploomber(folder: Path, content: object) -> None:
    """Hooks, grids, anything misspelt: our reader says nothing, so that Ploomber does, or refuses."""
    (folder / "hooks.py").write_text(HOOKS)
    file = folder / "pipeline.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))

    assert reading.read(file, Memory()) is None


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("x.ipynb", notebook().replace("upstream = None\\n", ""), id="no word of its upstream"),
        pytest.param("x.ipynb", notebook(kernelspec={"name": "ir", "display_name": "R"}), id="the kernel of R"),
        pytest.param("x.ipynb", notebook(kernelspec={"name": "", "display_name": ""}), id="no kernel named"),
        pytest.param("x.ipynb", "\ufeff" + notebook(), id="a byte order mark"),
        pytest.param("x.py", '# %% tags=["parameters"]\nupstream = None\n', id="nothing after the parameters"),
        pytest.param(
            "x.py", '# %% tags=["parameters"]\nrows = 1; upstream = None\n\n# %%\n1\n', id="not first on a line"
        ),
    ],
)
def test_a_notebook_that_ploomber_would_not_take_is_left_to_it(folder: Path, source: str, text: str) -> None:
    """What it says of such a notebook is what counts."""
    (folder / source).write_text(text, encoding="utf-8")
    file = folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump([{"source": source, "product": "build/x.ipynb"}]))

    assert reading.read(file, Memory()) is None


@pytest.mark.parametrize("place", ["setup.py", "../setup.py", "env.yml"])
def test_a_layout_with_rules_of_its_own_is_left_to_ploomber(folder: Path, place: str) -> None:
    """A package is rooted elsewhere, and a file of placeholders with the wrong ending is refused."""
    sub = folder / "sub"
    sub.mkdir()
    (sub / place).resolve().write_text("")
    file = sub / "pipeline.yaml"
    file.write_text(yaml.safe_dump([{"source": "../a.ipynb", "product": "build/x.ipynb"}]))

    assert reading.read(file, Memory()) is None


def test_a_lone_notebook_is_read_alike(folder: Path) -> None:
    """A notebook that belongs to no pipeline, and a script."""
    for source in ("a.ipynb", "s.py"):
        file = folder / source
        ours = load(file, folder)

        product = folder / "build" / file.stem / f"{file.stem}.ipynb"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = dag.describe(dag.lone_dag(file, product), file=file, project=folder)
        assert ours.dag is None
        same(ours, theirs)


def test_what_is_remembered_is_what_is_read(folder: Path) -> None:
    """A second load takes all from memory, and says the same as the first."""
    file = folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump({"tasks": ALL}))
    first = load(file, folder)
    first.memory.save()

    second = load(file, folder)

    assert [path.name for path in (folder / ".nbproof/read").iterdir()] == ["pipeline.yaml.json"]
    same(second, first)
    assert second.notebooks["a"].said == first.notebooks["a"].said


TEXTS = st.one_of(
    st.sampled_from(
        ["1", "01", "1.5", "-2", "true", "None", "nUll", "a b", "'x'", "[1]", "{'a': 1}", "(1,)", "{1}", "x"]
    ),
    st.text(alphabet="ab1 .'[](){}:-_/%#", max_size=8),
    st.sampled_from(
        ["{{one}}", "{{ one }}x", "{{two}}{{one}}", "{{here}}", "{{three}}", "{{nine}}", "{{one.two}}", "{%x%}"]
    ),
)
VALUES = st.one_of(TEXTS, st.integers(-5, 5), st.booleans(), st.none(), st.floats(-2, 2), st.lists(TEXTS, max_size=2))
PARAMETER_VALUES = {
    "rows": st.one_of(st.integers(-5, 5), st.sampled_from(["7", "{{one}}", "{{five}}"])),
    "rate": st.one_of(st.floats(-2, 2), st.sampled_from([1, "0.5", "{{five}}"])),
    "name": TEXTS,
    "kind": st.sampled_from(["a", "b", "c"]),
    "more": VALUES,
}
ENVS = st.one_of(
    st.none(),
    st.fixed_dictionaries({"one": VALUES, "two": TEXTS, "five": st.just(5)}, optional={"_x": TEXTS, "cwd": TEXTS}),
)


@st.composite
def pipelines(draw: st.DrawFn, names: Sequence[str] = ("a", "b", "c", "s")) -> dict[str, Any]:
    """A pipeline of the first few notebooks, plausible for the most part."""
    reads = draw(st.booleans())
    tasks = []
    for number in range(draw(st.integers(1, 4))):
        name = names[number]
        folder = draw(st.sampled_from(["build", "build", "./x/../y", "{{two}}", "{{here}}/{{ five }}"]))
        ending = draw(st.sampled_from([".ipynb", ".ipynb", ".html", ".md", ".txt"]))
        path = f"{folder}/{name}{ending}"
        data = {"nb": path, "data": f"{folder}/{name}.csv"}
        task: dict[str, Any] = {
            "source": "s.py" if name == "s" else f"{name}.ipynb",
            "product": draw(st.sampled_from([path, data])),
        }
        if reads or draw(st.integers(0, 19)) == 0:
            task["upstream"] = draw(st.sampled_from([None, list(names[:number]), [], *names[:number]]))
        if draw(st.booleans()):
            keys = draw(st.sets(st.sampled_from(sorted(PARAMETER_VALUES)), max_size=2))
            task["params"] = {key: draw(PARAMETER_VALUES[key]) for key in sorted(keys)}
        if draw(st.integers(0, 9)) == 0:
            task |= draw(st.sampled_from([{"name": draw(TEXTS)}, {"product": draw(TEXTS)}, {"nb_product_key": "data"}]))
        tasks.append(task)
    return {"meta": {"extract_upstream": not reads}, "tasks": draw(st.permutations(tasks))}


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=pipelines(), env=ENVS)
def test_our_reader_means_what_ploomber_means(
    folder: Path, content: dict[str, Any], env: dict[str, Any] | None
) -> None:
    """Whatever is in the file: what our reader takes, Ploomber takes, and takes alike."""
    file = folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump(content))
    (folder / "env.yaml").unlink(missing_ok=True)
    if env is not None:
        (folder / "env.yaml").write_text(yaml.safe_dump(env))

    is_plain = told(lambda: reading.read(file, Memory())) is not None
    event("plain" if is_plain else "left to Ploomber")
    if not is_plain:
        return
    ours, theirs = told(lambda: load(file, folder)), told(lambda: ploombers(file, folder))

    if isinstance(theirs, Loaded):
        assert isinstance(ours, Loaded), ours
        assert ours.dag is None
        same(ours, theirs)
    else:
        assert ours == theirs


Result = TypeVar("Result")


def told(reader: Callable[[], Result]) -> Result | tuple[type[NbproofError], str]:
    """What a reader says, or why it refuses."""
    try:
        return reader()
    except NbproofError as error:
        return type(error), str(error)


def chain(count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        yield {"source": f"t{number}.ipynb", "product": f"build/t{number}.ipynb"}


def test_every_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of reading grows with the number of tasks, and not faster."""
    for number in range(40):
        above = f'["t{number - 1}"]' if number else "None"
        (tmp_path / f"t{number}.ipynb").write_text(notebook(above))
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(list(chain(40))))
    opened: list[str] = []
    read_bytes = Path.read_bytes

    def counted(path: Path) -> bytes:
        opened.append(os.fspath(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    load(file, tmp_path)

    assert len([path for path in opened if path.endswith(".ipynb")]) == 40
