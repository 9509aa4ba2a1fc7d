"""The executed notebook as one HTML file, by nbconvert and a template of our own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ..extras import require
from . import render, spelling
from .document import Document, Drawing, Entry, Fact, Missing, Owed, Section, Source, Sourced
from .evidence import Evidence, escaped
from .points.asking import RECORD
from .points.frameworks import FRAMEWORKS, Demand, Framework

SUMMARY = (
    "What was found about the model, where each value was read, what people still owe, and what is missing. "
    "Whether a rule is met, this report does not say."
)


@dataclass(frozen=True, slots=True)
class State:
    """What there is for a point, or for several together."""

    has_evidence: bool
    owes: bool
    lacks: bool

    @property
    def words(self) -> str:
        said = [*(["words are owed"] if self.owes else []), *(["some is missing"] if self.lacks else [])]
        return "; ".join(said) or "nothing"


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows."""

    document: Document
    policy: str
    style: str
    origins: Mapping[str, tuple[Fact | None, Fact | None]]
    frameworks: tuple[Framework, ...] = FRAMEWORKS

    @property
    def heads(self) -> tuple[Section, ...]:
        return tuple(section for section in self.document.sections if not section.number)

    @property
    def points(self) -> tuple[Section, ...]:
        return tuple(section for section in self.document.sections if section.number)


def converted(notebook: Any, evidence: Evidence) -> str:
    """The page of an executed notebook whose sources are `evidence`."""
    require("nbconvert")
    from jinja2 import StrictUndefined
    from nbconvert.exporters import TemplateExporter

    page = Page(document_of(notebook), render.policy(), render.style(), {})
    origins = _origins(page.document, evidence)
    page = Page(_with_sources(page.document, origins), page.policy, page.style, origins)
    exporter = TemplateExporter(
        template_name="reviewer",
        template_file="index.html.j2",
        extra_template_basedirs=[str(render.TEMPLATES)],
        extra_template_paths=[str(render.TEMPLATES)],
        file_extension=".html",
    )
    environment = exporter.environment
    environment.autoescape, environment.undefined = True, StrictUndefined
    environment.trim_blocks = environment.lstrip_blocks = True
    for name, function in {**render.filters(), **_filters(page)}.items():
        environment.filters[name] = function
    text, _ = exporter.from_notebook_node(notebook)
    return str(text)


def document_of(notebook: Any) -> Document:
    """The sections that the cells of a notebook show, in order; raises `ValueError` for what is no section."""
    sections = tuple(
        spelling.read(output["data"][spelling.MIME])
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
        if spelling.MIME in output.get("data", {})
    )
    named = [entry.value for section in sections if not section.number for entry in section.entries[:2]
             if isinstance(entry, Fact)]  # fmt: skip
    title = " ".join(render.text_of(value)[:80] for value in named)
    return Document(f"Reviewer's report: {title}" if title else "Reviewer's report", SUMMARY, sections)


def state_of(entries: Iterable[Entry]) -> State:
    """What there is among entries."""
    held = list(entries)
    return State(
        any(isinstance(entry, Sourced | Drawing) for entry in held),
        any(isinstance(entry, Owed) for entry in held),
        any(isinstance(entry, Missing) for entry in held),
    )


def _filters(page: Page) -> dict[str, Any]:
    def together(demand: Demand, points: Iterable[Section]) -> State:
        entries = [entry for point in points if point.number in demand.points for entry in point.entries]
        found = state_of(entries)
        sourced = Document("", "", (Section("", tuple(entries)),)).sourced
        has_evidence = any(_is_for(demand, each.source) for each in sourced)
        return State(has_evidence, found.owes, found.lacks or not has_evidence)

    return {"report": lambda _: page, "state": lambda section: state_of(section.entries), "together": together}


def _is_for(demand: Demand, source: Source) -> bool:
    """Whether what was read there is evidence for a heading."""
    # What nbproof writes itself is named for its content, behind a hyphen.
    product = PurePath(source.file).stem
    name = product.partition("-")[0] if source.phase == RECORD[0] else product
    place = f"{source.phase}/{name}/{source.place}/"
    return any(place.startswith(f"{wanted}/") for wanted in demand.evidence)


def _origins(document: Document, evidence: Evidence) -> dict[str, tuple[Fact | None, Fact | None]]:
    """For each file the run and the cells that made it, as the record of the run tells."""
    keys = {path: key for products in evidence.products.values() for key, path in products.items()}
    found = {}
    for source in render.files(document):
        task, key = escaped(source.phase), escaped(keys.get(source.file, ""))
        places = (f"tasks/{task}/run_id", f"cells/{task}/{key}")
        told = [evidence.fact("", *RECORD, place) if evidence.has(*RECORD, place) else None for place in places]
        found[source.file] = (told[0], told[1])
    return found


def _with_sources(document: Document, origins: Mapping[str, tuple[Fact | None, Fact | None]]) -> Document:
    """The record of the run is a source as well, where only the table of sources names it."""
    known = {source.file for source in document.sources}
    used = next((fact for pair in origins.values() for fact in pair if fact is not None), None)
    if used is None or used.source.file in known:
        return document
    head = Section("Run", (used,), "", 0)
    return Document(document.title, document.summary, (*document.sections, head))
