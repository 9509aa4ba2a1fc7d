"""The command line: parameters as options, one line for whatever is wrong, and what the run gives."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.machinery
import json
import os
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from ._results import Results
from ._surroundings import lay_out

DONE, FAILED, ASKED_WRONGLY = 0, 1, 2
# In this order the members of a union are tried; what is not named comes first, and text takes whatever is left.
_TRIED = ("literal", "none", "bool", "int", "float", "list", "tuple", "set", "dict", "datetime", "date", "path",
          "secret", "str", "any")  # fmt: skip
_CONTAINERS = ("list", "tuple", "set", "dict")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"error: {message}\nhint: {self.prog} --help\n")
        raise SystemExit(ASKED_WRONGLY)


def carry_out(
    name: str,
    about: str,
    run: Callable[..., Results],
    parameters: Sequence[Any] = (),
    checked: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    arguments: Sequence[str] | None = None,
) -> int:
    """Read the command line, run, and tell what came of it; the exit code comes back.

    It is 0 when all went well, 1 when the run failed, and 2 when something was asked wrongly.
    """
    parser = _parser(name, about, parameters)
    options = vars(parser.parse_args(arguments))
    as_json, out, is_traced = options.pop("_json"), options.pop("_out"), options.pop("_traceback")
    types = {each.name: each.type for each in parameters}
    texts = {given: text for given, text in options.items() if text is not None}
    values = {given: read(types[given], text) for given, text in texts.items()}
    try:
        checked(values)
    except ValueError as error:
        parser.error(str(error))
    # What the notebook prints is none of the one document that a machine reads.
    speaking = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    os.environ.setdefault("MPLBACKEND", "agg")
    try:
        with speaking, _settling():
            if out is not None:
                os.chdir(_laid_out(out))
            results = run(**values)
            figures = list(_drawn(results, out))
    except Exception as error:
        if is_traced:
            raise
        sys.stderr.write(f"error: {_in_one_line(error)}\n")
        return FAILED
    if as_json:
        sys.stdout.write(json.dumps(scalars(results), ensure_ascii=False, indent=2) + "\n")
    else:
        _tell(results, figures)
    return DONE


class _Settled(importlib.machinery.SourceFileLoader):
    """Load the steps, and with them their libraries, which stay until the process ends: nobody looks for garbage there.

    Python would go through all of them again and again while they are loaded, and once more at the end, which takes a
    quarter of the time that many libraries need.
    """

    def exec_module(self, module: types.ModuleType) -> None:
        gc.disable()
        try:
            super().exec_module(module)
            gc.freeze()
        finally:
            gc.enable()


class _Finder:
    """Where the steps are found, as everywhere else, and how they are loaded."""

    @staticmethod
    def find_spec(name: str, path: Any, target: Any = None) -> Any:
        if name != f"{__package__}.steps":
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path, target)
        if found is not None and isinstance(found.loader, importlib.machinery.SourceFileLoader):
            found.loader = _Settled(name, found.loader.path)
        return found


@contextlib.contextmanager
def _settling() -> Iterator[None]:
    """Let the steps be loaded for a process that is theirs alone."""
    finder: Any = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def read(kind: Any, text: str) -> Any:
    """Return what a text stands for in a type; one that fits nothing comes back as it is, to be refused later.

    Lists, tuples, sets and dicts are written as JSON, booleans as true or false, `null` is None.
    """
    for value in _readings(kind, text):
        return value
    return text


def scalars(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are one number, text, or yes or no, as JSON holds them."""
    found: dict[str, Any] = {}
    for name, value in results.items():
        one = value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value
        if isinstance(one, float) and (one != one or one in (float("inf"), float("-inf"))):
            found[name] = str(one)
        elif one is None or isinstance(one, bool | int | float | str):
            found[name] = one
        elif isinstance(one, date | Path):
            found[name] = one.isoformat() if isinstance(one, date) else one.as_posix()
    return found


