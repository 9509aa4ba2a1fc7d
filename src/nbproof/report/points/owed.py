"""What only people can say, by code: the words that a report shows as owed until somebody gives them."""

from __future__ import annotations

from typing import Any

from ...errors import ReportRefused
from ..document import Owed, Said
from ..evidence import Evidence

ANSWERS = ("people", "answers")

OWED: dict[str, Owed] = {
    code: Owed(what, owner, code)
    for code, what, owner in (
        ("provider", "the person or organisation that answers for the model, and how to reach them", "model owner"),
        ("licence", "the licence under which the model may be used", "compliance"),
        ("misuse", "misuse that can be foreseen, and what stands against it", "business owner"),
        ("materiality", "why it stands in this tier, with the exposure in figures", "business owner"),
        ("data-origin", "why and with whose money the data was first collected", "data management"),
        ("data-consent", "whether and how the people agreed to the use of their data", "data management"),
        ("data-maintenance", "who corrects errors in the data, and how they are told", "data management"),
        ("assumptions", "the assumptions on which the design rests, and what follows where one does not hold",
         "model development"),
        ("unnamed-groups", "groups that the data does not name and that may be treated differently", "compliance"),
        ("directions", "the direction that is expected of each feature that weighs much, and why", "business owner"),
        ("cases", "whether the chosen cases make sense to somebody who knows the business", "business owner"),
        ("reason-texts", "the wording that people would be given, held against the rules that apply", "compliance"),
        ("residual-risk", "the risk that remains, and who accepts it", "risk owner"),
        ("impact", "an assessment of the impact on the people concerned, and how they may object", "compliance"),
        ("override", "who may override an answer, when they should, and how that is recorded", "business owner"),
        ("disengage", "how the model is taken out of use, and what is done then", "platform"),
        ("cadence", "how often each limit is looked at, and how long a breach may stand", "model operations"),
        ("challenge", "the critical review by somebody who did not take part in development", "independent validation"),
        ("rules", "confirmation by counsel that the list of rules is complete", "compliance"),
    )
}  # fmt: skip


def said(evidence: Evidence, code: str) -> Said | Owed:
    """What was answered under `code`, else what is owed; raises `ReportRefused` for an answer of nobody."""
    asked = OWED[code]
    if not evidence.has(*ANSWERS, code):
        return asked
    found: Any = evidence.value(*ANSWERS, code)
    lacking = [name for name in ("words", "by", "date") if not str((found or {}).get(name) or "").strip()] \
        if isinstance(found, dict) else ["words", "by", "date"]  # fmt: skip
    if lacking:
        raise ReportRefused(f"the answer `{code}`", [f"it does not say {', '.join(lacking)}"])
    return Said(asked.what, str(found["words"]), str(found["by"]), str(found["date"]), evidence.source(*ANSWERS, code))


def unknown(evidence: Evidence) -> list[str]:
    """The codes of answers that nobody asked for."""
    if not evidence.has(*ANSWERS):
        return []
    found = evidence.json(*ANSWERS)
    return sorted(str(code) for code in found if code not in OWED) if isinstance(found, dict) else ["(no mapping)"]
