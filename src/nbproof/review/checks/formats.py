"""What the checks said, as other tools read it: SARIF 2.1.0 and JUnit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from . import catalogue
from .findings import Finding, Outcome, Report

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "note": "note"}


def sarif(reports: Sequence[Report], *, version: str) -> dict[str, Any]:
    """The findings as SARIF; what was not evaluated is a notification of the tool and never a silent pass."""
    rules = [
        {
            "id": check.code,
            "name": check.name,
            "shortDescription": {"text": check.sentence},
            "help": {"text": check.hint},
            "defaultConfiguration": {"level": _LEVELS[check.severity]},
        }
        for check in catalogue.ALL
    ]
    notes = [
        {
            "level": "note",
            "message": {"text": f"{report.notebook}: {held.check.code} not evaluated: {held.reason}"},
            "associatedRule": {"id": held.check.code},
        }
        for report in reports
        for held in report.outcomes
        if held.verdict == "not evaluated"
    ]
    run = {
        "tool": {"driver": {"name": "nbproof", "version": version, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "results": [
            _result(report, held, finding)
            for report in reports
            for held in report.outcomes
            for finding in held.findings
        ],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def junit(reports: Sequence[Report]) -> bytes:
    """One suite a notebook, one case a check; a finding that only warns does not fail its case."""
    root = ElementTree.Element("testsuites", name="nbproof review check")
    for report in reports:
        suite = ElementTree.SubElement(root, "testsuite", _counts(report))
        for held in report.outcomes:
            name = f"{held.check.code} {held.check.sentence}"
            case = ElementTree.SubElement(suite, "testcase", classname=_clean(report.notebook), name=name)
            told = "\n".join(_told(finding) for finding in held.findings)
            if held.verdict == "not evaluated":
                ElementTree.SubElement(case, "skipped", message=_clean(f"not evaluated: {held.reason}"))
            elif held in report.failed:
                failure = ElementTree.SubElement(
                    case, "failure", message=_clean(held.findings[0].message), type=held.check.code
                )
                failure.text = _clean(told)
            elif held.findings:
                ElementTree.SubElement(case, "system-out").text = _clean(told)
    ElementTree.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode").encode() + b"\n"


def _result(report: Report, held: Outcome, finding: Finding) -> dict[str, Any]:
    where: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": report.notebook}}}
    if finding.cell is not None:
        # A notebook's file has no lines that anybody reads; the cell and its own line are what is meant.
        where["logicalLocations"] = [{"name": finding.cell, "fullyQualifiedName": _place(finding), "kind": "element"}]
    return {
        "ruleId": held.check.code,
        "level": _LEVELS[held.severity],
        "message": {"text": _told(finding)},
        "locations": [where],
    }


def _counts(report: Report) -> dict[str, str]:
    skipped = sum(held.verdict == "not evaluated" for held in report.outcomes)
    return {
        "name": _clean(report.notebook),
        "tests": str(len(report.outcomes)),
        "failures": str(len(report.failed)),
        "errors": "0",
        "skipped": str(skipped),
    }


def _told(finding: Finding) -> str:
    place = _place(finding)
    return f"{place}: {finding.message}" if place else finding.message


def _place(finding: Finding) -> str:
    if finding.number is None:
        return ""
    return f"cell {finding.number}" + (f", line {finding.line}" if finding.line else "")


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(
        letter if letter >= " " or letter in "\t\n" else "�"
        for letter in text
        if letter not in "￾￿" and not "\ud800" <= letter <= "\udfff"
    )
