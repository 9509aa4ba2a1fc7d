"""LIME for pictures: which segments an answer hangs on, with the numbers of lime 0.2.0.1's image explainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataUnusable
from ..explanation import Explanation, Unit
from ..pacing import Calls
from ..progress import Watch, chunks
from . import masking
from .asking import Listener, explained, listen
from .kernel import Kernel
from .plan import generator

METHOD = "lime image"
KERNEL_WIDTH = 0.25
# Numbers in the pictures that the model is asked about at a time.
ASKED_AT_ONCE = 2**23

Segmenting = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """An explanation of a picture, whose feature i is where `segments` (height, width) is i."""

    explanation: Explanation
    segments: NDArray[np.int64]

    def shares(self, output: str) -> NDArray[np.float32]:
        """The coefficient of each pixel's segment, (height, width)."""
        return np.asarray(self.explanation.of(output).values[0, :, 0][self.segments])


def explain(
    model: Any,
    pictures: Sequence[NDArray[Any]],
    *,
    seed: int = 0,
    features: int | None = None,
    samples: int = 1000,
    selection: str = "auto",
    segmenting: Segmenting | None = None,
    hidden: float | Sequence[float] | None = None,
    kernel_width: float = KERNEL_WIDTH,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    watch: Watch | None = None,
) -> list[Pictured]:
    """One explanation for each picture (height, width, 3), or (height, width) in greys; features are its segments.

    Equal to `LimeImageExplainer(random_state=seed).explain_instance` for each picture with a new explainer, where the
    segments are the same: coefficients, order, intercept, R² and local answer. `segmenting` makes segments of a picture
    (None: scikit-image's quickshift as lime calls it). A segment that is left out has its mean colour, or `hidden`.
    `features` None takes all. `model` takes an array of pictures.

    Raises `DataUnusable` for what is no picture, `ModelUnusable`, `ModelUnsteady`, `UnknownName`, `Cancelled`.
    """
    if not len(pictures):
        raise DataUnusable("the pictures", "none", "a list of pictures")
    if samples < 2:
        raise DataUnusable("samples", str(samples), "at least 2: the picture and one without a segment")
    read = [_coloured(picture, at) for at, picture in enumerate(pictures)]
    listener = listen(model, read[0][None], unit, output_names)
    settings = {"samples": samples, "features": features, "selection": selection, "kernel_width": kernel_width}
    found = []
    seen = watch or Watch()
    for part in chunks(len(read), 1, seen):
        picture, random = read[part.start], generator(seed)
        # lime draws it for its segmentation, whether that asks for it or not.
        random.randint(0, high=1000)
        segments = _numbered((segmenting or quickshift)(picture), picture, part.start)
        count = int(segments.max()) + 1
        present = random.randint(0, 2, samples * count).reshape(samples, count).astype(bool)
        present[0] = True
        without = _without(picture, segments, hidden)
        size = max(1, ASKED_AT_ONCE // picture.size)
        masked = _masked(picture, without, segments, present)
        answers = Calls(seen, size)(samples, partial(_answers, listener, masked))
        explanation = explained(
            listener,
            masking.fits(present, answers, Kernel(kernel_width), 1.0, selection, features),
            prediction=answers[:1],
            data=np.bincount(segments.ravel())[None].astype(np.float64),
            feature_names=[f"segment {at}" for at in range(count)],
            method=METHOD,
            seed=seed,
            settings=settings,
            content=repr((picture.dtype, picture.shape)).encode() + np.ascontiguousarray(picture).tobytes(),
        )
        found.append(Pictured(explanation, segments))
    return found


def quickshift(picture: NDArray[Any]) -> NDArray[Any]:
    """Segments by scikit-image's quickshift, with lime's own settings."""
    from skimage import segmentation

    shift: Callable[..., Any] = segmentation.quickshift
    return np.asarray(shift(picture, kernel_size=4, max_dist=200, ratio=0.2))


def _coloured(picture: NDArray[Any], at: int) -> NDArray[Any]:
    picture = np.asarray(picture)
    if picture.ndim == 2:
        return np.stack([picture] * 3, axis=2)
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise DataUnusable(f"picture {at}", f"the shape {picture.shape}", "(height, width, 3) or (height, width)")
    return picture


def _numbered(segments: NDArray[Any], picture: NDArray[Any], at: int) -> NDArray[np.int64]:
    """The segments as numbers from 0 on without a gap."""
    if np.shape(segments) != picture.shape[:2]:
        raise DataUnusable(f"the segments of picture {at}", f"the shape {np.shape(segments)}", f"{picture.shape[:2]}")
    _, numbered = np.unique(segments, return_inverse=True)
    return np.asarray(numbered.reshape(picture.shape[:2]), dtype=np.int64)


def _without(
    picture: NDArray[Any], segments: NDArray[np.int64], hidden: float | Sequence[float] | None
) -> NDArray[Any]:
    """What is seen in the place of segments that are left out."""
    out = picture.copy()
    if hidden is not None:
        out[:] = hidden
        return out
    for segment in range(int(segments.max()) + 1):
        within = segments == segment
        out[within] = tuple(np.mean(picture[within][:, colour]) for colour in range(3))
    return out


def _answers(
    listener: Listener, masked: Callable[[slice], NDArray[Any]], part: slice
) -> NDArray[np.float64]:  # fmt: skip
    return listener(masked(part))


def _masked(
    picture: NDArray[Any], without: NDArray[Any], segments: NDArray[np.int64], present: NDArray[np.bool_]
) -> Callable[[slice], NDArray[Any]]:
    def masked(part: slice) -> NDArray[Any]:
        return np.where(present[part][:, segments][..., None], picture, without)

    return masked
