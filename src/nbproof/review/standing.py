"""How a notebook stands: approved, rejected, asked for, ended (and by what), or never asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..errors import ApprovalInvalid, AskedWrongly, NbproofError, NotApproved, ReviewRefused
from .approval import AHEAD, verify, verify_request
from .archive import Archive
from .asking import Request
from .binding import FILE_KINDS, Binding, bind, differences, relative
from .ledger import Entry, Ledger, is_before
from .policy import Policy
from .policy import read as read_policy
from .signers import FILE as SIGNERS
from .statement import Approval, read_moment

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
class Records:
    """What was verified about one notebook: every decision, the request of now, and what that binds besides.

    `strangers` tells of what is signed with keys that are not listed; it counts for nothing.
    """

    decisions: tuple[Given, ...] = ()
    asked: Entry | None = None
    asker_key: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()


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
    if notebook.absolute().is_relative_to(project) and not notebook.resolve().is_relative_to(project):
        raise ApprovalInvalid(str(notebook), "a link out of the project", "a notebook of the project")
    name = relative(project, notebook.resolve())
    policy, entries = policy_of(project), Ledger(project).read()
    records = verified(project, name, entries, policy, now=now)
    last = next((given for given in reversed(records.decisions) if given.approval.is_yes), None)
    try:
        binding = bind(project, notebook, lock=lock, files=records.files)
    except NbproofError as error:
        return _unbound(name, str(error), records.asked, last)
    found = _judged(name, binding, policy, records, last, entries)
    if records.strangers and not found.is_approved:
        return replace(found, sentence=f"{found.sentence}; {'; '.join(records.strangers)}")
    return found


def require_approval(project: Path, notebook: Path, *, lock: str | None = None) -> Standing:
    """Return the standing of a notebook that is approved; raises `NotApproved` for any other, saying why."""
    found = standing(project, notebook, lock=lock)
    if not found.is_approved:
        raise NotApproved(found.notebook, found.sentence)
    return found


def policy_of(project: Path) -> Policy:
    """The policy of a project; one that cannot be read approves nothing, and raises `ReviewRefused`."""
    try:
        return read_policy(project)
    except AskedWrongly as error:
        # Whatever rules and people were meant: as they stand, they approve nothing.
        raise ReviewRefused("nothing is approved", [str(error)], hint=error.hint) from None


def verified(
    project: Path, notebook: str, entries: Sequence[Entry], policy: Policy, *, now: datetime | None = None
) -> Records:
    """Everything that the ledger names about a notebook, verified against the keys that are listed now."""
    archive, moment = Archive(project), now or datetime.now(UTC)
    archive.check_no_strays(entries)
    times = {entry.hash: entry.at for entry in entries}
    found = Records()
    for entry in entries:
        if entry.notebook != notebook or entry.kind == "unsafe-bypass":
            continue
        try:
            found = _with_record(found, archive, entry, policy, times, moment)
        except ApprovalInvalid as error:
            if not _is_of_a_stranger(error):
                raise
            # Whoever left the list takes their words along; the file itself is whole, as the ledger says.
            told = f"{entry.file} is signed with a key that {SIGNERS} does not list"
            found = replace(found, strangers=(*found.strangers, told))
    return found


def _with_record(
    found: Records, archive: Archive, entry: Entry, policy: Policy, times: Mapping[str, str], now: datetime
) -> Records:
    if entry.kind == "requested":
        if not entry.file and not policy.unsafe_unsigned_requests:
            where = f"line {entry.number} of the ledger"
            raise ApprovalInvalid(where, "a request that nobody signed", f"one with a key of {SIGNERS}")
        key = ""
        if entry.file:
            request = verify_request(archive.envelope(entry), policy.keys, now=now, where=entry.file)
            _check_asked(request, entry, policy)
            _check_order(request.ledger, request.at, entry, times)
            key = request.key
        return replace(found, asked=entry, asker_key=key, files=dict(entry.files))
    approval = verify(archive.envelope(entry), policy.keys, now=now, where=entry.file)
    _check_same(approval, entry)
    _check_order(approval.ledger, approval.at, entry, times)
    given = Given(approval, entry, policy.problem_of(approval, now=now) or "")
    files: dict[str, str] = {held.kind: held.name for held in approval.subjects if held.kind in FILE_KINDS}
    return replace(found, decisions=(*found.decisions, given), files=files)


def _is_of_a_stranger(error: ApprovalInvalid) -> bool:
    return error.expected == "a key of a listed reviewer"


def _check_asked(request: Request, entry: Entry, policy: Policy) -> None:
    """What was signed is what the ledger says, in the name of whose key it is."""
    told = (entry.notebook, entry.digest, entry.bound, entry.by, dict(entry.files), entry.comment)
    signed = (request.notebook, request.digest.hex, request.bound, request.by, dict(request.files), request.comment)
    if told != signed:
        raise ApprovalInvalid(entry.file, "a request about something else", "what the ledger says of it")
    holder = policy.holder_of(request.key)
    if holder is None or holder.name != request.by:
        raise ApprovalInvalid(
            entry.file, f"a request in the name of {request.by}", "one in the name of the key's owner"
        )


def _check_same(approval: Approval, entry: Entry) -> None:
    """What was signed is what the ledger says."""
    told = (entry.kind, entry.notebook, entry.digest, entry.by)
    signed = (approval.decision, approval.notebook, approval.digest.hex, approval.reviewer)
    if told != signed:
        raise ApprovalInvalid(entry.file, "a decision about something else", "what the ledger says of it")


def _check_order(ledger: Sequence[str], at: str, entry: Entry, times: Mapping[str, str]) -> None:
    """The ledger before it is the one that the signer saw, and none of its lines is of a later time."""
    if tuple(ledger) != entry.previous:
        found = "a decision that was made after other lines of the ledger"
        raise ApprovalInvalid(entry.file, found, f"the ledger up to {', '.join(held[:12] for held in ledger)}")
    # A key that has expired could sign with yesterday's date; the lines that it follows give that away.
    early = read_moment(at) + AHEAD
    if at != entry.at or any(read_moment(times[before]) > early for before in entry.previous):
        raise ApprovalInvalid(entry.file, f"a decision dated {at}", "a time that is not before the lines it follows")


def _judged(
    name: str,
    binding: Binding,
    policy: Policy,
    records: Records,
    last: Given | None,
    entries: Sequence[Entry],
) -> Standing:
    asked = records.asked
    current = [given for given in records.decisions if not _changes(given.approval, binding)]
    latest = newest(current, entries)
    counted = [given for given in latest if not given.problem]
    is_open = asked is not None and asked.bound == binding.bound.hex
    about = Standing(name, "never asked", "nobody has asked for a review", binding, (), latest, last,
                     asked if is_open else None)  # fmt: skip
    noes = [given for given in counted if not given.approval.is_yes]
    yeses = [given.approval for given in counted if given.approval.is_yes]
    missing = tuple(policy.missing(yeses))
    if noes:
        said = noes[-1].approval
        return _with(about, "rejected", f"{said.reviewer} rejected it" + (f": {said.comment}" if said.comment else ""))
    useless = unusable(policy)
    if yeses and not missing and not useless:
        conditions = [condition.text for said in yeses for condition in said.conditions]
        people = ", ".join(sorted(said.reviewer for said in yeses))
        if conditions:
            return _with(about, "approved with conditions", f"approved by {people}, if: {'; '.join(conditions)}")
        return _with(about, "approved", f"approved by {people}")
    since = asked.number if asked is not None else 0
    lapsed = [given for given in latest if given.problem and given.approval.is_yes and given.entry.number > since]
    if lapsed:
        said, problem = lapsed[-1].approval, lapsed[-1].problem
        return _with(about, "ended", f"the approval of {said.at[:10]} by {said.reviewer} counts no more: {problem}",
                     changes=(Change("approval", said.reviewer, problem),))  # fmt: skip
    if is_open and asked is not None:
        lacking = "; ".join(filter(None, [useless, *missing]))
        return _with(about, "requested", f"{asked.by} asked for a review; so far: {lacking}", missing=missing)
    return _past(about, binding, asked, last)


def newest(current: Sequence[Given], entries: Sequence[Entry]) -> tuple[Given, ...]:
    """The decision of each person that is meant: the later one; but a no that it did not follow is not taken back."""
    found: dict[str, Given] = {}
    for given in current:
        before = found.get(given.approval.reviewer)
        stands = before is not None and not before.approval.is_yes and not before.problem
        if before is None or not stands or is_before(before.entry, given.entry, entries):
            found[given.approval.reviewer] = given
    return tuple(found.values())


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


def unusable(policy: Policy) -> str:
    """Why the policy approves nothing at all, or ""."""
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