def _parser(name: str, about: str, parameters: Sequence[Any]) -> argparse.ArgumentParser:
    # An abbreviation would change its meaning when another parameter is added.
    parser = _Parser(prog=f"python -m {name}", description=about, allow_abbrev=False)
    for each in parameters:
        words = each.description or each.words
        told = "must be given" if each.is_required else f"{_spelled(each.default)} when not given"
        parser.add_argument(
            *dict.fromkeys((f"--{each.name.replace('_', '-')}", f"--{each.name}")),
            dest=each.name,
            metavar=each.annotation.replace(" ", ""),
            help=f"{words} ({told})".replace("%", "%%"),
        )
    own = parser.add_argument_group("what becomes of the results")
    own.add_argument("--json", dest="_json", action="store_true", help="print the plain values as one JSON document")
    own.add_argument("--out", dest="_out", metavar="DIR", type=Path, help="work in this folder: files, and figures/")
    own.add_argument("--traceback", dest="_traceback", action="store_true", help="show where an error came from")
    return parser


def _spelled(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return repr(text) if not text or " " in text else text


def _laid_out(place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    return lay_out(place.resolve())


def _drawn(results: Results, out: Path | None) -> Iterator[Path]:
    if out is None:
        return
    folder = Path("figures")
    for cell, figures in results.figures.items():
        for number, figure in enumerate(figures, start=1):
            folder.mkdir(exist_ok=True)
            path = folder / f"{cell}-{number}.png"
            figure.savefig(path)
            yield path


def _in_one_line(error: Exception) -> str:
    said = " ".join(str(error).split())
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {said}{notes}"


def _tell(results: Results, figures: Sequence[Path]) -> None:
    plain = scalars(results)
    for name, value in results.items():
        shape = getattr(value, "shape", None)
        size = " × ".join(map(str, shape)) if isinstance(shape, tuple) else ""
        kind = " ".join(filter(None, (type(value).__name__, size)))
        sys.stdout.write(f"{name} = {plain[name]}\n" if name in plain else f"{name}: {kind}\n")
    for path in (*results.files, *figures):
        sys.stdout.write(f"wrote {path}\n")


def _readings(kind: Any, text: str) -> Iterator[Any]:
    if kind.kind == "union":
        ordered = sorted(kind.parts, key=lambda part: _TRIED.index(part.kind) if part.kind in _TRIED else 0)
        for part in ordered:
            yield from _readings(part, text)
    elif kind.kind == "literal":
        yield from (choice for choice in kind.choices if text in _spellings(choice))
    elif kind.kind in _CONTAINERS or kind.kind == "any":
        yield from _json(kind, text)
    elif kind.kind in ("str", "path", "secret"):
        yield text
    else:
        yield from _scalars(kind.kind, text)


def _spellings(choice: Any) -> tuple[str, ...]:
    if isinstance(choice, bool):
        return str(choice), str(choice).lower()
    return ("None", "null") if choice is None else (str(choice),)


def _json(kind: Any, text: str) -> Iterator[Any]:
    try:
        value = json.loads(text)
    except ValueError:
        if kind.kind == "any":
            yield None if text == "None" else text
        return
    if kind.kind == "any" or isinstance(value, dict if kind.kind == "dict" else list):
        yield value


def _scalars(kind: str, text: str) -> Iterator[Any]:
    if kind == "none" and text in ("null", "None"):
        yield None
    if kind == "bool" and text in ("true", "True", "false", "False"):
        yield text.lower() == "true"
    # Python reads no whole number of more than 4300 digits; nobody means one.
    if kind == "int" and len(text) < 1000 and re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*", text):
        yield int(text)
    if kind == "float" and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        yield float(text)
    if kind in ("date", "datetime"):
        with contextlib.suppress(ValueError):
            yield (date if kind == "date" else datetime).fromisoformat(text)
