"""Asking the evidence: what is there comes with its source, and what is not is said to be missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..document import Count, Drawing, Entry, Fact, Missing, Table
from ..evidence import Evidence, records

Product = tuple[str, str]

RECORD = ("nbproof", "record")
REVIEW = ("nbproof", "review")
SCOPE = ("01_scoping", "requirements")
RULES = ("01_scoping", "applicability")
PROFILE = ("01_scoping", "ai_rmf_profile")
CATALOG = ("02_data_audit", "data_catalog")
QUALITY = ("02_data_audit", "quality")
ENVIRONMENT = ("03_environment", "environment")
FEATURES = ("04_features", "features")
TRACKING = ("05_tracking", "tracking")
CHAMPION = ("06_training", "champion")
METRICS = ("06_training", "metrics")
CANDIDATES = ("06_training", "candidates")
EXPLANATION = ("06_training", "explanation")
REGISTRATION = ("07_registration", "registration")
PARITY = ("08_serving", "parity")
INTEGRATION = ("09_integration", "integration")
DRIFT = ("10_monitoring", "drift")
ALERTS = ("10_monitoring", "alerts")
RETRAINING = ("10_monitoring", "retraining")


def missing(what: str, product: Product, place: str = "") -> Missing:
    """The words for what nobody left."""
    inside = f", at {place}" if place else ""
    if product[0] == "nbproof":
        return Missing(what, "`nbproof report`, once the pipeline has run and its notebooks are under review")
    return Missing(what, f"the product `{product[1]}` of {product[0]}{inside}")


def fact(evidence: Evidence, label: str, product: Product, place: str, *, is_verdict: bool = False) -> Fact | Missing:
    """One value, or that it is missing."""
    if not evidence.has(*product, place):
        return missing(label, product, place)
    return evidence.fact(label, *product, place, is_verdict=is_verdict)


def facts(evidence: Evidence, what: str, product: Product, places: Mapping[str, str]) -> Iterator[Entry]:
    """Several values of one product by label; without the product, one line says so."""
    if not evidence.has(*product):
        yield missing(what, product)
        return
    for label, place in places.items():
        yield fact(evidence, label, product, place)


def table(
    evidence: Evidence, caption: str, product: Product, place: str, columns: Mapping[str, str],
    *, marks: str | None = None,
) -> Table | Missing:  # fmt: skip
    """Records as rows, or that they are missing."""
    if not evidence.has(*product, place) or not records(evidence.value(*product, place)):
        return missing(caption, product, place)
    return evidence.table(caption, *product, place, columns=columns, marks=marks)


def count(evidence: Evidence, label: str, product: Product, place: str, where: str, *holds: str) -> Count | Missing:
    """How many records hold one of the values, or that there are no records."""
    if not evidence.has(*product, place):
        return missing(label, product, place)
    return evidence.count(label, *product, place, where=where, holds=holds)


def drawn(kind: str, caption: str, *tables: Table | Missing) -> Entry:
    """A picture of tables; where one is missing, that is said instead."""
    lacking = [each for each in tables if isinstance(each, Missing)]
    return lacking[0] if lacking else Drawing(kind, caption, tuple(each for each in tables if isinstance(each, Table)))


def names(evidence: Evidence, product: Product, place: str) -> list[str]:
    """The names of the records at a place; none where there is nothing."""
    if not evidence.has(*product, place):
        return []
    return [str(name) for name, _ in records(evidence.value(*product, place))]
