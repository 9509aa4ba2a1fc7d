"""The notebooks of a folder joined by the files that they share: who writes what, who reads it, in which order."""

from __future__ import annotations

import fnmatch
import keyword
import posixpath
import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path, PurePosixPath

from ..errors import PipelineInvalid
from ..notebook.document import Document
from .cells import CodeCell
from .remarks import Remark
from .touching import Touch, Touches
from .values import Constants

BUILD = "build"
GIVEN = "given"
_SAVES = re.compile(r"save|write|dump|export|store|upload|to_", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A notebook as it was found: `path` within its folder, `name` what its task is called."""

    path: PurePosixPath
    name: str
    document: Document
    cells: tuple[CodeCell, ...]
    constants: Constants
    touches: Touches
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """What a path of the code stands for: a product of the notebook, one of another notebook, or data.

    `place` is relative to the folder of the pipeline. `task` and `key` name a product; `key` names the parameter of
    data. `is_folder` and `pattern` belong to folders whose content is listed.
    """

    kind: str
    place: str
    key: str
    task: str = ""
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """One notebook with the role of each path that its code names."""

    notebook: Foreign
    products: Mapping[str, str]
    upstream: Mapping[str, Mapping[str, str]]
    data: Mapping[str, str]
    roles: tuple[tuple[Touch, Role], ...]
    edits_uses: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A pipeline as it is proposed; `data` maps places in the pipeline's folder to files outside."""

    tasks: tuple[Planned, ...]
    data: Mapping[str, Path]
    missing: tuple[str, ...]
    folders: tuple[str, ...]
    remarks: tuple[Remark, ...]


def identifier(text: str, *, prefix: str) -> str:
    """A name of Python made of any text.

    >>> identifier("01 Load & clean", prefix="nb"), identifier("Épreuve.csv", prefix="file")
    ('nb_01_load_clean', 'epreuve_csv')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()
    if not name or name[0].isdigit() or keyword.iskeyword(name) or name in ("match", "case", "type"):
        return f"{prefix}_{name}".strip("_")
    return name


def free(name: str, taken: Iterable[str]) -> str:
    """`name`, or the first of `name_2`, `name_3`, … that is not taken."""
    held, found, number = set(taken), name, 2
    while found in held:
        found, number = f"{name}_{number}", number + 1
    return found


class _Joining:
    """The plan while it is made."""

    def __init__(self, folder: Path, notebooks: Sequence[Foreign]) -> None:
        self.folder, self.notebooks = folder, notebooks
        self.remarks: list[Remark] = []
        self._places: dict[str, str] = {}
        self.writers: dict[str, list[Foreign]] = defaultdict(list)
        self.given: dict[str, Path] = {}
        self.missing: list[str] = []

    def plan(self) -> Plan:
        for notebook in self.notebooks:
            for source in dict.fromkeys(
                self.source(notebook, t) for t in notebook.touches.known if t.action == "write"
            ):
                self.writers[source].append(notebook)
        self._check_writers()
        planned = [self._planned(notebook) for notebook in self.notebooks]
        ordered = self._ordered(planned)
        folders = {
            self.place(self._normal(notebook, folder))
            for notebook in self.notebooks
            for folder in notebook.touches.folders
            if (self.folder / self._normal(notebook, folder)).is_dir()
        }
        return Plan(tuple(ordered), dict(self.given), tuple(dict.fromkeys(self.missing)), tuple(sorted(folders)),
                    tuple(self.remarks))  # fmt: skip

    # Places

    def source(self, notebook: Foreign, touch: Touch) -> str:
        """The file that a path means, relative to the folder that was given, or absolute."""
        return self._normal(notebook, touch.path)

    def place(self, source: str) -> str:
        """Where that file lies in the pipeline's folder: two files never in one place."""
        if source not in self._places:
            found, taken = place_of(source), self._places.values()
            while found in taken or found.startswith((f"{BUILD}/nb_", ".")):
                found = f"outside/{found}".replace("/.", "/")
            self._places[source] = found
        return self._places[source]

    def _normal(self, notebook: Foreign, path: str) -> str:
        if "\\" in path and not (self.folder / path).exists():
            # Written on Windows.
            path = path.replace("\\", "/")
        if re.match(r"[A-Za-z]:/", path) or path.startswith(("/", "~")):
            inside = posixpath.normpath(path)
            root = self.folder.resolve().as_posix()
            return posixpath.relpath(inside, root) if inside.startswith(f"{root}/") else inside
        return posixpath.normpath(posixpath.join(str(notebook.path.parent), path))

    def _file(self, source: str) -> Path:
        return Path(source).expanduser() if source.startswith(("/", "~")) else self.folder / source

    # Writers

    def _readers(self, source: str, writers: Sequence[Foreign]) -> list[Foreign]:
        return [
            found for found in self.notebooks
            if found not in writers
            and any(touch.action == "read" and self.source(found, touch) == source for touch in found.touches.known)
        ]  # fmt: skip

    def _check_writers(self) -> None:
        for source, writers in self.writers.items():
            if len(writers) < 2:
                continue
            names = ", ".join(f"`{found.path}`" for found in writers)
            readers = self._readers(source, writers)
            if readers:
                raise PipelineInvalid(
                    self.folder,
                    f"{len(writers)} notebooks that write `{source}` ({names}), which `{readers[0].path}` reads",
                    "one notebook that writes a file",
                    hint=f"leave all of them out but one: --without {shlex.quote(str(writers[-1].path))}",
                )
            self.remarks.append(
                Remark(
                    "",
                    0,
                    0,
                    f"`{source}` is written by {names}: each writes one of its own, and no notebook reads them",
                )
            )

    # Roles

    def _planned(self, notebook: Foreign) -> Planned:
        known = [touch for touch in notebook.touches.known if touch.is_sure or self._is_known(notebook, touch)]
        sure = {id(node) for touch in known if touch.is_sure for node in (touch.use, touch.origin)}
        known = [touch for touch in known if touch.is_sure or id(touch.use) not in sure]
        products = self._products(notebook)
        upstream: dict[str, dict[str, str]] = defaultdict(dict)
        data: dict[str, str] = {}
        roles: list[tuple[Touch, Role]] = []
        in_place = self._in_place(notebook)
        for touch in known:
            role = self._role(notebook, touch, products, data, in_place)
            if role is None:
                continue
            roles.append((touch, role))
            if role.kind == "upstream":
                upstream[role.task][role.key] = role.place
            elif role.kind == "upstream folder":
                for name, keys in self._listed(notebook, touch).items():
                    upstream[name].update(keys)
        return Planned(
            notebook, dict(products.values()), dict(upstream),
            {name: place for place, name in data.items()}, tuple(roles), bool(in_place),
        )  # fmt: skip

    def _is_known(self, notebook: Foreign, touch: Touch) -> bool:
        source = self.source(notebook, touch)
        return source in self.writers or self._file(source).is_file()

    def _products(self, notebook: Foreign) -> dict[str, tuple[str, str]]:
        """What a notebook writes: by file, its key and its place."""
        found: dict[str, tuple[str, str]] = {}
        for touch in notebook.touches.known:
            source = self.source(notebook, touch)
            if touch.action != "write" or source in found:
                continue
            file = PurePosixPath(source)
            taken = {"nb", *(key for key, _ in found.values())}
            key = identifier(file.stem, prefix="file")
            if key in taken:
                key = free(identifier(file.name, prefix="file"), taken)
            shared = len(self.writers[source]) > 1
            found[source] = key, f"{BUILD}/{notebook.name}/{file.name}" if shared else self.place(source)
        return found

    def _in_place(self, notebook: Foreign) -> dict[str, int]:
        """The files that are there before the notebook reads and then writes them: each with where it first writes."""
        first: dict[str, dict[str, int]] = defaultdict(dict)
        for touch in notebook.touches.known:
            if touch.is_sure:
                first[self.source(notebook, touch)].setdefault(touch.action, touch.order)
        found = {}
        for source, orders in first.items():
            if (
                "write" in orders
                and orders.get("read", orders["write"]) < orders["write"]
                and self._file(source).is_file()
            ):
                found[source] = orders["write"]
        return found

    def _role(
        self, notebook: Foreign, touch: Touch, products: Mapping[str, tuple[str, str]], data: dict[str, str],
        in_place: Mapping[str, int],
    ) -> Role | None:  # fmt: skip
        source = self.source(notebook, touch)
        if touch.action == "list":
            return self._folder_role(notebook, touch, source, data)
        if source in products and not (touch.action == "read" and touch.order < in_place.get(source, 0)):
            key, place = products[source]
            return Role("product", place, key)
        writers = [found for found in self.writers.get(source, ()) if found is not notebook]
        if writers:
            key, place = self._products(writers[0])[source]
            return Role("upstream", place, key, writers[0].name)
        if not touch.is_sure and _SAVES.search(touch.called):
            self._say(
                notebook, touch, f"`{touch.called}` is handed `{source}` and may write it, which is not followed",
                f"if it does: name `{source}` in `product` here and in pipeline.yaml, and hand on `product[\"…\"]`",
            )  # fmt: skip
            return None
        if source in in_place:
            self._say(
                notebook, touch, f"reads `{source}` and writes it again: the file as it is now is data, and what is "
                "written is the product that other notebooks read",
            )  # fmt: skip
            return self._data_role(notebook, source, f"{GIVEN}/{self.place(source)}", data)
        return self._data_role(notebook, source, self.place(source), data)

    def _data_role(self, notebook: Foreign, source: str, place: str, data: dict[str, str]) -> Role:
        file = self._file(source)
        if file.exists():
            self.given[place] = file
        else:
            self.missing.append(place)
        if place not in data:
            taken = {*notebook.constants.used, *data.values(), "product", "upstream", "Path"}
            name = identifier(PurePosixPath(place).name, prefix="file")
            data[place] = name if name not in taken else free(f"{name}_path", taken)
        return Role("data", place, data[place], is_folder=file.is_dir())

    # Folders that are listed

    def _listed(self, notebook: Foreign, touch: Touch) -> dict[str, dict[str, str]]:
        """The products of other notebooks that listing a folder would find."""
        folder = self.source(notebook, touch)
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for source, writers in self.writers.items():
            inside = _within(source, folder)
            pattern = touch.pattern.removeprefix("**/")
            if inside is None or notebook in writers or len(writers) > 1:
                continue
            if fnmatch.fnmatch(inside, touch.pattern) or fnmatch.fnmatch(PurePosixPath(inside).name, pattern):
                key, place = self._products(writers[0])[source]
                found[writers[0].name][key] = place
        return found

    def _folder_role(self, notebook: Foreign, touch: Touch, source: str, data: dict[str, str]) -> Role | None:
        listed = self._listed(notebook, touch)
        if listed:
            return Role("upstream folder", self.place(source), "", is_folder=True)
        file = self._file(source)
        if source in (".", "") or not file.is_dir():
            if not file.is_dir() and not any(_within(written, source) for written in self.writers):
                self._say(notebook, touch, f"lists `{touch.path}`, which is not there", "put the folder there")
            elif source in (".", ""):
                self._say(notebook, touch, "lists the folder that it runs in: what it finds there is not followed",
                          "name the files")  # fmt: skip
            return None
        if any(_within(written, source) is not None for written in self.writers):
            self._say(notebook, touch, f"lists `{touch.path}`, in which notebooks write: what it finds is not followed",
                      "name the files")  # fmt: skip
            return None
        return self._data_role(notebook, source, self.place(source), data)

    def _say(self, notebook: Foreign, touch: Touch, words: str, edit: str = "") -> None:
        line = touch.use_cell.span(touch.use).line
        remark = Remark(str(notebook.path), touch.use_cell.number, line, words, edit)
        if remark not in self.remarks:
            self.remarks.append(remark)

    # Order

    def _ordered(self, planned: Sequence[Planned]) -> Iterator[Planned]:
        of_name = {found.notebook.name: found for found in planned}
        graph = {name: set(found.upstream) for name, found in of_name.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            names = list(reversed(error.args[1]))
            steps = []
            for above, below in pairwise(names):
                files = ", ".join(f"`{place}`" for place in of_name[below].upstream[above].values())
                steps.append(f"`{of_name[below].notebook.path}` reads {files} of `{of_name[above].notebook.path}`")
            raise PipelineInvalid(
                self.folder, f"a cycle: {'; '.join(steps)}", "notebooks that can be run one after the other",
                hint=f"leave one of them out: --without {shlex.quote(str(of_name[names[-1]].notebook.path))}",
            ) from None  # fmt: skip
        done: set[str] = set()
        while len(done) < len(planned):
            # In the order of the folder wherever the files allow it.
            found = next(p for p in planned if p.notebook.name not in done and graph[p.notebook.name] <= done)
            done.add(found.notebook.name)
            yield found


def plan(folder: Path, notebooks: Sequence[Foreign]) -> Plan:
    """Join `notebooks`, found in `folder`.

    Raises `PipelineInvalid` for a cycle, and where two notebooks write a file that a third one reads.
    """
    return _Joining(folder, notebooks).plan()


def place_of(source: str) -> str:
    """Where a file of the folder lies in the pipeline's folder; what lay outside is taken in.

    >>> place_of("data/x.csv"), place_of("../../raw/x.csv"), place_of("/mnt/share/x.csv"), place_of("../x.csv")
    ('data/x.csv', 'raw/x.csv', 'outside/x.csv', 'x.csv')
    """
    if source.startswith(("/", "~")) or re.match(r"[A-Za-z]:/", source):
        return f"outside/{PurePosixPath(source).name}"
    parts = [part for part in PurePosixPath(source).parts if part != ".."]
    return str(PurePosixPath(*parts)) if parts else "outside"


def _within(source: str, folder: str) -> str | None:
    """The path of a file below a folder, None where it does not lie there."""
    if folder in (".", ""):
        return source if not source.startswith(("/", "~", "..")) else None
    return source.removeprefix(f"{folder}/") if source.startswith(f"{folder}/") else None
