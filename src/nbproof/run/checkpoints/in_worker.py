"""The worker's side of checkpoints: asks the kernel to store or restore, and keeps what goes with the values."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import CheckpointFailed
from ...notebook.code import INJECTED
from ...notebook.syntax import cell_tree
from ..sources.hashes import content_hash
from .kept import EXECUTED, MANIFEST, STAGED, VALUES, Manifest, complete, keep_artifacts

_CALL = """\
(lambda b, j, s: b.exec(b.compile({source}, '<nbproof checkpoint>', 'exec', dont_inherit=True), \
{{'__name__': 'nbproof_checkpoint', 'request': j.loads({request}), 'shell': s.get_ipython()}}))\
(__import__('builtins'), __import__('json'), __import__('IPython'))"""
_SOURCES = ("values.py", "comparing.py", "in_kernel.py")
_RELATIVE_IMPORT = re.compile(r"^from \.\w+ import (?:\([^)]*\)|[^\n(]*)\n|^from __future__[^\n]*\n", re.MULTILINE)


class CheckpointUnusableError(Exception):
    """The kernel could not be made what it was; it must not be used for anything else."""


@dataclass(frozen=True, slots=True)
class CheckpointOrder:
    """What a worker needs to know of checkpoints; all of it is JSON.

    `folder` is where those of the task lie, `planned` maps the id of a cell to what is kept after it, `staging` are the
    folders that the notebook writes products into, `resume` is the checkpoint to go on from.
    """

    folder: str
    run_id: str
    planned: Mapping[str, Mapping[str, Any]]
    staging: tuple[str, ...]
    project: str
    log: str
    resume: str | None = None


@dataclass(slots=True)
class Checkpoints:
    """The checkpoints of one execution. `before` and `after_cell` are called by the engine."""

    order: CheckpointOrder
    passed_over: tuple[str, ...]
    restored: list[str] = field(default_factory=list)

    def before(self, client: Any, nb: Any) -> int:
        """Make a fresh kernel ready; return how many cells need not run, for they were restored.

        Raises `CheckpointUnusableError` when the kernel cannot be made what it was.
        """
        self._ask(client, {"do": "begin", "own": self._own_folders()})
        if self.order.resume is None:
            return 0
        import nbformat

        folder, manifest = Path(self.order.resume), self._resumed_from()
        planned = self.order.planned[manifest.cell_id]
        problem = self._ask(client, {
            "do": "restore", "folder": str((folder / VALUES).resolve()), "replay": planned["replay"],
            "modules": manifest.modules, "hidden": manifest.hidden, "execution_count": manifest.execution_count,
        }).get("error")  # fmt: skip
        if problem:
            raise CheckpointUnusableError(problem)
        end = next(index for index, cell in enumerate(nb.cells) if cell.id == manifest.cell_id) + 1
        stored = nbformat.read(folder / EXECUTED, as_version=4)
        self._take_over(nb, end, stored.cells)
        nb.metadata["nbproof"] = {"restored": {"run": manifest.run_id, "cells": list(self.restored)}}
        return end

    def after_cell(self, client: Any, index: int) -> None:
        """Store a checkpoint if one belongs after this cell; raises `CheckpointFailed` when that cannot be done."""
        cell = client.nb.cells[index]
        planned = self.order.planned.get(cell.id)
        if planned is None:
            return
        draft = Path(self.order.folder, f".{uuid.uuid4().hex}")
        values = draft / VALUES
        draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        values.mkdir(parents=True, mode=0o700)
        draft.chmod(0o700)
        try:
            self._store(client, index, planned, draft)
        except OSError as error:
            raise CheckpointFailed(error.strerror or str(error)) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _store(self, client: Any, index: int, planned: Mapping[str, Any], draft: Path) -> None:
        answer = self._ask(
            client, {"do": "store", "folder": str((draft / VALUES).resolve()), "kinds": planned["kinds"]}
        )
        if "error" in answer:
            raise CheckpointFailed(answer["error"])
        for number, folder in enumerate(self.order.staging):
            self._copy_staged(Path(folder), draft / STAGED / str(number))
        keep_artifacts(Path(self.order.log), draft)
        import nbformat

        done = {**client.nb, "cells": client.nb.cells[: index + 1]}
        (draft / EXECUTED).write_text(nbformat.writes(nbformat.from_dict(done)), encoding="utf-8")
        files = {}
        for path in sorted(path for path in draft.rglob("*") if path.is_file()):
            _sync(path)
            found = content_hash(path)
            assert found is not None
            files[path.relative_to(draft).as_posix()] = found.hex
        written: dict[str, str | None] = {}
        earlier = self._resumed_from().written if self.order.resume else {}
        for name in sorted({*answer["written"], *earlier}):
            hashed = content_hash(Path(name))
            written[name] = hashed.hex if hashed else None
        complete(draft, Manifest(
            run_id=self.order.run_id, cell_id=client.nb.cells[index].id, cell=planned["number"],
            fingerprint=planned["fingerprint"], injected=planned["injected"], names=tuple(sorted(planned["kinds"])),
            files=files, written=written, modules=tuple(answer["modules"]), hidden=answer["hidden"],
            execution_count=answer["execution_count"], types=answer["types"],
        ), keep=[Path(self.order.resume).name] if self.order.resume else [])  # fmt: skip

    def _resumed_from(self) -> Manifest:
        assert self.order.resume is not None
        return Manifest.from_json(Path(self.order.resume, MANIFEST).read_bytes())

    def _copy_staged(self, source: Path, target: Path) -> None:
        target.mkdir(parents=True)
        for path in sorted(source.rglob("*")):
            if path.is_symlink():
                raise CheckpointFailed(f"the product `{path.name}` is a link, expected files that can be kept")
            if path in {Path(one) for one in self.passed_over}:
                continue
            if path.is_dir():
                (target / path.relative_to(source)).mkdir(parents=True, exist_ok=True)
            else:
                shutil.copy2(path, target / path.relative_to(source))

    def _own_folders(self) -> list[str]:
        return [str(Path(folder).resolve()) for folder in (*self.order.staging, self.order.folder)]

    def _ask(self, client: Any, request: dict[str, Any]) -> dict[str, Any]:
        """Have the kernel carry out `request` without a trace in the notebook; return its answer."""
        folder = Path(self.order.folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder.resolve() / f".{uuid.uuid4().hex}.json"
        request = {**request, "answer": str(path), "project": self.order.project}
        source = kernel_source()
        # One expression binds no name, whatever happens in it.
        code = _CALL.format(source=repr(source), request=repr(json.dumps(request)))
        try:
            client.wait_for_reply(client.kc.execute(code, silent=True, store_history=False, allow_stdin=False))
            answer: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            answer = {"error": "the kernel gave no answer"}
        finally:
            path.unlink(missing_ok=True)
        return answer

    def _take_over(self, nb: Any, end: int, stored: list[Any]) -> None:
        """Give the cells above the checkpoint the outputs that they had; only their comments may have changed since."""
        ran = [cell for cell in stored if _has_code(cell)]
        now = [cell for cell in nb.cells[:end] if _has_code(cell)]
        if len(ran) != len(now):
            raise CheckpointUnusableError("its executed cells are not those above the checkpoint")
        for cell, before in zip(now, ran, strict=True):
            cell.outputs, cell.execution_count = before.outputs, before.execution_count
            cell.metadata.papermill = before.metadata.papermill
            self.restored.append(cell.id)


def _has_code(cell: Any) -> bool:
    if cell.cell_type != "code":
        return False
    if {INJECTED, "parameters"} & {*cell.metadata.get("tags", [])}:
        return True
    try:
        return bool(cell_tree(cell.source).body)
    except SyntaxError:
        return True


@lru_cache(maxsize=1)
def kernel_source() -> str:
    """What a kernel runs: modules of ours as one text, since it may not have nbproof."""
    texts = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _SOURCES]
    joined = "\n".join(_RELATIVE_IMPORT.sub("", text) for text in texts)
    return f"from __future__ import annotations\n{joined}\nanswer_to(request, shell)\n"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def from_start(order: CheckpointOrder, passed_over: tuple[str, ...], prepared: str) -> Checkpoints:
    """The same checkpoints for a run from the first cell: what was restored of the products goes."""
    for folder in order.staging:
        for path in Path(folder).iterdir():
            if path != Path(prepared):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Checkpoints(replace(order, resume=None), passed_over)


def order_from(found: Mapping[str, Any]) -> CheckpointOrder:
    """Read what `asdict` and JSON made of an order."""
    return CheckpointOrder(**{**found, "staging": tuple(found["staging"])})


def as_planned(number: int, kinds: Mapping[str, str], replay: Any, fingerprint: Any, injected: str) -> dict[str, Any]:
    """One entry of `CheckpointOrder.planned`."""
    return {
        "number": number, "kinds": dict(kinds), "replay": [asdict(one) for one in replay],
        "fingerprint": asdict(fingerprint), "injected": injected,
    }  # fmt: skip
