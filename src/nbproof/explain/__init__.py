"""Why the model said so: Shapley values and LIME with what they cost, their unit, and how far they can be trusted.

In a notebook: `from nbproof import explain`, then `explain.both(model, rows, training)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calls import LimeOptions, audit, both, estimate, lime, load, log, save, shap, what_if

__all__ = ["LimeOptions", "audit", "both", "estimate", "lime", "load", "log", "save", "shap", "what_if"]


def __getattr__(name: str) -> Any:
    """What is offered is loaded when it is first asked for, so that the import costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import calls

    return getattr(calls, name)


def __dir__() -> list[str]:
    return __all__
