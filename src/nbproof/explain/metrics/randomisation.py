"""Parameter randomisation: whether the explanation of a network changes when what it has learnt is thrown away.

Source: Adebayo et al. (2018), Sanity Checks for Saliency Maps, arXiv 1810.03292; its limits: Hedström et al. (2024),
arXiv 2405.02383.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import ranking


@dataclass(frozen=True, slots=True)
class Randomisation:
    """The mean rank correlation of |shares| with those of `networks` copies whose weights are drawn anew."""

    networks: int
    spearman: float | None


def measure(values: NDArray[np.floating], others: Sequence[NDArray[np.floating]]) -> Randomisation:
    """Compare an explanation (n, features) with those of the same rows by networks that have learnt nothing."""
    ranks = np.concatenate([ranking.spearman(values, other) for other in others])
    return Randomisation(len(others), ranking.mean_of(ranks))


def reinitialised(module: Any, seed: int) -> Any:
    """A copy of a torch module with weights drawn anew as its layers draw them; the module itself stays as it is.

    A parameter whose layer does not say how it is drawn gets normal numbers with its own spread. They are drawn on the
    CPU, so that they are the same on every device, and torch's global generators are left as they were.

    Raises `RuntimeError` for a module that lies on several devices, and whatever copying the module raises.
    """
    import torch

    devices = {each.device for each in module.parameters()}
    if len(devices) > 1:
        raise RuntimeError(f"its parameters lie on {len(devices)} devices")
    fresh = copy.deepcopy(module).cpu()
    drawn: set[int] = set()
    # Only the CPU's generator is used, and put back; `torch.manual_seed` would seed those of the GPUs as well.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        for layer in fresh.modules():
            if callable(getattr(layer, "reset_parameters", None)):
                layer.reset_parameters()
                drawn.update(id(each) for each in layer.parameters(recurse=False))
        for parameter in fresh.parameters():
            if id(parameter) not in drawn:
                spread = float(parameter.double().std()) if parameter.numel() > 1 else 0.0
                parameter.copy_(torch.randn(parameter.shape) * (spread or 1.0))
    return fresh.to(next(iter(devices))) if devices else fresh
