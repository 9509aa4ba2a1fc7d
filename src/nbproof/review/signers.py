"""Whose key is whose: the file `approvals/allowed_signers`, in OpenSSH's own format."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import KeyUnusable, ReviewAskedWrongly
from .keys import KIND, PublicKey
from .names import problem_of_person, same_person
from .places import place_of

FILE = "approvals/allowed_signers"
# `namespaces="git"` keeps a key to commits; one without the option is for everything.
NAMESPACE = "nbproof"
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')
_OPTION = re.compile(r'([A-Za-z-]+)(?:=(?:"([^"]*)"|([^",]*)))?(?:,|$)')
_MOMENT = re.compile(r"(\d{8})(\d{4}(?:\d\d)?)?Z")


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with a key. What the key signs counts from `since` on and before `until` (None: without such an end)."""

    name: str
    key: PublicKey
    since: datetime | None = None
    until: datetime | None = None

    def problem_at(self, moment: datetime) -> str | None:
        """Say why a signature of that moment does not count, or None."""
        if self.since is not None and moment < self.since:
            return f"the key of {self.name} counts from {self.since:%Y-%m-%d}"
        if self.until is not None and moment >= self.until:
            return f"the key of {self.name} counted until {self.until:%Y-%m-%d}"
        return None


def read(project: Path) -> tuple[Holder, ...]:
    """Return who is listed; nobody without a file. Raises `ReviewAskedWrongly` for a line with two readings."""
    path = place_of(project, FILE)
    if not path.exists():
        return ()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReviewAskedWrongly(f"`{FILE}`", f"a file that cannot be read ({error})", "lines of text") from None
    return parsed(text)


def parsed(text: str) -> tuple[Holder, ...]:
    """Return the holders of the Ed25519 keys that lines list for nbproof; keys of other kinds sign nothing here."""
    found: list[Holder] = []
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.strip()
        if said and not said.startswith("#"):
            found.extend(_holders(said, f"line {number} of {FILE}"))
    _check_distinct(found)
    return tuple(found)


def line_of(name: str, key: PublicKey) -> str:
    """The line that lists a key."""
    shown = f'"{name}"' if " " in name else name
    return f'{shown} namespaces="{NAMESPACE}" {key.line}'


def _holders(line: str, where: str) -> Iterator[Holder]:
    words = [match.group() for match in _WORD.finditer(line)]
    if KIND not in words[1:3]:
        # A certificate or a key of another kind may stand there for git's sake.
        return
    kind = words.index(KIND, 1)
    options = _options(words[1], where) if kind == 2 else {}
    if "cert-authority" in options or not _is_for_us(options):
        return
    try:
        key = PublicKey.read(" ".join(words[kind : kind + 2]))
    except KeyUnusable as error:
        raise ReviewAskedWrongly(where, error.found, error.expected, hint=error.hint) from None
    yield Holder(
        _name(words[0], where), key, _moment(options, "valid-after", where), _moment(options, "valid-before", where)
    )


def _name(word: str, where: str) -> str:
    name = word.replace('"', "")
    # OpenSSH reads patterns and lists here; whoever decides is one person with one name.
    problem = "a pattern or a list" if re.search(r"[*?!,]", name) else problem_of_person(name)
    if problem:
        raise ReviewAskedWrongly(where, f"{problem} ({name!r:.60})", "the name of one person")
    return name


def _options(text: str, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    end = 0
    for match in _OPTION.finditer(text):
        if match.start() != end:
            break
        end = match.end()
        name = match.group(1).lower()
        if name in found or name not in {"cert-authority", "namespaces", "valid-after", "valid-before"}:
            raise ReviewAskedWrongly(where, f"the option `{name[:40]}`", "options of ssh-keygen, each once")
        found[name] = match.group(2) or match.group(3) or ""
    if end != len(text):
        raise ReviewAskedWrongly(where, f"options that cannot be read ({text[:60]})", 'valid-before="20271231Z"')
    return found


def _is_for_us(options: Mapping[str, str]) -> bool:
    named = options.get("namespaces")
    return named is None or any(fnmatch.fnmatchcase(NAMESPACE, pattern) for pattern in named.split(","))


def _moment(options: Mapping[str, str], option: str, where: str) -> datetime | None:
    if option not in options:
        return None
    match = _MOMENT.fullmatch(options[option])
    try:
        if match is None:
            raise ValueError
        clock = (match.group(2) or "").ljust(6, "0")
        return datetime.strptime(match.group(1) + clock, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        # Without the Z each machine would read its own time into it.
        raise ReviewAskedWrongly(
            where, f"{option}={options[option]!r:.40}", 'a moment in UTC, as "20271231Z"'
        ) from None


def _check_distinct(holders: list[Holder]) -> None:
    for place, one in enumerate(holders):
        for other in holders[:place]:
            if one.name != other.name and (one.key == other.key or same_person(one.name, other.name)):
                # One key for two names, or two names for one person, would let one hand sign twice.
                raise ReviewAskedWrongly(f"`{FILE}`", f"{other.name} and {one.name}", "one name for one person")
            if one.name == other.name and one.key == other.key:
                raise ReviewAskedWrongly(f"`{FILE}`", f"a key of {one.name} twice", "each once")
