"""A project made of a folder of foreign notebooks: its files, and all that is to be said of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .folder import look
from .planning import BUILD, Plan, Planned, plan
from .remarks import Remark, Rewritten
from .rewriting import Copied, made_copy

LARGEST_COPY = 10_000_000


@dataclass(frozen=True, slots=True)
class Task:
    """One notebook of the proposal, in words for whoever reads it."""

    name: str
    source: str
    upstream: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is written: texts by their path in the project, copies with where they come from, and empty folders.

    `named` are files that notebooks read and that were not copied: each place, and why.
    """

    texts: Mapping[PurePosixPath, str]
    copies: Mapping[PurePosixPath, Path]
    folders: tuple[PurePosixPath, ...]
    tasks: tuple[Task, ...]
    rewritten: tuple[Rewritten, ...]
    remarks: tuple[Remark, ...]
    named: Mapping[str, str]

    @property
    def edits(self) -> tuple[str, ...]:
        """What is left to do by hand, one line each."""
        found = [f"{remark}; to do: {remark.edit}" for remark in self.remarks if remark.edit]
        return (*(f"put {why} at `{place}`" for place, why in self.named.items()), *found)


def propose(folder: Path, name: str, *, kernels: Collection[str] = (), without: Collection[str] = ()) -> Proposal:
    """Propose a project called `name` for the notebooks in `folder`; nothing is run and nothing is written.

    `kernels` are those that this machine knows: a notebook of another one gets `python3`. The same folder gives the
    same proposal. Raises `AskedWrongly` where there is no notebook, and `PipelineInvalid` for a cycle or for two
    writers of one file that is read.
    """
    found = look(folder, without=without)
    joined = plan(folder, found.notebooks)
    home = PurePosixPath("pipelines", name)
    copied = {planned.notebook.name: made_copy(planned, kernel=_kernel(planned.notebook.document.kernel, kernels))
              for planned in joined.tasks}  # fmt: skip
    copies, named = _data(joined, home)
    copies |= {home / place: file for place, file in found.modules.items()}
    texts = {
        PurePosixPath("notebooks", f"{task}.ipynb"): json.dumps(made.content, indent=1, ensure_ascii=False) + "\n"
        for task, made in copied.items()
    }
    texts[home / "pipeline.yaml"] = _pipeline(joined)
    remarks = (
        *found.remarks, *joined.remarks,
        *(remark for planned in joined.tasks for remark in planned.notebook.remarks),
        *(remark for made in copied.values() for remark in made.remarks),
        *_of_kernels(joined, kernels),
    )  # fmt: skip
    proposal = Proposal(
        texts=texts, copies=copies,
        # Where something is to be put by hand, the folder is there.
        folders=(*(home / place for place in joined.folders), *((home / place).parent for place in named)),
        tasks=tuple(_task(planned, copied[planned.notebook.name]) for planned in joined.tasks),
        rewritten=tuple(change for made in copied.values() for change in made.rewritten),
        remarks=tuple(dict.fromkeys(remarks)), named={str(home / place): why for place, why in named.items()},
    )  # fmt: skip
    texts[PurePosixPath("ADOPTED.md")] = _page(folder, proposal)
    return proposal


def _kernel(named: str, kernels: Collection[str]) -> str:
    return named if not kernels or named in kernels else "python3"


def _of_kernels(joined: Plan, kernels: Collection[str]) -> list[Remark]:
    return [
        Remark(str(planned.notebook.path), 0, 0, f"its kernel `{named}` is not known here: `python3` instead")
        for planned in joined.tasks
        if (named := planned.notebook.document.kernel) != _kernel(named, kernels)
    ]


def _data(joined: Plan, home: PurePosixPath) -> tuple[dict[PurePosixPath, Path], dict[str, str]]:
    """The data that is small enough to be copied, and what is to be put there by hand."""
    copies: dict[PurePosixPath, Path] = {}
    named = dict.fromkeys(joined.missing, "the file that is read there, which was not found,")
    for place, file in sorted(joined.data.items()):
        inside = [file] if file.is_file() else sorted(found for found in file.rglob("*") if found.is_file())
        size = sum(found.stat().st_size for found in inside)
        if size > LARGEST_COPY:
            named[place] = f"a link to `{file}` ({size / 1e6:.0f} MB)"
            continue
        for found in inside:
            copies[home / place / found.relative_to(file) if file.is_dir() else home / place] = found
    return copies, named


def _pipeline(joined: Plan) -> str:
    import yaml

    tasks = [
        {
            "source": f"../../notebooks/{planned.notebook.name}.ipynb",
            "name": planned.notebook.name,
            "product": {
                "nb": f"{BUILD}/{planned.notebook.name}.ipynb",
                # What spells a value of Python would be taken for one.
                **{
                    key: place if "." in place or "/" in place else f"./{place}"
                    for key, place in planned.products.items()
                },
            },
        }
        for planned in joined.tasks
    ]
    shown = yaml.safe_dump({"meta": {"extract_upstream": True}, "tasks": tasks}, sort_keys=False, allow_unicode=True)
    return "# Which notebook makes which files. Paths are relative to this folder, where the notebooks run.\n" + shown


def _task(planned: Planned, copied: Copied) -> Task:
    reads = [place for keys in planned.upstream.values() for place in keys.values()]
    return Task(
        planned.notebook.name, str(planned.notebook.path), tuple(sorted(planned.upstream)),
        (*reads, *planned.data.values()), tuple(planned.products.values()), copied.parameters,
    )  # fmt: skip


def _page(folder: Path, proposal: Proposal) -> str:
    """What was taken over and how, to be read beside the notebooks."""
    lines = [
        "# Where these notebooks come from", "",
        f"They were copied from the folder `{folder.name}` by `nbproof init --from`, without their outputs.",
        "The originals are as they were.",
        "Each copy has a `parameters` cell, and names its files by what they are in the pipeline.", "",
        "| task | notebook | after | reads | writes | parameters |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for task in proposal.tasks:
        shown = [", ".join(f"`{held}`" for held in part) for part in
                 (task.upstream, task.reads, task.writes, task.parameters)]  # fmt: skip
        lines.append(f"| `{task.name}` | `{task.source}` | " + " | ".join(shown) + " |")
    parts = (
        ("To do by hand", proposal.edits),
        ("What was decided", tuple(str(remark) for remark in proposal.remarks if not remark.edit)),
        ("What was changed in the code", tuple(str(change) for change in proposal.rewritten)),
    )
    for title, entries in parts:
        if entries:
            lines += ["", f"## {title}", "", *(f"- {entry}" for entry in entries)]
    return "\n".join(lines) + "\n"


def write(proposal: Proposal, project: Path) -> tuple[str, ...]:
    """Write the files of a proposal below `project`; returns their paths in the project, in order."""
    for path, text in proposal.texts.items():
        _place(project / path).write_text(text, encoding="utf-8")
    for path, file in proposal.copies.items():
        shutil.copyfile(file, _place(project / path))
    for path in proposal.folders:
        (project / path).mkdir(parents=True, exist_ok=True)
    return tuple(sorted(str(path) for path in (*proposal.texts, *proposal.copies)))


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
