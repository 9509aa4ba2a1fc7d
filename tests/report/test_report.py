"""A document says nothing without a source, leaves no section out, and is safe to open."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nbproof.errors import ReportRefused
from nbproof.report import render
from nbproof.report.card import SECTIONS, model_card
from nbproof.report.document import Document, Entry, Fact, Figure, Owed, Section, Table, Words
from nbproof.report.evidence import Evidence
from nbproof.report.sheet import SECTIONS as SHEET_SECTIONS
from nbproof.report.sheet import data_sheet

METRICS = {"auc": 0.881234, "rows": 30000, "slices": [{"by": "sex", "auc": 0.5, "verdict": "failed"}, {"by": "age|x"}]}
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Two products of one phase."""
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    (tmp_path / "curve.svg").write_text(SVG)
    return Evidence(
        {"06_training": {"metrics": f"{tmp_path}/metrics.json", "curve": f"{tmp_path}/curve.svg"}},
    )


def document(*entries: Entry) -> Document:
    """A document of one section."""
    return Document("Report", "In short.", (Section("All", entries),))


def table(evidence: Evidence) -> Table:
    columns = {"By": "by", "AUC": "auc", "Verdict": "verdict"}
    return evidence.table("Slices", "06_training", "metrics", "slices", columns=columns, marks="Verdict")


def test_a_fact_carries_the_hash_of_its_file(evidence: Evidence, tmp_path: Path) -> None:
    """A fact names phase, file, place and hash."""
    fact = evidence.fact("AUC", "06_training", "metrics", "auc")

    assert fact.value == 0.881234
    digest = evidence.manifest()[f"{tmp_path}/metrics.json"]
    assert str(fact.source) == f"06_training, {tmp_path}/metrics.json at auc, {digest[:12]}"


def test_a_table_is_read_from_its_records(evidence: Evidence) -> None:
    """Rows come from the product; what a record lacks is absent, not invented."""
    assert table(evidence).rows == (("sex", 0.5, "failed"), ("age|x", None, None))


@pytest.mark.parametrize("place", ["missing", "slices/7", "auc/deeper", "slices/x", "slices"])
def test_what_is_not_there_is_refused(evidence: Evidence, place: str) -> None:
    """A place that holds no single value gives no fact."""
    with pytest.raises(ReportRefused):
        evidence.fact("AUC", "06_training", "metrics", place)


def test_a_product_that_is_not_upstream_is_refused(evidence: Evidence) -> None:
    """Nothing is read beside the declared products."""
    with pytest.raises(ReportRefused, match="no such product is upstream"):
        evidence.fact("AUC", "05_tracking", "metrics", "auc")


def test_a_true_document_is_traced(evidence: Evidence) -> None:
    """Facts, tables and figures that were read lead back."""
    fact = evidence.fact("AUC", "06_training", "metrics", "auc")
    figure = evidence.figure("Curve", "06_training", "curve")

    assert evidence.untraced(document(fact, table(evidence), figure)) == []


def test_a_number_that_was_changed_is_found(evidence: Evidence) -> None:
    """A fact or a row that says something else than its source is named."""
    fact = evidence.fact("AUC", "06_training", "metrics", "auc")
    rows = table(evidence)
    better = Fact("AUC", 0.99, fact.source)
    prettier = Table(rows.caption, rows.columns, rows.fields, (("sex", 0.5, "met"),), rows.source, rows.marks)

    found = evidence.untraced(document(better, prettier))

    assert [each.split(" is not what ")[0] for each in found] == ["`AUC`", "`Slices`"]


def test_a_source_that_changed_afterwards_is_found(evidence: Evidence, tmp_path: Path) -> None:
    """Evidence that was edited after reading is named."""
    made = document(evidence.fact("AUC", "06_training", "metrics", "auc"))
    (tmp_path / "metrics.json").write_text(json.dumps({**METRICS, "rows": 1}))

    assert any("no longer has the hash" in each for each in evidence.untraced(made))


@pytest.mark.parametrize(("make", "names"), [(model_card, SECTIONS), (data_sheet, SHEET_SECTIONS)])
def test_every_section_must_say_something(make: Any, names: tuple[str, ...]) -> None:
    """Missing, unknown and empty sections are named together."""
    whole: dict[str, list[Entry]] = {name: [Words("said")] for name in names}
    assert [each.title for each in make("m", "s", whole).sections] == list(names)
    whole.pop(names[0])

    with pytest.raises(ReportRefused) as refused:
        make("m", "s", {**whole, names[1]: [], "Praise": [Words("great")]})

    assert refused.value.problems == (
        f"section `{names[0]}` is missing",
        "section `Praise` is unknown",
        f"section `{names[1]}` is empty",
    )


def test_the_card_has_nine_sections_and_the_sheet_seven() -> None:
    """As in the papers."""
    assert (len(SECTIONS), len(SHEET_SECTIONS)) == (9, 7)


