"""The files of a package, by their paths in its folder."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from ...notebook import digest as digests
from ...notebook.document import Document
from ..reading import Reading
from ..shaping.package import Shaped
from ..shaping.tidying import tidied
from ..working import Working, vendored
from .requirements import Requirements, tops

_BACKEND = "hatchling"
# A version that hardly any machine lacks; what is written does not depend on it.
_OLDEST_BACKEND = "1.27"


@dataclass(frozen=True, slots=True)
class Described:
    """What is said of a package: its name, the notebook it came from, and whether anybody approved of that."""

    name: str
    title: str
    notebook: str
    digest: str
    approved_by: str = ""
    generator: str = ""

    @property
    def version(self) -> str:
        """Other content, another version."""
        return f"1.0.0+n{self.digest[:12]}"

    @property
    def standing(self) -> str:
        """In one sentence, whether it may be relied on."""
        if self.approved_by:
            return f"The notebook was approved by {self.approved_by}."
        return "This is a draft: nobody has approved the notebook."


def described(name: str, shaped: Shaped, document: Document, *, approved_by: str) -> Described:
    """What is said of the package of a notebook."""
    return Described(
        name,
        shaped.title.strip().rstrip("."),
        document.path.name,
        digests.digest(document).hex,
        approved_by,
        f"nbproof {metadata.version('nbproof')}",
    )


def sources(told: Described, reading: Reading, shaped: Shaped, needed: Working) -> dict[str, bytes]:
    """Everything below `src/NAME/`, the small data and the local modules included."""
    modules = {name: text.encode() for name, text in shaped.modules.items()}
    modules["__init__.py"] = _marked(shaped.modules["__init__.py"], told).encode()
    modules["__main__.py"] = _main(told, has_contract="_contract.py" in shaped.modules).encode()
    modules["_command.py"] = _template("_command.py")
    modules["_notebook.json"] = _notebook(told, reading, shaped, needed)
    for written in ("__init__.py", "__main__.py", "_command.py"):
        modules[written] = tidied(modules[written].decode()).encode()
    modules["py.typed"] = b""
    for held in needed.along:
        modules[f"_data/{held.path}"] = held.source.read_bytes()
    for name, held in needed.modules:
        modules[f"_modules/{vendored(name, held)}"] = held.source.read_bytes()
    return {f"src/{told.name}/{name}": content for name, content in modules.items()}


def project(told: Described, required: Requirements, tests_need: Sequence[str]) -> dict[str, bytes]:
    """What makes it installable: `pyproject.toml`, the lock, and a container."""
    return {
        "pyproject.toml": _pyproject(told, required, tests_need).encode(),
        "requirements.lock": _lock(told, required).encode(),
        "Containerfile": _containerfile(told, required).encode(),
    }


def bare(document: Document) -> bytes:
    """The notebook without what running it left; its digest is the same."""
    if document.path.suffix != ".ipynb":
        return document.path.read_bytes()
    cells = []
    for cell in document.content["cells"]:
        kept = {name: cell[name] for name in ("cell_type", "id", "source", "attachments") if name in cell}
        tags = cell["metadata"].get("tags")
        kept["metadata"] = {"tags": tags} if tags else {}
        if cell["cell_type"] == "code":
            kept |= {"outputs": [], "execution_count": None}
        cells.append(kept)
    about = {name: value for name, value in document.content["metadata"].items()
             if name in ("kernelspec", "language_info")}  # fmt: skip
    content = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": document.content["nbformat_minor"]}
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True).encode("utf-8", "surrogatepass") + b"\n"


def _template(name: str) -> bytes:
    return resources.files("nbproof.export").joinpath("templates", name).read_bytes()


def _marked(entrance: str, told: Described) -> str:
    """The module that users import, with what it came from, and whether it is but a draft."""
    tree = ast.parse(entrance)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom | ast.If)]
    last = max((node.end_lineno or 0 for node in imports), default=tree.body[0].end_lineno or 0)
    lines = entrance.split("\n")
    constants = ["", f"# Of {told.notebook}, as `nbproof` counts it.", f'NOTEBOOK_DIGEST = "{told.digest}"']
    if not told.approved_by:
        constants += ["# Nobody has approved the notebook.", "IS_DRAFT = True"]
    return "\n".join([*lines[:last], *constants, *lines[last:]])


def _main(told: Described, *, has_contract: bool) -> str:
    about = json.dumps(f"{told.title}. {told.standing}", ensure_ascii=False)
    lines = [
        f'"""The command line of what was {told.notebook}: `python -m {told.name} --help`."""',
        "",
        "from __future__ import annotations",
        "",
        "import sys",
        "",
        "from . import run",
        "from ._command import carry_out",
        *(["from ._contract import PARAMETERS, checked"] if has_contract else []),
        "",
        f"ABOUT = {about}",
        "",
        "",
        "def main() -> None:",
        '    """Carry out one command line, then leave with its exit code."""',
        f'    sys.exit(carry_out("{told.name}", ABOUT, run{", PARAMETERS, checked" if has_contract else ""}))',
        "",
        "",
        'if __name__ == "__main__":',
        "    main()",
    ]
    return "\n".join(lines) + "\n"


def _notebook(told: Described, reading: Reading, shaped: Shaped, needed: Working) -> bytes:
    """The way back: for each line of a module that came from the notebook, the cell and the line in it."""
    written = {step.number: step.lines for step in reading.steps}
    lines = {
        module: [
            [at, origin[0], _line_of(written.get(origin[0], ()), origin[1])]
            for at, origin in enumerate(origins, start=1) if origin is not None
        ]
        for module, origins in shaped.origins.items()
    }  # fmt: skip
    places = {str(number): place for number, place in reading.places.items()}
    about: dict[str, Any] = {
        "name": told.notebook,
        "digest": told.digest,
        "folder": needed.folder,
        "folders": list(needed.folders),
        **({"places": places} if places else {}),
        **({"tables": True} if "pandas" in tops(reading) else {}),
        **({"displaying": {str(cell): own for cell, own in shaped.displaying.items()}} if shaped.displaying else {}),
        **({"showing": {str(cell): own for cell, own in shaped.showing.items()}} if shaped.showing else {}),
    }
    head = "".join(f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)},\n" for name, value in about.items())
    # A module in a line, so that a difference shows which one changed.
    body = ",\n".join(f"  {json.dumps(module)}: {json.dumps(held)}" for module, held in sorted(lines.items()))
    return f'{{\n{head} "lines": {{\n{body}\n }}\n}}\n'.encode()


def _line_of(lines: Sequence[int], at: int) -> int:
    return lines[at - 1] if 0 < at <= len(lines) else at


def _pyproject(told: Described, required: Requirements, tests_need: Sequence[str]) -> str:
    major, minor, *_ = required.python.split(".")
    dependencies = "".join(f'    "{line}",\n' for line in required.direct)
    listed = f"[\n{dependencies}]" if dependencies else "[]"
    about = json.dumps(f"{told.title} (from {told.notebook})", ensure_ascii=False)
    return f"""\
