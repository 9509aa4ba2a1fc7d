"""What makes decisions good enough: who counts, how many must agree, what they may not do."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..errors import ReviewAskedWrongly, ReviewRefused
from ..records import ContentHash
from .keys import PublicKey
from .names import problem_of_person, same_person
from .places import place_of
from .plainly import spelled
from .signers import FILE as SIGNERS
from .signers import Holder
from .signers import read as read_signers
from .statement import Approval, read_moment

FILE = "approvals/reviewers.toml"
_EXAMPLE = f'add [[reviewer]] with name = "…" to {FILE}, and the line `NAME ssh-ed25519 AAAA…` to {SIGNERS}'
_RULES: Mapping[str, type] = {
    "needed": int,
    "roles": list,
    "expires_days": int,
    "conditions": bool,
    "checks": list,
    "unsafe_unsigned_requests": bool,
}


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Somebody whose decisions count, known by the keys that `approvals/allowed_signers` lists for the name."""

    name: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules. Nobody ever approves what they asked for themselves; that is no setting.

    `needed` reviewers must agree, and among them somebody of each of the `roles`. An approval ends after
    `expires_days` (None: never by itself). `conditions` says whether one with conditions counts. Each of the `checks`
    must have passed. `unsafe_unsigned_requests` lets anybody ask in anybody's name, who may then be the reviewer.
    """

    reviewers: tuple[Reviewer, ...] = ()
    holders: tuple[Holder, ...] = ()
    needed: int = 1
    roles: tuple[str, ...] = ()
    expires_days: int | None = None
    conditions: bool = True
    checks: tuple[str, ...] = field(default=())
    unsafe_unsigned_requests: bool = False

    @property
    def digest(self) -> ContentHash:
        """The hash of the rules. The list of people is left out: who is struck off it no longer counts anyway."""
        rules = {name: getattr(self, name) for name in _RULES}
        return ContentHash.of(spelled(rules))

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """The keys that are known."""
        return tuple(holder.key for holder in self.holders)

    def holder_of(self, key: str) -> Holder | None:
        """Whose key that fingerprint is."""
        return next((held for held in self.holders if held.key.fingerprint == key), None)

    def reviewer_of(self, key: str) -> Reviewer | None:
        """The reviewer with the key of that fingerprint."""
        holder = self.holder_of(key)
        return next((held for held in self.reviewers if holder and held.name == holder.name), None)

    def check_usable(self) -> None:
        """Raise `ReviewRefused` unless somebody could ever satisfy it: a policy without people approves nothing."""
        problems = []
        named = {holder.name for holder in self.holders}
        able = [reviewer for reviewer in self.reviewers if reviewer.name in named]
        if not self.reviewers:
            problems.append("it names no reviewer")
        elif not able:
            problems.append(f"{SIGNERS} lists no key of a reviewer")
        elif len(able) < self.needed:
            problems.append(f"it needs {self.needed} reviewers and names {len(able)} with a key")
        known = {role for reviewer in able for role in reviewer.roles}
        problems += [f"nobody has the role `{role}`" for role in self.roles if role not in known]
        if problems:
            raise ReviewRefused(f"the policy in {FILE} approves nothing", problems, hint=_EXAMPLE)

    def problem_of(self, approval: Approval, *, now: datetime | None = None) -> str | None:
        """Say why a verified decision does not count, or None."""
        now = now or datetime.now(UTC)
        holder = self.holder_of(approval.key)
        if holder is None:
            return f"the key {approval.key} is of no listed reviewer"
        if holder.name != approval.reviewer:
            return f"the key of {holder.name} signed as {approval.reviewer}"
        if self.reviewer_of(approval.key) is None:
            return f"{holder.name} has a key and is no reviewer"
        # A no counts, whoever says it: only a yes can do harm.
        if not approval.is_yes:
            return None
        problem = self._problem_of_request(approval) or holder.problem_at(read_moment(approval.at))
        if problem:
            return problem
        if approval.policy != self.digest.hex:
            return "the rules have changed since"
        if approval.conditions and not self.conditions:
            return "the rules allow no conditions"
        return self._problem_of_checks(approval) or self._problem_of_time(approval, now)

    def check(self, approvals: Iterable[Approval], *, now: datetime | None = None) -> None:
        """Raise `ReviewRefused` unless the decisions, each verified, are enough; all problems together."""
        self.check_usable()
        counted, problems = [], []
        for approval in approvals:
            problem = self.problem_of(approval, now=now)
            if problem:
                problems.append(f"{approval.reviewer} does not count: {problem}")
            elif not approval.is_yes:
                problems.append(f"{approval.reviewer} rejected it")
            else:
                counted.append(approval)
        problems += self.missing(counted)
        if problems:
            raise ReviewRefused("not enough", problems, hint="nbproof review log")

    def missing(self, counted: Sequence[Approval]) -> list[str]:
        """What approvals that count still lack; one person twice is one person."""
        people = {approval.reviewer for approval in counted}
        problems = [f"{len(people)} of {self.needed} reviewers"] if len(people) < max(1, self.needed) else []
        roles = {role for reviewer in self.reviewers if reviewer.name in people for role in reviewer.roles}
        return [*problems, *(f"nobody of the role `{role}`" for role in self.roles if role not in roles)]

    def expires(self, at: datetime) -> datetime | None:
        """When a decision made at `at` ends."""
        return None if self.expires_days is None else at + timedelta(days=self.expires_days)

    def _problem_of_request(self, approval: Approval) -> str | None:
        """Who asked is another person, and has signed; an owner who has left the list since has still asked."""
        if same_person(approval.requester, approval.reviewer) or approval.requester_key == approval.key:
            return f"{approval.reviewer} asked for the review"
        if not approval.requester_key and not self.unsafe_unsigned_requests:
            return f"nobody signed the request of {approval.requester}"
        asker = self.holder_of(approval.requester_key)
        if asker is not None and asker.name != approval.requester:
            return f"the key of {asker.name} asked as {approval.requester}"
        return None

    def _problem_of_checks(self, approval: Approval) -> str | None:
        passed = {checked.code for checked in approval.checks if checked.verdict == "passed"}
        missing = [code for code in self.checks if code not in passed]
        return f"the checks {', '.join(missing)} had not passed" if missing else None

    def _problem_of_time(self, approval: Approval, now: datetime) -> str | None:
        if approval.expires is not None and read_moment(approval.expires) <= now:
            return f"it ended on {approval.expires[:10]}"
        overdue = [held for held in approval.conditions if held.due is not None and held.due < f"{now:%Y-%m-%d}"]
        return f"its condition “{overdue[0].text}” was due on {overdue[0].due}" if overdue else None


def read(project: Path) -> Policy:
    """Return the policy of `project`; without a file it names nobody, and so approves nothing."""
    path = place_of(project, FILE)
    if not path.exists():
        return Policy(holders=read_signers(project))
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ReviewAskedWrongly(f"`{FILE}`", f"a file that cannot be read ({error})", "valid TOML") from None
    return parsed(found, read_signers(project))


def parsed(found: Mapping[str, Any], holders: Sequence[Holder] = ()) -> Policy:
    """Return the policy that a table states about the `holders` of keys.

    Raises `ReviewAskedWrongly` for a rule that nobody knows.
    """
    rules = {name: value for name, value in found.items() if name != "reviewer"}
    for name, value in rules.items():
        kind = _RULES.get(name)
        if kind is None:
            raise ReviewAskedWrongly(f"`{name}` in {FILE}", "an unknown rule", f"one of {', '.join(sorted(_RULES))}")
        if (
            type(value) is not kind
            or (isinstance(value, int) and not isinstance(value, bool) and value < 1)
            or not _is_words(value)
        ):
            raise ReviewAskedWrongly(f"`{name}` in {FILE}", repr(value)[:80], f"a {kind.__name__} that can be kept")
    people = found.get("reviewer", [])
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise ReviewAskedWrongly(f"`reviewer` in {FILE}", "no list of tables", "[[reviewer]]", hint=_EXAMPLE)
    reviewers = tuple(_reviewer(person) for person in people)
    _check_distinct(reviewers)
    kept: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in rules.items()}
    return Policy(reviewers=reviewers, holders=tuple(holders), **kept)


def _is_words(value: Any) -> bool:
    return not isinstance(value, list) or all(isinstance(word, str) and word for word in value)


def _reviewer(found: Mapping[str, Any]) -> Reviewer:
    name, where = found.get("name"), f"[[reviewer]] {found.get('name')!r:.60} in {FILE}"
    if {"key", "until"} & set(found):
        # Two places for one key would be two truths.
        raise ReviewAskedWrongly(where, "a key", "name and roles", hint=f"keys and their ends are lines of {SIGNERS}")
    unknown = set(found) - {"name", "roles"}
    if unknown:
        raise ReviewAskedWrongly(where, f"`{min(unknown)}`", "name, roles")
    problem = problem_of_person(name)
    if problem or not isinstance(name, str):
        raise ReviewAskedWrongly(where, problem or "no name", "a name that can be told from every other")
    roles = found.get("roles", [])
    if not isinstance(roles, list) or not _is_words(roles):
        raise ReviewAskedWrongly(where, "roles that are no words", "a list of words")
    return Reviewer(name, frozenset(roles))


def _check_distinct(reviewers: Sequence[Reviewer]) -> None:
    for place, one in enumerate(reviewers):
        for other in reviewers[:place]:
            # Two entries for one person would let one hand sign twice.
            if same_person(one.name, other.name):
                raise ReviewAskedWrongly(f"[[reviewer]] in {FILE}", f"{other.name} and {one.name}", "each person once")
