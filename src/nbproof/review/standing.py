"""How a notebook stands: approved, rejected, asked for, ended (and by what), or never asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..errors import ApprovalInvalid, NbproofError, NotApproved
from .approval import verify
from .archive import Archive
from .binding import Binding, bind, differences, relative
from .ledger import Entry, Ledger
from .policy import Policy
from .policy import read as read_policy
from .statement import Approval

State = Literal["approved", "approved with conditions", "rejected", "requested", "ended", "never asked"]
_WORDS: Mapping[str, str] = {
    "notebook": "the notebook",
    "data": "the data",
    "module": "the module",
    "lock": "the environment, locked in",
    "kernel": "the environment of the kernel",
    "report": "the report",
    "model": "the model",
    "package": "the package",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not what it was when it was decided about."""

    kind: str
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Given:
    """A decision that was verified. `problem` says why it does not count ("": it does)."""

    approval: Approval
    entry: Entry
    problem: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one notebook. `sentence` says it, with the reason; `binding` is what is there now.

    `given` holds the decisions about what is there now, `last` the newest yes of earlier, `asked` the request that is
    open.
    """

    notebook: str
    state: State
    sentence: str
    binding: Binding | None = None
    changes: tuple[Change, ...] = ()
    given: tuple[Given, ...] = ()
    last: Given | None = None
    asked: Entry | None = None
    missing: tuple[str, ...] = ()

    @property
    def is_approved(self) -> bool:
        return self.state in ("approved", "approved with conditions")


def standing(project: Path, notebook: Path, *, lock: str | None = None, now: datetime | None = None) -> Standing:
    """Return how the notebook stands now.

    Raises `LedgerBroken` and `ApprovalInvalid` when the records themselves are not whole: then nothing can be said.
    """
    project = project.resolve()
    name = relative(project, notebook.resolve())
    policy, entries = read_policy(project), Ledger(project).read()
    about = [entry for entry in entries if entry.notebook == name]
    decisions = _decisions(project, about, entries, policy, now or datetime.now(UTC))
    asked = next((entry for entry in reversed(about) if entry.kind == "requested"), None)
    last = next((given for given in reversed(decisions) if given.approval.is_yes), None)
    try:
        binding = bind(project, notebook, lock=lock, files=_files(asked))
    except NbproofError as error:
        return _unbound(name, str(error), asked, last)
    return _judged(name, binding, policy, decisions, asked, last, now or datetime.now(UTC))


def require_approval(project: Path, notebook: Path, *, lock: str | None = None) -> Standing:
    """Return the standing of a notebook that is approved; raises `NotApproved` for any other, saying why."""
    found = standing(project, notebook, lock=lock)
    if not found.is_approved:
        raise NotApproved(found.notebook, found.sentence)
    return found


def _files(asked: Entry | None) -> dict[str, str]:
    return {} if asked is None else dict(asked.files)


def _decisions(
    project: Path, about: Sequence[Entry], entries: Sequence[Entry], policy: Policy, now: datetime
) -> list[Given]:
    """Every decision about this notebook that the ledger names, verified against the keys that are trusted now."""
    archive, found = Archive(project), []
    archive.check_no_strays(entries)
    known = {entry.hash: entry.number for entry in entries}
    for entry in about:
        if entry.kind == "requested":
            continue
        content = archive.envelope(entry)
        try:
            approval = verify(content, policy.keys, now=now, where=entry.file)
        except ApprovalInvalid as error:
            if not _is_of_a_stranger(error):
                raise
            # Whoever left the list takes their decisions along; the file itself is whole, as the ledger says.
            continue
        _check_same(approval, entry, known)
        found.append(Given(approval, entry, policy.problem_of(approval, now=now) or ""))
    return found


def _is_of_a_stranger(error: ApprovalInvalid) -> bool:
    return error.expected == "a key of a listed reviewer"


def _check_same(approval: Approval, entry: Entry, known: Mapping[str, int]) -> None:
    """What was signed is what the ledger says, and the ledger before it is the one that the signer saw."""
    told = (entry.kind, entry.notebook, entry.digest, entry.by)
    signed = (approval.decision, approval.notebook, approval.digest.hex, approval.reviewer)
    if told != signed:
        raise ApprovalInvalid(entry.file, "a decision about something else", "what the ledger says of it")
    if approval.ledger != entry.previous:
        found = "a decision that was made after other lines of the ledger"
        raise ApprovalInvalid(entry.file, found, f"the ledger up to {approval.ledger[:12]}")


def _judged(
    name: str,
    binding: Binding,
    policy: Policy,
    decisions: Sequence[Given],
    asked: Entry | None,
    last: Given | None,
    now: datetime,
) -> Standing:
    current = [given for given in decisions if not _changes(given.approval, binding)]
    # Somebody who decides again means the later decision.
    newest = tuple({given.approval.key: given for given in current}.values())
    counted = [given for given in newest if not given.problem]
    is_open = asked is not None and asked.bound == binding.bound.hex
    about = Standing(name, "never asked", "nobody has asked for a review", binding, (), newest, last,
                     asked if is_open else None)  # fmt: skip
    noes = [given for given in counted if not given.approval.is_yes]
    yeses = [given.approval for given in counted if given.approval.is_yes]
    missing = tuple(policy.missing(yeses))
    if noes:
        said = noes[-1].approval
        return _with(about, "rejected", f"{said.reviewer} rejected it" + (f": {said.comment}" if said.comment else ""))
    usable = _unusable(policy)
    if yeses and not missing and not usable:
        conditions = [condition.text for said in yeses for condition in said.conditions]
        people = ", ".join(said.reviewer for said in yeses)
        if conditions:
            return _with(about, "approved with conditions", f"approved by {people}, if: {'; '.join(conditions)}")
        return _with(about, "approved", f"approved by {people}")
    since = asked.number if asked else 0
    lapsed = [given for given in newest if given.problem and given.approval.is_yes and given.entry.number > since]
    if lapsed:
        said, problem = lapsed[-1].approval, lapsed[-1].problem
        return _with(about, "ended", f"the approval of {said.at[:10]} by {said.reviewer} counts no more: {problem}",
                     changes=(Change("approval", said.reviewer, problem),))  # fmt: skip
    if is_open and asked is not None:
        lacking = "; ".join(filter(None, [usable, *missing]))
        return _with(about, "requested", f"{asked.by} asked for a review; so far: {lacking}", missing=missing)
    return _past(about, binding, asked, last)


def _past(about: Standing, binding: Binding, asked: Entry | None, last: Given | None) -> Standing:
    """Nothing is decided or asked about what is there now: say what there was before."""
    if last is not None:
        changes = _changes(last.approval, binding)
        if changes:
            named = ", ".join(change.words for change in changes)
            return _with(about, "ended", f"the approval of {last.approval.at[:10]} has ended: {named}", changes=changes)
        return _with(about, "ended", f"the approval of {last.approval.at[:10]} counts no more: "
                     f"{last.problem or '; '.join(about.missing) or 'others are missing'}")  # fmt: skip
    if asked is not None:
        changes = (Change("request", about.notebook, "what was asked about has changed since"),)
        return _with(about, "ended", f"{asked.by} asked for a review, and it has changed since", changes=changes)
    return about


def _changes(approval: Approval, binding: Binding) -> tuple[Change, ...]:
    """What is not as it was when it was signed."""
    found = [
        Change(kind, name, f"{_WORDS[kind]} {name} {'changed' if fate == 'changed' else 'is ' + fate}")
        for kind, name, fate in differences(approval.subjects, binding.subjects)
    ]
    found += [
        Change("data", name, f"the data {name} is gone") for name in binding.absent if name not in approval.absent
    ]
    found += [Change("data", name, f"the data {name} is new") for name in approval.absent if name not in binding.absent]
    for name in dict.fromkeys([*approval.parameters, *binding.parameters]):
        if approval.parameters.get(name) != binding.parameters.get(name) or (name in approval.parameters) != (
            name in binding.parameters
        ):
            found.append(Change("parameter", name, f"the parameter {name} changed"))
    return tuple({(change.kind, change.name): change for change in found}.values())


def _unbound(name: str, reason: str, asked: Entry | None, last: Given | None) -> Standing:
    if last is None and asked is None:
        return Standing(name, "never asked", f"nobody has asked for a review, and nobody could: {reason}")
    changes = (Change("notebook", name, reason),)
    return Standing(name, "ended", f"what was decided has ended: {reason}", changes=changes, last=last)


def _unusable(policy: Policy) -> str:
    try:
        policy.check_usable()
    except NbproofError as error:
        return str(error)
    return ""


def _with(
    about: Standing,
    state: State,
    sentence: str,
    *,
    changes: tuple[Change, ...] = (),
    missing: tuple[str, ...] = (),
) -> Standing:
    return Standing(
        about.notebook, state, sentence, about.binding, changes, about.given, about.last, about.asked, missing
    )