[build-system]
requires = ["{_BACKEND}>={_OLDEST_BACKEND}"]
build-backend = "hatchling.build"

[project]
name = "{told.name.replace("_", "-")}"
version = "{told.version}"
description = {about}
readme = "README.md"
# Nothing was proven with another one.
requires-python = "=={major}.{minor}.*"
# What the run loaded, as it was; all that these require in turn is in requirements.lock.
dependencies = {listed}

[project.optional-dependencies]
test = {json.dumps(list(tests_need))}

[project.scripts]
{told.name.replace("_", "-")} = "{told.name}.__main__:main"

[tool.hatch.build]
# Data belongs to it, whatever a version control leaves out.
ignore-vcs = true

[tool.hatch.build.targets.wheel]
packages = ["src/{told.name}"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["src"]

[tool.ruff]
# What lay beside the notebook is as its authors wrote it.
extend-exclude = ["_data", "_modules"]

[tool.ruff.lint]
extend-select = ["ANN", "D"]
# Each says the opposite of another one.
ignore = ["D203", "D213"]

[tool.mypy]
files = ["src"]
exclude = ["/_data/", "/_modules/"]
disallow_untyped_defs = true
# In a notebook a name may take a value of another type.
allow_redefinition = true
# A library without types is anything.
ignore_missing_imports = true
"""


def _lock(told: Described, required: Requirements) -> str:
    head = f"# What {told.notebook} ran with, on Python {required.python}: pip install -r requirements.lock\n"
    return head + "".join(f"{line}\n" for line in required.lock)


def _containerfile(told: Described, required: Requirements) -> str:
    major, minor, *_ = required.python.split(".")
    return f"""\
# Any image with this Python will do, also where nothing can be pulled: --build-arg BASE=IMAGE
ARG BASE=python:{required.python}-slim
FROM ${{BASE}}

# Where wheels come from, for whoever builds without a network or from an index of his own.
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PATH=/environment/bin:$PATH
RUN useradd --create-home --uid 10001 worker && mkdir /work && chown worker /work \\
    && python{major}.{minor} -m venv /environment
COPY requirements.lock /package/
RUN pip install --no-cache-dir -r /package/requirements.lock
COPY pyproject.toml README.md /package/
COPY src /package/src
RUN pip install --no-cache-dir --no-deps /package

# What it writes goes to /work: mount a folder there that user 10001 may write.
USER 10001
WORKDIR /work
ENV MPLBACKEND=agg PYTHONHASHSEED=0
ENTRYPOINT ["python", "-m", "{told.name}"]
"""


def plain(value: Any) -> Any:
    """A value for JSON: paths and tuples as it holds them."""
    if isinstance(value, Mapping):
        return {str(name): plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(held) for held in value]
    return value.as_posix() if isinstance(value, Path) else value
