"""What a run leaves: values by name, and what each cell of the notebook showed and drew."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ._surroundings import cell_that_runs, notebook, prepared


class Results(Mapping[str, Any]):
    """The values that a run leaves behind, by the names that they have in the notebook.

    `displayed` holds what each cell showed, as it was then, and `figures` what it drew, by the cell's id; `drawings`
    are hashes of these figures' pixels at the end of their cell. `files` are those that were written in the working
    folder, by their names from there.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._values: dict[str, Any] = {}
        self.displayed: dict[str, list[Any]] = {}
        self.figures: dict[str, list[Any]] = {}
        self.drawings: dict[str, list[str]] = {}
        self.files: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Any:
        """Return the value called `name`."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the values."""
        return len(self._values)

    def _keep(self, values: Mapping[str, Any]) -> None:
        self._values.update(values)


# What pandas takes for the most columns that it writes, in a kernel; 0 in a terminal: as many as fit.
_COLUMNS, _IN_A_KERNEL = "display.max_columns", 20
# The renderer that plotly chooses in a kernel.
_PLOTLY = "plotly_mimetype"
_CURRENT: ContextVar[Results | None] = ContextVar("results", default=None)


@contextlib.contextmanager
def collecting() -> Iterator[Results]:
    """Collect what is kept, shown, drawn and written within the block."""
    results = Results()
    token = _CURRENT.set(results)
    try:
        with prepared(results.files), _writing_tables(), _displaying(), _showing_figures():
            yield results
    finally:
        _CURRENT.reset(token)


@contextlib.contextmanager
def _writing_tables() -> Iterator[None]:
    """Let pandas write as many columns as in a kernel: elsewhere it leaves out what is wider than a screen."""
    if not notebook()["tables"]:
        yield
        return
    changed: list[Any] = []

    def write_all(pandas: Any) -> None:
        if pandas.get_option(_COLUMNS) == 0:
            pandas.set_option(_COLUMNS, _IN_A_KERNEL)
            changed.append(pandas)

    finder = _Finder("pandas", write_all)
    if "pandas" in sys.modules:
        write_all(sys.modules["pandas"])
    # The notebook may have to say something before it is loaded.
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for pandas in changed:
            if pandas.get_option(_COLUMNS) == _IN_A_KERNEL:
                pandas.set_option(_COLUMNS, 0)


class _Finder:
    """Finds one module as ever, and does something with it once it is loaded."""

    def __init__(self, name: str, then: Callable[[Any], None]) -> None:
        """Remember the module's name, and what is to be done."""
        self._name, self._then = name, then

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> Any:
        """Return where the module is; nothing for another one."""
        if name != self._name:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            load = loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                self._then(module)

            loader.exec_module = exec_module
        return spec


@contextlib.contextmanager
def _displaying() -> Iterator[None]:
    """Let libraries that display something show it for the cell that runs, where the notebook has such cells."""
    if not notebook()["displaying"]:
        yield
        return
    import importlib

    before = importlib.import_module("IPython.display").display

    def display(*values: Any, display_id: Any = None, **options: Any) -> Any:
        cell = cell_that_runs("displaying")
        if not cell:
            return before(*values, display_id=display_id, **options)
        return show(cell, *values, display_id=display_id)

    with _in_place_of(before, display), _plotly_displaying():
        yield


@contextlib.contextmanager
def _plotly_displaying() -> Iterator[None]:
    """Let plotly, where it is loaded by now or later, hand its pictures to `display`, as it does in a notebook."""
    asked = os.environ.get("PLOTLY_RENDERER")
    plotly = sys.modules.get("plotly.io")
    before = plotly.renderers.default if plotly is not None else None
    os.environ["PLOTLY_RENDERER"] = asked or _PLOTLY
    if plotly is not None and not asked:
        plotly.renderers.default = _PLOTLY
    try:
        yield
    finally:
        if asked is None:
            os.environ.pop("PLOTLY_RENDERER", None)
        if plotly is not None:
            plotly.renderers.default = before


