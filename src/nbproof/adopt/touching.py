"""Which files the code of a notebook reads and writes: told by the calls that are known to do so, and by literal paths.

Whoever calls something else with the path of a file that is there, or that another notebook writes, reads it.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from .cells import CodeCell
from .remarks import Remark
from .values import Constants, Evaluation, UnknownError, Value, dotted

Action = Literal["read", "write", "list"]

_READERS = {
    "read_csv", "read_table", "read_parquet", "read_excel", "read_json", "read_feather", "read_pickle", "read_hdf",
    "read_html", "read_xml", "read_stata", "read_sas", "read_spss", "read_orc", "read_fwf", "read_file", "scan_csv",
    "scan_parquet", "read_ipc", "read_ndjson", "loadtxt", "genfromtxt", "fromfile", "imread", "open_dataset",
    "load_workbook", "ExcelFile", "load", "load_model", "load_npz", "read_ply", "read_edgelist", "read_graphml",
    "loadmat", "safe_load_file", "load_file",
}  # fmt: skip
# The keyword by which readers and writers take the path where it is not the first argument.
_PATH_WORDS = (
    "filepath_or_buffer", "path_or_buf", "path_or_buffer", "path", "fname", "filename", "file", "io", "fp", "f",
    "excel_writer", "filepath", "buf", "source", "name",
)  # fmt: skip
_WRITERS = {
    "to_csv", "to_parquet", "to_excel", "to_json", "to_feather", "to_pickle", "to_hdf", "to_html", "to_xml", "to_stata",
    "to_latex", "to_markdown", "to_orc", "to_file", "to_netcdf", "to_zarr", "write_csv", "write_parquet", "write_json",
    "write_ipc", "write_ndjson", "write_excel", "write_image", "write_html", "savefig", "imsave", "imwrite", "savetxt",
    "savez", "savez_compressed", "save_npz", "save_model", "savemat", "save", "dump", "ExcelWriter", "write_table",
    "write_graphml", "write_edgelist", "save_file", "PdfPages",
}  # fmt: skip
# The object comes first, the path second.
_PATH_SECOND = {
    "joblib.dump", "torch.save", "pyarrow.parquet.write_table", "skops.io.dump", "sklearn.externals.joblib.dump",
    "networkx.write_graphml", "networkx.write_edgelist", "cloudpickle.dump", "safetensors.torch.save_file",
}  # fmt: skip
_OPENERS = {"open", "ZipFile", "File"}
_LOADERS = {"joblib.load", "torch.load", "numpy.load", "cloudpickle.load"}
# What is added to a name without an ending.
_ENDINGS = {"numpy.save": ".npy", "numpy.savez": ".npz", "numpy.savez_compressed": ".npz"}
_RECEIVERS: Mapping[str, Action] = {
    "write_text": "write", "write_bytes": "write", "read_text": "read", "read_bytes": "read", "iterdir": "list",
    "glob": "list", "rglob": "list",
}  # fmt: skip
_LISTERS = {"listdir", "scandir", "walk", "glob", "iglob", "ImageFolder", "image_dataset_from_directory"}
_DATABASES = {"sqlite3.connect", "duckdb.connect", "sqlalchemy.create_engine"}
_MOVERS = {"shutil.move", "os.rename", "os.replace", "os.remove", "os.unlink", "shutil.rmtree", "shutil.copytree"}
_COPIERS = {"shutil.copy", "shutil.copyfile", "shutil.copy2"}
_FOLDER_CHANGERS = {"os.chdir"}
# These take a path as well as a text.
_TAKES_PATHS = re.compile(
    r"open|io\.open|gzip\.open|bz2\.open|codecs\.open|PIL\.Image\.open|(?:pandas|polars|geopandas)\.read_\w+|"
    r"numpy\.(?:load|loadtxt|genfromtxt|fromfile)|joblib\.load|torch\.load|pathlib\.Path|os\.path\.\w+|os\.listdir|"
    r"os\.scandir|print|len|str|repr"
)
_URL = re.compile(r"[A-Za-z][\w+.-]*://|s3:|gs:|hdfs:")
_PATH_LIKE = re.compile(r"[^\n\0<>{}|\"*?]{1,250}")
_MODE = re.compile(r"[rwax][bt+]{0,2}")
_HAS_SUFFIX = re.compile(r".*[\w)\]-]\.[A-Za-z][A-Za-z0-9]{0,9}")
_BUFFERS = {"StringIO", "BytesIO", "open", "urlopen", "get", "ZipFile"}


@dataclass(frozen=True, slots=True)
class Touch:
    """A file that an expression names.

    `path` is as the code says it, `origin` the expression to exchange for another name of the same file, in `cell`, and
    `use` the expression that is handed over; `order` grows with the code. `is_path_object` says that the expression is
    a `pathlib` path, `takes_path` that one would do, `name` which constant stands for it, and `parts` which constants
    it is put together from.
    """

    action: Action
    path: str
    cell: CodeCell
    use: ast.expr
    use_cell: CodeCell
    origin: ast.expr
    order: int
    is_path_object: bool
    takes_path: bool
    name: str = ""
    parts: frozenset[str] = frozenset()
    pattern: str = ""
    has_pattern: bool = False
    is_sure: bool = True
    called: str = ""


@dataclass(frozen=True, slots=True)
class Touches:
    """What was found in one notebook; `folders` are where it writes under names that are made while it runs."""

    known: tuple[Touch, ...]
    remarks: tuple[Remark, ...]
    folders: tuple[str, ...]


class Finder:
    """One notebook while its files are looked for."""

    def __init__(self, notebook: str, cells: tuple[CodeCell, ...], known: Constants) -> None:
        self._notebook, self._cells, self._known = notebook, cells, known
        self._found: list[Touch] = []
        self._remarks: list[Remark] = []
        self._folders: list[str] = []
        self._order, self._base = 0, ""
        self._opened = {
            item.optional_vars.id
            for cell in cells
            for node in ast.walk(cell.tree)
            if isinstance(node, ast.With | ast.AsyncWith)
            for item in node.items
            if isinstance(item.optional_vars, ast.Name)
        }

        self._followed = set(_followed(cells))

    def find(self) -> Touches:
        """Every file that is named in a way that can be followed, and a remark for every other way."""
        for cell in self._cells:
            self._visit(cell.tree, cell, "")
        return Touches(tuple(self._found), tuple(self._remarks), tuple(dict.fromkeys(self._folders)))

    def _visit(self, node: ast.AST, cell: CodeCell, called: str) -> None:
        self._order += 1
        if isinstance(node, ast.expr) and not isinstance(node, ast.Name):
            value, names = self._worth(node)
            if isinstance(value, str | PurePosixPath):
                # It could be the path of a file: whoever knows which files there are will tell.
                if _is_named_file(str(value)):
                    self._note("read", value, node, cell, names, called, is_sure=False)
                return
        # Before Python 3.12 nobody knows where the expressions in such a text stand; texts that are compared or looked
        # up name no file.
        if isinstance(node, ast.JoinedStr | ast.Compare):
            return
        if isinstance(node, ast.Call):
            self._call(node, cell)
            called = dotted(node.func, self._known) or getattr(node.func, "attr", "")
        passed_over: list[ast.expr | None] = []
        if isinstance(node, ast.Subscript):
            passed_over = [node.slice]
        elif isinstance(node, ast.Dict):
            passed_over = node.keys
        for child in ast.iter_child_nodes(node):
            if child not in passed_over:
                self._visit(child, cell, called)

    def _call(self, node: ast.Call, cell: CodeCell) -> None:
        called = dotted(node.func, self._known)
        last = node.func.attr if isinstance(node.func, ast.Attribute) else called.rpartition(".")[2]
        if called in _FOLDER_CHANGERS:
            self._change_folder(node)
            self._say(node, cell, f"`{cell.text(node)[:60]}` changes the folder that paths are relative to",
                      "take the line out: notebooks run in the folder of pipeline.yaml")  # fmt: skip
        elif called in _DATABASES:
            self._say(node, cell, f"`{cell.text(node)[:60]}`: what is kept in a database is not followed",
                      "write what another notebook needs to a file")  # fmt: skip
        elif called in _MOVERS:
            self._say(node, cell, f"`{cell.text(node)[:60]}` moves or removes files, which is not followed",
                      "write each product once, under its own name")  # fmt: skip
        elif called in _COPIERS and len(node.args) >= 2:
            self._take("read", node.args[0], node, cell, called)
            self._take("write", node.args[1], node, cell, called)
        elif last in _OPENERS:
            self._open(node, cell, called)
        elif last in _RECEIVERS and isinstance(node.func, ast.Attribute) and self._is_path(node.func.value):
            self._take(_RECEIVERS[last], node.func.value, node, cell, called)
        elif last in _LISTERS and node.args:
            self._take("list", node.args[0], node, cell, called)
        elif last in _WRITERS:
            self._write(node, cell, called, last)
        elif last in _READERS:
            path = self._path_of(node, 0)
            if path is not None:
                self._take("read", path, node, cell, called, is_strict=last == "load" and called not in _LOADERS)

    def _change_folder(self, node: ast.Call) -> None:
        """Paths below are relative to that folder, as far as anybody can tell."""
        value = self._worth(node.args[0])[0] if node.args else None
        if isinstance(value, str | PurePosixPath):
            self._base = posixpath.join(self._base, str(value))

    def _write(self, node: ast.Call, cell: CodeCell, called: str, last: str) -> None:
        is_second = called in _PATH_SECOND or (last == "save" and called.startswith("torch"))
        path = self._path_of(node, 1 if is_second else 0)
        if path is None:
            return
        if last in ("dump", "save") and not is_second and not isinstance(self._worth(path)[0], str | PurePosixPath):
            # The first argument is the object: `json.dump(held, opened)`, `numpy.save(path, held)` being the exception.
            second = self._path_of(node, 1) if last == "dump" else None
            if second is None or not isinstance(self._worth(second)[0], str | PurePosixPath):
                if last == "save" and len(node.args) == 1 and self._could_be_path(path):
                    self._take("write", path, node, cell, called)
                return
            path = second
        self._take("write", path, node, cell, called, is_strict=last in ("save", "dump"))

    def _could_be_path(self, node: ast.expr) -> bool:
        return isinstance(node, ast.JoinedStr | ast.BinOp) or (
            isinstance(node, ast.Call) and dotted(node.func, self._known) in ("os.path.join", "pathlib.Path")
        )

    def _open(self, node: ast.Call, cell: CodeCell, called: str) -> None:
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        # `folder.open("w")`: whatever it is that is opened so, its mode is no path.
        is_mode = (
            len(node.args) > 0 and isinstance(node.args[0], ast.Constant) and _MODE.fullmatch(str(node.args[0].value))
        )
        is_method = receiver is not None and (self._is_path(receiver) or bool(is_mode))
        path = receiver if is_method else self._path_of(node, 0)
        if path is None:
            return
        at = 0 if is_method else 1
        given = node.args[at] if len(node.args) > at else None
        given = next((word.value for word in node.keywords if word.arg == "mode"), given)
        mode = given.value if isinstance(given, ast.Constant) else "r" if given is None else None
        if not isinstance(mode, str):
            self._say(node, cell, f"`{cell.text(node)[:60]}` reads or writes: its mode is made while it runs",
                      "write the mode as a text")  # fmt: skip
            return
        if called.startswith("webbrowser"):
            return
        self._take("write" if set(mode) & set("wax+") else "read", path, node, cell, called)

    def _path_of(self, node: ast.Call, at: int) -> ast.expr | None:
        if len(node.args) > at and not isinstance(node.args[at], ast.Starred):
            return node.args[at]
        return next((word.value for word in node.keywords if word.arg in _PATH_WORDS), None)

    def _is_path(self, node: ast.expr) -> bool:
        return isinstance(self._worth(node)[0], PurePosixPath)

    def _worth(self, node: ast.expr) -> tuple[Value | None, frozenset[str]]:
        evaluation = Evaluation(self._known)
        try:
            return evaluation.value(node), frozenset(evaluation.names)
        except UnknownError:
            return None, frozenset()

    def _take(
        self, action: Action, path: ast.expr, call: ast.Call, cell: CodeCell, called: str, *, is_strict: bool = False
    ) -> None:
        value, names = self._worth(path)
        if value is None:
            if not is_strict:
                self._unknown(action, path, call, cell)
            return
        if not isinstance(value, str | PurePosixPath) or _URL.match(str(value)):
            return
        if called in _ENDINGS and isinstance(value, str) and not PurePosixPath(value).suffix:
            value += _ENDINGS[called]
        if action == "list":
            self._list(value, path, call, cell, names)
        elif is_strict and not _is_named_file(str(value)):
            if action == "write":
                self._say(call, cell, f"`{cell.text(call)[:60]}` may write files that are not followed",
                          "write to a path with an ending")  # fmt: skip
        elif _PATH_LIKE.fullmatch(str(value)):
            self._note(action, value, path, cell, names, called, is_sure=True)

    def _list(self, value: Value, path: ast.expr, call: ast.Call, cell: CodeCell, names: frozenset[str]) -> None:
        folder, pattern, has_pattern = str(value), "", False
        called = call.func
        if isinstance(called, ast.Attribute) and called.attr in ("glob", "rglob") and self._is_path(called.value):
            pattern = str(self._worth(call.args[0])[0] or "*") if call.args else "*"
        elif any(sign in folder for sign in "*?["):
            parts, has_pattern = PurePosixPath(folder).parts, True
            at = next(number for number, part in enumerate(parts) if any(sign in part for sign in "*?["))
            folder, pattern = str(PurePosixPath(*parts[:at])), str(PurePosixPath(*parts[at:]))
        self._note("list", PurePosixPath(folder) if isinstance(value, PurePosixPath) else folder, path, cell, names,
                   dotted(call.func, self._known), is_sure=True, pattern=pattern or "*",
                   has_pattern=has_pattern)  # fmt: skip

    def _note(
        self, action: Action, value: Value, path: ast.expr, cell: CodeCell, names: frozenset[str], called: str, *,
        is_sure: bool, pattern: str = "", has_pattern: bool = False,
    ) -> None:  # fmt: skip
        origin, home, name = path, cell, ""
        while isinstance(origin, ast.Name) and origin.id in self._known.definitions:
            name = origin.id
            definition = self._known.definitions[name]
            origin, home = definition.value, definition.cell
        takes_path = _TAKES_PATHS.fullmatch(called) is not None or isinstance(value, PurePosixPath)
        said = posixpath.join(self._base, str(value))
        self._found.append(
            Touch(action, said, home, path, cell, origin, self._order, isinstance(value, PurePosixPath),
                  takes_path, name, names - {name}, pattern, has_pattern, is_sure, called)
        )  # fmt: skip

    def _unknown(self, action: Action, path: ast.expr, call: ast.Call, cell: CodeCell) -> None:
        if isinstance(path, ast.Name) and path.id in self._opened | (self._followed if action == "read" else set()):
            return
        inner = path.func if isinstance(path, ast.Call) else path
        if getattr(inner, "attr", getattr(inner, "id", "")) in _BUFFERS:
            return
        # A figure is no path.
        if isinstance(path, ast.Constant) or action == "list" or getattr(inner, "attr", "") in ("gcf", "figure"):
            return
        prefix = self._prefix(path)
        if action == "write" and prefix:
            self._folders.append(prefix)
        below = f" below `{prefix}`" if prefix else ""
        verb = "writes" if action == "write" else "reads"
        edit = (
            'if another notebook needs it: name it in `product` here and in pipeline.yaml, and write to `product["…"]`'
            if action == "write"
            else "make it a parameter typed Path, or name the product in `upstream`"
        )
        self._say(call, cell, f"{verb} a path that is made while it runs{below}: `{cell.text(path)[:60]}`", edit)

    def _prefix(self, path: ast.expr) -> str:
        """The folder that a path lies in for certain, whatever the rest of it is."""
        first: ast.expr | None = None
        if isinstance(path, ast.BinOp):
            first = path.left
        elif isinstance(path, ast.Call) and path.args:
            first = path.args[0]
        elif isinstance(path, ast.JoinedStr) and path.values:
            text = ""
            for part in path.values:
                value = self._worth(part.value if isinstance(part, ast.FormattedValue) else part)[0]
                if not isinstance(value, str):
                    break
                text += value
            return text.rpartition("/")[0]
        value = self._worth(first)[0] if first is not None else None
        return str(value).rstrip("/") if isinstance(value, str | PurePosixPath) and str(value) not in (".", "") else ""

    def _say(self, node: ast.expr, cell: CodeCell, words: str, edit: str) -> None:
        self._remarks.append(Remark(self._notebook, cell.number, cell.span(node).line, words, edit))


def _followed(cells: Iterable[CodeCell]) -> Iterator[str]:
    """The names that stand for files which are found elsewhere: those of a listed folder, and those of a default."""
    found: set[str] = set()
    nodes = [node for cell in cells for node in ast.walk(cell.tree)]
    for _ in range(3):
        for node in nodes:
            if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) and _lists(node.iter, found):
                found |= {held.id for held in ast.walk(node.target) if isinstance(held, ast.Name)}
            elif isinstance(node, ast.Assign) and _lists(node.value, found):
                found |= {held.id for target in node.targets for held in ast.walk(target) if isinstance(held, ast.Name)}
    yield from found
    for node in nodes:
        if isinstance(node, ast.arguments):
            named = [*node.posonlyargs, *node.args]
            pairs = [*zip(named[len(named) - len(node.defaults) :], node.defaults, strict=True),
                     *zip(node.kwonlyargs, node.kw_defaults, strict=True)]  # fmt: skip
            yield from (each.arg for each, default in pairs if isinstance(default, ast.Constant | ast.BinOp | ast.Call))


def _lists(node: ast.expr, found: Collection[str]) -> bool:
    return any(
        (isinstance(held, ast.Attribute) and held.attr in (*_LISTERS, "iterdir", "rglob"))
        or (isinstance(held, ast.Name) and (held.id in found or held.id in _LISTERS))
        for held in ast.walk(node)
    )


def _is_named_file(text: str) -> bool:
    """Whether a text could name a file: one line with an ending, and no address."""
    return bool(_PATH_LIKE.fullmatch(text) and _HAS_SUFFIX.fullmatch(text) and not _URL.match(text))
