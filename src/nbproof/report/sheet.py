"""The data sheet: seven sections after Gebru et al., Datasheets for Datasets (CACM 64(12), 2021)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .document import Document, Entry, composed

SECTIONS = (
    "Motivation",
    "Composition",
    "Collection process",
    "Preprocessing, cleaning and labelling",
    "Uses",
    "Distribution",
    "Maintenance",
)


def data_sheet(data: str, summary: str, sections: Mapping[str, Iterable[Entry]]) -> Document:
    """Return the sheet of `data`; raises `ReportRefused` unless all seven sections say something."""
    return composed(f"Data sheet: {data}", summary, SECTIONS, sections)