@contextlib.contextmanager
def _showing_figures() -> Iterator[None]:
    """Let `pyplot.show` keep what is drawn so far and close it, as in a notebook: what comes is another figure."""
    if not notebook()["showing"]:
        yield
        return
    import importlib

    before = importlib.import_module("matplotlib.pyplot").show

    def show_figures(*arguments: Any, **options: Any) -> Any:
        cell = cell_that_runs("showing")
        return keep_figures(cell) if cell else before(*arguments, **options)

    with _in_place_of(before, show_figures):
        yield


@contextlib.contextmanager
def _in_place_of(old: Any, new: Any) -> Iterator[None]:
    """Put another function wherever a module has imported one, by whichever name, until the block ends."""
    _replace_everywhere(old, new)
    try:
        yield
    finally:
        _replace_everywhere(new, old)


def _replace_everywhere(old: Any, new: Any) -> None:
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name in [name for name, value in list(names.items()) if value is old]:
            names[name] = new


def keep(**values: Any) -> None:
    """Keep values of a run under their names."""
    results = _CURRENT.get()
    if results is not None:
        results._keep(values)


def keep_bound(names: Mapping[str, Any], *wanted: str) -> None:
    """Keep those of the wanted names that have a value: a loop or a branch may not have come to them."""
    keep(**{name: names[name] for name in wanted if name in names})


def show(
    cell: str,
    *values: Any,
    as_it_is: bool = False,
    display_id: Any = None,
    **_options: Any,
) -> Handle | None:
    """Keep what the notebook's cell shows; `as_it_is` now, if the value is to change later."""
    results = _CURRENT.get()
    shown = [value for value in values if value is not None]
    if results is not None and shown:
        results.displayed.setdefault(cell, []).extend(map(_as_it_is, shown) if as_it_is else shown)
    return Handle(cell, str(display_id)) if display_id else None


class Handle:
    """The place of something that is shown: what is shown in its stead later is kept behind it."""

    def __init__(self, cell: str, display_id: str) -> None:
        """Remember the cell."""
        self._cell, self.display_id = cell, display_id

    def display(self, value: Any, **_options: Any) -> None:
        """Keep one more value that the cell shows."""
        show(self._cell, value)

    def update(self, value: Any, **_options: Any) -> None:
        """Keep the value that is shown from now on."""
        show(self._cell, value)


def _as_it_is(value: Any, known: dict[int, Any] | None = None) -> Any:
    """Return a copy that later cells cannot change, as far as there can be one."""
    known = {} if known is None else known
    if id(value) in known:
        return known[id(value)]
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    made = value
    if pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series):
        # From version 3 on a frame that shares its data never sees what is written into another.
        made = _copied_table(value, known, is_deep=int(pandas.__version__.split(".")[0]) < 3)
    elif numpy is not None and type(value) is numpy.ndarray:
        made = value.copy(order="K")
    elif type(value) is list:
        made = known[id(value)] = []
        made.extend(_as_it_is(each, known) for each in value)
    elif type(value) is dict:
        made = known[id(value)] = {}
        made.update((key, _as_it_is(each, known)) for key, each in value.items())
    elif type(value) is tuple:
        made = tuple(_as_it_is(each, known) for each in value)
    # A copy of what is drawn would be drawn, too.
    elif not type(value).__module__.startswith("matplotlib."):
        import copy

        with contextlib.suppress(Exception):
            made = copy.deepcopy(value)
    known[id(value)] = made
    return made


def _copied_table(value: Any, known: dict[int, Any], *, is_deep: bool) -> Any:
    """Return a copy of a frame or series; pandas itself forgets the class of one that does not say how it is made."""
    made = value.copy(deep=is_deep)
    if type(made) is not type(value):
        made.__class__ = type(value)
        vars(made).update(
            (name, _as_it_is(held, known)) for name, held in vars(value).items() if name not in vars(made)
        )
    return made


def keep_figures(cell: str) -> None:
    """Keep the figures that are open, as the notebook shows them at the end of a cell, and close them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    results = _CURRENT.get()
    if pyplot is None:
        return
    import hashlib

    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        figure.canvas.draw()
        if results is not None:
            results.figures.setdefault(cell, []).append(figure)
            drawing = hashlib.sha256(bytes(figure.canvas.buffer_rgba())).hexdigest()
            results.drawings.setdefault(cell, []).append(drawing)
    pyplot.close("all")
