"""Figures by what they say: texts, lines, bars, points and images, each with its look; not by their pixels."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .values import Describer

_AXIS = ("xlabel", "ylabel", "xscale", "yscale", "xlim", "ylim", "facecolor", "aspect", "frame_on")
_LOOKS = {
    "Line2D": ("xdata", "ydata", "color", "linestyle", "linewidth", "marker", "markersize", "drawstyle"),
    "Text": ("text", "position", "color", "fontsize", "fontweight", "fontstyle", "rotation", "ha", "va"),
    "Annotation": ("text", "position", "color", "fontsize", "fontweight", "fontstyle", "rotation", "ha", "va"),
    "Rectangle": ("xy", "width", "height", "angle", "facecolor", "edgecolor", "linewidth", "linestyle", "hatch"),
    "AxesImage": ("array", "extent", "clim", "interpolation"),
}
_PATCH = ("facecolor", "edgecolor", "linewidth", "linestyle", "hatch")
_COLLECTION = ("offsets", "array", "facecolor", "edgecolor", "linewidth", "sizes", "clim")


def drawn(to: Describer, value: Any) -> Any:
    """Tell what a part of a figure shows; None for what is none."""
    from matplotlib.artist import Artist

    if not isinstance(value, Artist):
        return None
    figure, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    if figure is not None and isinstance(value, figure.FigureBase):
        return _figure(to, value)
    if axes is not None and isinstance(value, axes.Axes):
        return {"is": "axes", **_axes(to, value)}
    return {"is": "artist", **_artist(to, value)}


def _figure(to: Describer, figure: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"is": "figure", "size": to.of(figure.get_size_inches().tolist())}
    told["facecolor"] = _plain(to, figure.get_facecolor())
    told["texts"] = [_artist(to, text) for text in figure.texts]
    told["legends"] = [_legend(to, legend) for legend in figure.legends]
    # Axes may be a value of their own as well, and are told with their figure then.
    return told | {"axes": to.all(figure.axes)}


def _axes(to: Describer, axes: Any) -> dict[str, Any]:
    told = {name: _asked(to, axes, name) for name in _AXIS}
    told["titles"] = [axes.get_title(loc=place) for place in ("left", "center", "right")]
    told["ticks"] = {name: to.of(getattr(axes, f"get_{name}ticks")().tolist()) for name in "xy"}
    # Texts of ticks are written when the figure is drawn; those that are there tell what somebody set.
    told["tick labels"] = {
        name: [each.get_text() for each in getattr(axes, f"get_{name}ticklabels")()] for name in "xy"
    }
    told["grid"] = [any(line.get_visible() for line in axis.get_gridlines()) for axis in (axes.xaxis, axes.yaxis)]
    told["place"] = to.of([float(each) for each in axes.get_position().bounds])
    told["lines"] = [_artist(to, line) for line in axes.lines]
    told["patches"] = [_artist(to, patch) for patch in axes.patches]
    told["collections"] = [_artist(to, collection) for collection in axes.collections]
    told["images"] = [_artist(to, image) for image in axes.images]
    told["texts"] = [_artist(to, text) for text in axes.texts]
    legend = axes.get_legend()
    return told if legend is None else told | {"legend": _legend(to, legend)}


def _legend(to: Describer, legend: Any) -> dict[str, Any]:
    title = legend.get_title().get_text()
    return {"texts": [each.get_text() for each in legend.get_texts()], "title": title, "place": to.of(legend._loc)}


def _artist(to: Describer, artist: Any) -> dict[str, Any]:
    from matplotlib.collections import Collection
    from matplotlib.patches import Patch

    kind = type(artist).__name__
    plain = _PATCH if isinstance(artist, Patch) else _COLLECTION if isinstance(artist, Collection) else ()
    looks = _LOOKS.get(kind, plain)
    told = {"class": kind, **{name: _asked(to, artist, name) for name in (*looks, "alpha", "visible", "zorder")}}
    label = str(artist.get_label())
    # Those that begin with an underscore are matplotlib's own, and count up.
    told["label"] = label if not label.startswith("_") else ""
    if isinstance(artist, Collection):
        told["paths"] = [_plain(to, path.vertices) for path in artist.get_paths()[:200]]
    elif isinstance(artist, Patch) and kind != "Rectangle":
        told["path"] = _plain(to, artist.get_path().vertices)
    cmap = getattr(artist, "cmap", None)
    if cmap is not None:
        told["colours"] = cmap.name
    return told


def _asked(to: Describer, artist: Any, name: str) -> Any:
    ask = getattr(artist, f"get_{name}", None)
    return None if ask is None else _plain(to, ask())


def _plain(to: Describer, value: Any) -> Any:
    """Numbers and texts alone; arrays lose that they may share memory, which is matplotlib's affair."""
    from .values import Describer as Fresh

    if hasattr(value, "filled"):
        value = value.filled()
    return Fresh(to.here, longest=to.longest).of(value)
