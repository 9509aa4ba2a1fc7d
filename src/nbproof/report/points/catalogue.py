"""The twenty points by number: the only list of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that a reviewer looks for. `name` is for links and for code, `asks` a sentence for people."""

    number: int
    name: str
    title: str
    asks: str


POINTS = (
    Point(1, "identity", "Identity",
          "Which model is this, in which version, how does it relate to earlier ones, and who answers for it?"),
    Point(2, "purpose", "Intended purpose and misuse",
          "What is it for, who uses it, what is it not for, and which misuse can be foreseen?"),
    Point(3, "materiality", "Materiality",
          "How much depends on it, in which tier of the inventory does it stand, and why?"),
    Point(4, "provenance", "Provenance",
          "From which notebooks, cells, parameters, data, packages, seeds and run did every number come?"),
    Point(5, "data", "Data sheet",
          "Where does the data come from, what is in it, what was done to it, and which of it is sensitive?"),
    Point(6, "method", "Method and design choices",
          "What was chosen, what does it optimise, which alternatives were tried, and on which assumptions?"),
    Point(7, "performance", "Performance",
          "How well does it do on rows it has never seen, with which uncertainty, against limits and a benchmark?"),
    Point(8, "groups", "Performance and explanation by group",
          "For whom does it do better or worse, and does it weigh the same things for everybody?"),
    Point(9, "global-explanation", "What drives the model",
          "Which features weigh most, in which direction, and is that what the owner expects?"),
    Point(10, "cases", "Chosen cases, SHAP beside LIME",
          "Why did it answer so for single rows, and do two methods tell the same?"),
    Point(11, "explanation-audit", "How far the explanations can be trusted",
          "What did the audit measure, against saying nothing and against chance, and where are the limits?"),
    Point(12, "reasons", "Reason codes",
          "Which up to four reasons would a person be told, and is each a feature that the model has?"),
    Point(13, "robustness", "Robustness and drift",
          "How does it behave on later data, when it is trained again, and on values that it has not seen?"),
    Point(14, "limitations", "Limitations and residual risk",
          "Where does it stop, what was traded for what, and which risk remains?"),
    Point(15, "oversight", "Human oversight",
          "Who can override it, when should they, and what do they see when they decide?"),
    Point(16, "monitoring", "Monitoring plan",
          "What is watched, against which limits, how often, by whom, and what happens then?"),
    Point(17, "changes", "Change since the last approved version",
          "What is different in code, parameters, data, environment, metrics and explanations?"),
    Point(18, "findings", "Findings and challenge",
          "What is open, how grave is it, who raised it, and what was answered?"),
    Point(19, "sign-off", "Sign-off",
          "Who decided what, in which role, when, under which conditions, about exactly which content?"),
    Point(20, "reproduce", "Reproduce",
          "With which commands can all of this be made again and compared?"),
)  # fmt: skip


def point(name: str) -> Point:
    """The point called `name`; raises `KeyError` where there is none.

    >>> point("cases").number
    10
    """
    return {known.name: known for known in POINTS}[name]
