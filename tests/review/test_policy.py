"""The policy: who counts, how many, and that an empty one approves nothing."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviewed import key

from nbproof.errors import ReviewAskedWrongly, ReviewRefused
from nbproof.records import ContentHash
from nbproof.review.names import problem_of_file, problem_of_person, same_person
from nbproof.review.policy import Policy, Reviewer, parsed
from nbproof.review.signers import Holder
from nbproof.review.statement import Approval, Checked, Condition, Subject, moment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANA = Reviewer("Ana", frozenset({"validator"}))
BEN = Reviewer("Ben", frozenset({"owner"}))
KEYS = {"Ana": key(1).public, "Ben": key(2).public, "Bela": key(50).public}
HOLDERS = tuple(Holder(name, held) for name, held in KEYS.items())
POLICY = Policy(reviewers=(ANA, BEN), holders=HOLDERS)
ENDED = (Holder("Ana", KEYS["Ana"], until=NOW - timedelta(days=1)), *HOLDERS[1:])


def approval(by: Reviewer = ANA, under: Policy = POLICY, **changed: Any) -> Approval:
    facts: dict[str, Any] = {
        "notebook": "a.ipynb", "subjects": (Subject("notebook", "a.ipynb", ContentHash.of(b"")),),
        "decision": "approved", "requester": "Bela", "requester_key": KEYS["Bela"].fingerprint, "reviewer": by.name,
        "key": KEYS[by.name].fingerprint, "policy": under.digest.hex, "ledger": (), "at": moment(NOW), "nbproof": "0",
    }  # fmt: skip
    return Approval(**{**facts, **changed})


def test_one_reviewer_is_enough_where_one_is_needed() -> None:
    """A decision of a listed reviewer keeps the policy."""
    POLICY.check([approval()], now=NOW)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(reviewers=(ANA,)),
        Policy(reviewers=(ANA,), holders=HOLDERS, needed=2),
        Policy(reviewers=(BEN,), holders=HOLDERS, roles=("validator",)),
        Policy(reviewers=(BEN, ANA), holders=HOLDERS[1:], roles=("validator",)),
    ],
)
def test_a_policy_that_nobody_can_satisfy_refuses(policy: Policy) -> None:
    """Without people, with fewer than it needs, or without somebody of a role, nothing is approved."""
    with pytest.raises(ReviewRefused, match="approves nothing"):
        policy.check([approval(under=policy)], now=NOW)


def test_no_decision_is_no_approval() -> None:
    """An empty list of approvals refuses."""
    with pytest.raises(ReviewRefused, match="0 of 1 reviewers"):
        POLICY.check([], now=NOW)


def test_one_person_twice_is_one_reviewer() -> None:
    """Approving twice does not count twice."""
    two = replace(POLICY, needed=2)
    mine = approval(under=two)

    with pytest.raises(ReviewRefused, match="1 of 2 reviewers"):
        two.check([mine, replace(mine, comment="again")], now=NOW)
    two.check([mine, approval(BEN, two)], now=NOW)


@pytest.mark.parametrize("requester", ["Ana", "ana", "Ａna", "ANA"])
def test_nobody_approves_what_they_asked_for(requester: str) -> None:
    """However the name is written, who asked does not decide; to say no is always allowed."""
    with pytest.raises(ReviewRefused, match="Ana asked for the review"):
        POLICY.check([approval(requester=requester)], now=NOW)
    assert POLICY.problem_of(approval(requester=requester, decision="rejected"), now=NOW) is None


@pytest.mark.parametrize(
    ("policy", "changed", "problem"),
    [
        (POLICY, {"key": key(3).public.fingerprint}, "of no listed reviewer"),
        (POLICY, {"reviewer": "Ben"}, "the key of Ana signed as Ben"),
        (POLICY, {"reviewer": "Bela", "requester": "Ana", "key": KEYS["Bela"].fingerprint}, "Bela has a key and is no"),
        (POLICY, {"requester_key": ""}, "nobody signed the request of Bela"),
        (POLICY, {"requester_key": KEYS["Ben"].fingerprint}, "the key of Ben asked as Bela"),
        (POLICY, {"requester_key": KEYS["Ana"].fingerprint}, "Ana asked for the review"),
        (POLICY, {"policy": "0" * 64}, "the rules have changed since"),
        (replace(POLICY, holders=ENDED), {}, "the key of Ana counted until 2026-02-28"),
        (replace(POLICY, conditions=False),
         {"decision": "approved-with-conditions", "conditions": (Condition("x"),)}, "allow no conditions"),
        (POLICY, {"decision": "approved-with-conditions", "conditions": (Condition("x", "2026-02-28"),)}, "was due"),
        (POLICY, {"at": moment(NOW - timedelta(days=9)), "expires": moment(NOW)}, "it ended on 2026-03-01"),
        (replace(POLICY, checks=("NBP101",)),
         {"checks": (Checked("NBP101", "error", "not evaluated"),)}, "the checks NBP101 had not passed"),
    ],
)  # fmt: skip
def test_what_does_not_count_and_why(policy: Policy, changed: dict[str, Any], problem: str) -> None:
    """Each rule that is not kept is named, and the approval does not count."""
    with pytest.raises(ReviewRefused, match=problem):
        policy.check([approval(under=policy, **changed)], now=NOW)


def test_a_no_outweighs_every_yes() -> None:
    """One rejection is enough."""
    with pytest.raises(ReviewRefused, match="Ben rejected it"):
        POLICY.check([approval(), approval(BEN, decision="rejected")], now=NOW)


def test_who_joins_changes_no_rule() -> None:
    """The hash of the rules leaves people out, and nothing else."""
    assert replace(POLICY, reviewers=(ANA,)).digest == POLICY.digest
    others = [replace(POLICY, needed=2), replace(POLICY, roles=("x",)), replace(POLICY, expires_days=1),
              replace(POLICY, conditions=False), replace(POLICY, checks=("NBP101",)),
              replace(POLICY, unsafe_unsigned_requests=True)]  # fmt: skip
    assert len({policy.digest for policy in [POLICY, *others]}) == 7


@pytest.mark.parametrize(
    "text",
    [
        "need = 1", "needed = 0", "needed = true", "needed = '1'", "roles = [1]", "conditions = 1", "expires_days = -1",
        "reviewer = 1", "[[reviewer]]\nname = 'Ana'\nkey = 'x'", "[[reviewer]]\nname = ''", "[[reviewer]]\nrole = 'x'",
        "[[reviewer]]\nname = 'Ana'\nrole = 'x'", "[[reviewer]]\nname = 'Ana'\nroles = 'x'",
        "[[reviewer]]\nname = 'Ana'\nuntil = '2030-01-01'",
        "[[reviewer]]\nname = 'Ana'\n[[reviewer]]\nname = 'Ana'",
        "[[reviewer]]\nname = 'Ana'\n[[reviewer]]\nname = 'ANA'",
        "[[reviewer]]\nname = 'Аna'", "[[reviewer]]\nname = 'Paco'\n[[reviewer]]\nname = 'Расо'",
        "[[reviewer]]\nname = 'Al'\n[[reviewer]]\nname = 'AI'", "unsafe_unsigned_requests = 1",
    ],
)  # fmt: skip
def test_a_policy_that_says_something_else_is_refused(text: str) -> None:
    """Unknown rules, values of another kind, people or keys twice, names that pose as others: all are refused."""
    with pytest.raises(ReviewAskedWrongly):
        parsed(tomllib.loads(text))


def test_a_policy_is_read_whole() -> None:
    """Every rule of the file is in the policy."""
    text = """needed = 2\nroles = ["validator"]\nexpires_days = 365\nconditions = false\nchecks = ["NBP101"]
[[reviewer]]\nname = "Ana"\nroles = ["validator"]
"""
    assert parsed(tomllib.loads(text), HOLDERS) == Policy(
        reviewers=(ANA,), holders=HOLDERS, needed=2, roles=("validator",), expires_days=365,
        conditions=False, checks=("NBP101",),
    )  # fmt: skip


@given(st.text(max_size=20))
def test_a_name_is_itself(name: str) -> None:
    """Every name that is accepted is the same person as itself, in capitals, too, and holds nothing unseen."""
    if problem_of_person(name) is None:
        assert same_person(name, name)
        assert name.strip() == name
        assert not any(letter in name for letter in "\u202e\u200b\n\0")


@pytest.mark.parametrize(
    "path",
    ["repоrt.html", "e\u0301.csv", "", "/etc/passwd", "../a", "a/../b", "a\\b", "./a", "a//b", "a\0b", "a\u202eb", 3],
)
def test_paths_that_lead_elsewhere_are_none(path: object) -> None:
    """Only a plain relative path names a file of the project."""
    assert problem_of_file(path) is not None
