"""The model card: nine sections after Mitchell et al., Model Cards for Model Reporting (FAT* 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .document import Document, Entry, composed

SECTIONS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)


def model_card(model: str, summary: str, sections: Mapping[str, Iterable[Entry]]) -> Document:
    """Return the card of `model`; raises `ReportRefused` unless all nine sections say something."""
    return composed(f"Model card: {model}", summary, SECTIONS, sections)