def test_what_a_person_owes_is_visible() -> None:
    """An open question is shown with its owner in both forms."""
    made = document(Owed("who may appeal", "head of credit"))

    assert made.owed == (Owed("who may appeal", "head of credit"),)
    assert '<p class="owed"><strong>Owed by head of credit:</strong> who may appeal</p>' in render.html(made)
    assert "> **Owed by head of credit:** who may appeal" in render.markdown(made)


def test_owed_without_an_owner_is_refused() -> None:
    """Nobody's duty is no duty."""
    with pytest.raises(ValueError, match="an owner"):
        Owed("who may appeal", " ")


class Seen(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_html_is_one_file_that_runs_nothing(evidence: Evidence) -> None:
    """Hostile words and pictures stay words and pictures; nothing is fetched."""
    hostile = "<script>alert(1)</script><img src=http://evil>"
    entries = (
        Words(hostile),
        Fact(hostile, hostile, evidence.source("06_training", "metrics")),
        Owed(hostile, hostile),
        Table(hostile, (hostile,), ("x",), ((hostile,),), evidence.source("06_training", "metrics", hostile)),
        Figure(hostile, SVG, evidence.source("06_training", "curve")),
    )
    seen = Seen()

    seen.feed(render.html(Document(hostile, hostile, (Section(hostile, entries),))))

    tags = [tag for tag, _ in seen.tags]
    assert not {"script", "iframe", "object", "link", "svg", "base", "form"} & set(tags)
    addresses = [value for _, attrs in seen.tags for key, value in attrs.items() if key in ("src", "href")]
    assert all(each and each.startswith(("data:image/svg+xml;base64,", "#")) for each in addresses)
    policy = next(attrs["content"] for tag, attrs in seen.tags if "http-equiv" in attrs)
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; img-src data:; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )


def test_the_policy_admits_the_style_that_is_there() -> None:
    """The hash in the policy is that of the style as the browser reads it."""
    import base64
    import hashlib

    text = render.html(document(Words("x")))

    style = re.findall(r"<style>(.*?)</style>", text, re.S)[0]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in text
    assert "prefers-color-scheme: dark" in style


def test_a_verdict_is_coloured_only_in_its_column(evidence: Evidence) -> None:
    """A failed slice is marked in the page."""
    assert re.search('<td class="bad"[^>]*>failed</td>', render.html(document(table(evidence))))


def test_a_bar_in_a_value_keeps_the_markdown_table(evidence: Evidence) -> None:
    """A cell cannot break out of its row."""
    text = render.markdown(document(table(evidence)))

    assert "| By | AUC | Verdict |\n| --- | --- | --- |\n| sex | 0.5 | failed |\n| age\\|x | — | — |\n" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05, "0.05"),
        (1.0, "1"),
        (0.0, "0"),
        (-3e-7, "-3.0e-07"),
        (9999, "9999"),
        (1e300, "1.0000e+300"),
        (False, "no"),
        (None, "—"),
    ],
)
def test_numbers_are_shown_as_people_read_them(value: Any, text: str) -> None:
    """Four decimals, no trailing zeros, small ones in powers of ten."""
    assert render.shown(value) == text


def test_the_same_document_is_the_same_bytes(evidence: Evidence) -> None:
    """Rendering depends on nothing but the document."""
    made = document(table(evidence))

    assert render.html(made) == render.html(made)
    assert render.markdown(made) == render.markdown(made)


def test_the_inventory_names_every_product(evidence: Evidence, tmp_path: Path) -> None:
    """Every file is listed with its whole hash, and a file that changed afterwards is found."""
    made = document(evidence.inventory("Evidence"))

    for path, digest in evidence.manifest().items():
        assert f"<td>{path}</td><td><code>{digest}</code></td>" in render.html(made)
        assert digest in render.markdown(made)
    (tmp_path / "curve.svg").write_text("<svg/>")
    assert len(evidence.untraced(made)) == 1


def test_a_folder_is_one_product(tmp_path: Path) -> None:
    """It is listed with the hash of all that is in it, and one changed file is found; nothing is read out of it."""
    (tmp_path / "explained").mkdir()
    (tmp_path / "explained/audit.json").write_text("{}")
    found = Evidence({"explain": {"explained": f"{tmp_path}/explained"}})
    made = document(found.inventory("Evidence"))

    assert found.untraced(made) == []
    with pytest.raises(ReportRefused, match="cannot be read"):
        found.json("explain", "explained")
    (tmp_path / "explained/audit.json").write_text("[]")
    assert len(found.untraced(made)) == 1


def test_a_list_or_mapping_in_a_cell_is_one_text(tmp_path: Path) -> None:
    """A cell holds one text, whatever the record holds."""
    (tmp_path / "x.json").write_text(
        json.dumps({"checks": {"a": {"found": {"n": 1, "m": [2]}}, "b": {"found": [1, 2]}}})
    )
    evidence = Evidence({"02_data_audit": {"quality": f"{tmp_path}/x.json"}})

    found = evidence.table("Checks", "02_data_audit", "quality", "checks", columns={"Check": "@key", "Found": "found"})

    assert found.rows == (("a", "n: 1, m: [2]"), ("b", "1, 2"))
