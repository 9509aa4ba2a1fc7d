"""Which parts of an image speak for an answer: Shapley values of its patches, by covering patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DataUnusable
from ...records import ContentHash
from ..explanation import Explanation, Unit
from ..progress import Watch
from . import parts
from .parts import Parts

Cover = Literal["mean", "blur"]
# Numbers in one call of the model: 128 MiB of them.
NUMBERS_AT_ONCE = 2**24


def explain(
    model: Any,
    image: NDArray[Any],
    *,
    patches: NDArray[np.int64] | None = None,
    cover: Cover | NDArray[Any] = "mean",
    masker: Any = None,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    method: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    watch: Watch | None = None,
) -> Explanation:
    """The values of the patches of `image` for `model`, a function that takes images (n, height, width[, colours]).

    `patches` (height, width) numbers the patch of every pixel (None: a grid, see `grid`). A covered patch shows
    `cover`: the image's mean colour, the image blurred, or another image; the base value is the answer for it alone.
    With `masker`, a `shap.maskers.Image`, that covers them, by inpainting for instance, and `cover` says nothing.
    Put the values back in their places with `in_place`. Raises `DataUnusable` for what is no image, patches that do
    not fit it, or a masker of other images.
    """
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim not in (2, 3):
        raise DataUnusable("the image", f"an array of {pixels.ndim} dimensions", "(height, width) or with colours")
    numbered = grid(pixels.shape[:2]) if patches is None else np.asarray(patches)
    if numbered.shape != pixels.shape[:2]:
        raise DataUnusable("the patches", f"the shape {numbered.shape}", f"{pixels.shape[:2]}, the image's own")
    labels, place = np.unique(numbered, return_inverse=True)
    place = place.reshape(numbered.shape)
    taken = getattr(masker, "input_shape", pixels.shape)
    if tuple(taken) != pixels.shape:
        raise DataUnusable(
            "the masker", f"one of images of the shape {tuple(taken)}", f"{pixels.shape}, the image's own"
        )
    covered = None if masker is not None else _covered(pixels, cover)
    over = (..., *(None,) * (pixels.ndim - 2))

    def shown(masks: NDArray[np.bool_]) -> NDArray[Any]:
        if covered is None:
            return np.stack([_masked(masker, mask[place], np.asarray(image)) for mask in masks])
        return np.where(masks[:, place][over], pixels, covered).astype(np.asarray(image).dtype)

    means = np.array([pixels[place == at].mean() for at in range(len(labels))])
    whole = Parts(
        tuple(f"patch {label}" for label in labels), means, shown,
        ContentHash.of(repr(pixels.shape).encode() + pixels.tobytes()), max(1, NUMBERS_AT_ONCE // pixels.size),
    )  # fmt: skip
    return parts.explain(
        model, whole, unit=unit, output_names=output_names, method=method, seed=seed, samples=samples, watch=watch,
        settings={"cover": _told(cover, masker), "patches": len(labels)},
    )  # fmt: skip


def grid(shape: Sequence[int], side: int = 7) -> NDArray[np.int64]:
    """Patches of equal size, `side` by `side` of them, numbered from the top left: (height, width)."""
    down, across = (np.arange(length) * min(side, length) // length for length in shape[:2])
    return np.asarray(down[:, None] * min(side, shape[1]) + across, dtype=np.int64)


def in_place(found: Explanation, patches: NDArray[np.int64]) -> NDArray[np.float32]:
    """Every pixel's patch's value, (height, width, outputs)."""
    _, place = np.unique(patches, return_inverse=True)
    return np.asarray(found.values[0][place.reshape(patches.shape)])


def _told(cover: Cover | NDArray[Any], masker: Any) -> str:
    if masker is not None:
        return f"shap's {type(masker).__name__} masker"
    return cover if isinstance(cover, str) else "an image"


def _masked(masker: Any, is_shown: NDArray[np.bool_], image: NDArray[Any]) -> NDArray[Any]:
    """What one of shap's maskers makes of an image: it takes every number of it as a feature of its own."""
    wide = np.broadcast_to(is_shown.reshape(*is_shown.shape, *(1,) * (image.ndim - 2)), image.shape)
    return np.asarray(masker(wide.reshape(-1).copy(), image)[0][0]).astype(image.dtype)


def _covered(pixels: NDArray[np.float64], cover: Cover | NDArray[Any]) -> NDArray[np.float64]:
    if not isinstance(cover, str):
        other = np.asarray(cover, dtype=np.float64)
        if other.shape != pixels.shape:
            raise DataUnusable("the cover", f"the shape {other.shape}", f"{pixels.shape}, the image's own")
        return other
    if cover == "blur":
        from scipy.ndimage import gaussian_filter

        wide = max(pixels.shape[:2]) / 10
        return np.asarray(gaussian_filter(pixels, (wide, wide, *(0,) * (pixels.ndim - 2))))
    return np.broadcast_to(pixels.mean(axis=(0, 1)), pixels.shape)
