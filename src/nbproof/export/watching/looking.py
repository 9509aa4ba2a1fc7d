"""Looking at values: what tells one from another, also for what a notebook shows: figures, styled tables, widgets."""

from __future__ import annotations

import datetime
import hashlib
import io
import re
import typing
from typing import Any

from ...run.checkpoints.comparing import Digest
from ...run.checkpoints.values import Unstorable, library

_BY_ADDRESS: Any = object.__hash__
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))


class Look(Digest):
    """A hash of a value down to its last bit.

    What is drawn with matplotlib counts by its type alone; with `is_drawing`, by the pixels of the figure it belongs
    to. To look into a figure would cost more than to draw it, and find out where it lies in memory. Looks that share
    `pictures`, while nothing runs between them, draw each figure once. How a value `is_shown` does not tell how it
    lies in memory.
    """

    def __init__(
        self, *, is_drawing: bool = False, pictures: dict[int, str] | None = None, is_shown: bool = False
    ) -> None:
        super().__init__()
        self.tells_layout = not is_shown
        self.is_drawing = is_drawing
        self.pictures: dict[int, str] = {} if pictures is None else pictures
        self.alone: dict[int, str] = {}

    def walk_inside(self, value: Any, kind: type) -> None:
        if _is(value, "matplotlib.artist", "Artist"):
            if self.is_drawing:
                self.put(self.pixels(value))
        elif _is(value, "matplotlib.container", "Container"):
            self.all(value)
        elif _is(value, "matplotlib.cbook", "CallbackRegistry") or _is(value, "matplotlib.animation", "Animation"):
            # Who is told of a change, and how far it has gone, depends on how often it was drawn.
            return
        elif kind in (set, frozenset) and any(type(each).__hash__ is _BY_ADDRESS for each in value):
            # They stand in the order of where they lie in memory, which is nobody's doing.
            self.put(len(value))
            self.all(sorted(value, key=self._of_itself))
        elif isinstance(value, _VIEWS):
            self.all(value)
        elif kind is re.Pattern:
            self.put(value.pattern, value.flags)
        elif kind is typing.ForwardRef:
            # Where its name will be looked up is part of it.
            self.put(value.__forward_arg__, str(value.__forward_module__))
        elif kind is re.Match:
            self.put(value.re.pattern, value.string, value.regs)
        elif _is(value, "pandas.io.formats.style", "Styler"):
            self.walk(value.data)
            self.put(value.to_html(table_uuid="table"))
        elif _is(value, "ipywidgets.widgets.widget", "Widget"):
            self.put(sorted((name, held) for name, held in value.get_state().items() if _is_said(held)))
        elif isinstance(value, io.IOBase):
            raise Unstorable("a file that is open cannot be looked into")
        else:
            super().walk_inside(value, kind)

    def _of_itself(self, value: Any) -> str:
        """A hash of a part by itself, as if nothing else had been walked."""
        if id(value) not in self.alone:
            # What leads back to itself is told apart no further.
            self.alone[id(value)] = ""
            look = Look(is_drawing=self.is_drawing, pictures=self.pictures, is_shown=not self.tells_layout)
            look.alone = self.alone
            self.alone[id(value)] = look.of(value)
        return self.alone[id(value)]

    def column(self, values: Any) -> None:
        """Also take numbers of which some are missing at once."""
        mask: Any = getattr(values, "_mask", None)
        numbers: Any = getattr(values, "_data", None)
        if mask is None or getattr(numbers, "dtype", None) is None or numbers.dtype.hasobject:
            super().column(values)
            return
        # What lies below a gap is whatever was there.
        self.put(type(values).__name__, repr(values.dtype), mask.tobytes(), numbers[~mask].tobytes())

    def alike(self, values: list[Any]) -> bool:
        """Also take many dates at once, and texts of which some are missing."""
        if super().alike(values):
            return True
        kinds = set(map(type, values))
        if kinds == {datetime.date}:
            self.put("dates", ",".join(map(datetime.date.isoformat, values)).encode("ascii"))
            return True
        missing = {id(value): value for value in values if type(value) is not str}
        if str not in kinds or len(missing) != 1:
            return False
        (gap,) = missing.values()
        is_nan = isinstance(gap, float) and gap != gap
        if gap is not None and not is_nan and type(gap).__name__ != "NAType":
            return False
        self.put("gaps", repr(gap), bytes(value is gap for value in values))
        return super().alike([value for value in values if value is not gap])

    def pixels(self, artist: Any) -> str:
        """A hash of what the figure shows; empty for what belongs to none."""
        figure = artist.get_figure(root=True)
        if figure is None:
            return ""
        if id(figure) not in self.pictures:
            self.pictures[id(figure)] = _pixels(figure)
        return self.pictures[id(figure)]


def _is(value: Any, module: str, name: str) -> bool:
    """Whether it is of a kind that some library has, if that is loaded at all."""
    kind = getattr(library(module), name, None)
    return kind is not None and isinstance(value, kind)


def _is_said(held: Any) -> bool:
    """Whether a part of a widget's state is plain, and no name that the widget was given by chance."""
    return isinstance(held, str | int | float | bool | tuple | None) and "IPY_MODEL_" not in str(held)


def _pixels(figure: Any) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    before = figure.canvas
    try:
        # A figure that is closed has lost what it was drawn on.
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return hashlib.sha256(bytes(canvas.buffer_rgba())).hexdigest()
    except Exception:
        raise Unstorable("a figure cannot be drawn") from None
    finally:
        figure.set_canvas(before)
