"""Whether two outputs say the same, but for what can only differ: times, addresses, temporary paths, ids in HTML.

Noise is told by its type and its place: both sides must have a token of one type where they differ, and a moment may
differ only if the later one is that of the run itself. A number that changes is never noise.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

# Moments are written in local time, too.
NEAR = timedelta(hours=26)
# A time of day without a date is that of the run only if it is about now; others are results.
NEAR_CLOCK = timedelta(hours=1)
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_FOLDERS = ("/tmp", "/var/tmp", "/private/var/folders", "/var/folders")  # noqa: S108 (looked for, not written to)
_TEMPORARY = "|".join(sorted({re.escape(tempfile.gettempdir()), *_FOLDERS}))
_SPAN = r"[\d.,]+ ?(?:ns|us|µs|μs|ms|s|min|h)\b"
_TOKENS = re.compile(
    rf"(?P<timing>(?:CPU times|Wall time): [^\n]*|{_SPAN} ± {_SPAN}[^\n]*|{_SPAN} ± [^\n]*per loop[^\n]*)"
    rf"|(?P<moment>\b\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
    rf"|\b{_DAY},? {_MONTH} +\d\d? \d\d:\d\d:\d\d \d{{4}}\b)"
    rf"|(?P<clock>\b(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?\b)"
    rf"|(?P<address>(?<=\bat )0x[0-9a-fA-F]{{6,16}}\b)"
    rf"|(?P<temporary>(?:{_TEMPORARY})/[\w./@+-]*)"
)
_MARKUP = re.compile(
    _TOKENS.pattern
    + r"|(?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)"
    + r"|(?P<style>\bT_[0-9a-f]{5}\b)|(?P<clip>\b[a-z]{1,2}[0-9a-f]{10}\b)|(?P<container>\bsk-container-id-\d+\b)"
    # Of an object that is told by its address, a library may show the two ends alone.
    + r"|(?P<cut>(?<=\.\.\.)(?:0?x)?[0-9a-f]{6,16}(?=&gt;))"
)
_MARKED = {"text/html", "image/svg+xml", "application/javascript"}
# What a widget shows lives in the kernel; its name is drawn.
_PASSED_OVER = {"application/vnd.jupyter.widget-view+json"}


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a cell said: its kind (`stdout`, `error`, or a MIME type) and its text."""

    kind: str
    text: str


def said(outputs: Sequence[Mapping[str, Any]], renamed: Mapping[str, str]) -> tuple[Said, ...]:
    """What a cell said, in order; streams joined, stderr left out: what is said there is no result."""
    found: list[Said] = []
    for one in _each(outputs):
        text = one.text
        for staged, final in renamed.items():
            text = text.replace(staged, final)
        if found and found[-1].kind == one.kind == "stdout":
            found[-1] = Said("stdout", found[-1].text + text)
        else:
            found.append(Said(one.kind, text))
    return tuple(found)


def differs(before: Sequence[Said], after: Sequence[Said], *, now: datetime | None = None) -> str | None:
    """Say how what a cell said `after` differs from `before`, or None; `now` is when it was run again."""
    if [one.kind for one in before] != [one.kind for one in after]:
        told = [", ".join(one.kind for one in side) or "nothing" for side in (before, after)]
        return f"it gave {told[0]}, then {told[1]}"
    for one, other in zip(before, after, strict=True):
        if not same(one.text, other.text, is_markup=one.kind in _MARKED, now=now):
            return f"{one.kind}: {_first_difference(one.text, other.text)}"
    return None


def same(before: str, after: str, *, is_markup: bool = False, now: datetime | None = None) -> bool:
    """Whether two texts are equal but for noise.

    >>> same("<a.B object at 0x7f0000000001>", "<a.B object at 0x7f0000000002>")
    True
    >>> same("loss 0.25", "loss 0.26")
    False
    """
    if before == after:
        return True
    now = now or datetime.now(UTC)
    pattern = _MARKUP if is_markup else _TOKENS
    one, other = list(_pieces(before, pattern)), list(_pieces(after, pattern))
    if [kind for kind, _ in one] != [kind for kind, _ in other]:
        return False
    pairs = zip(one, other, strict=True)
    return all(left == right or _is_noise(kind, right, now) for (kind, left), (_, right) in pairs)


def _is_noise(kind: str, later: str, now: datetime) -> bool:
    if not kind:
        return False
    if kind == "clock":
        return _is_about_now(later, now)
    if kind != "moment":
        return True
    moment = _moment(later)
    return moment is not None and abs(moment - now) <= NEAR


def _is_about_now(text: str, now: datetime) -> bool:
    clock = datetime.strptime(text[:8], "%H:%M:%S")
    for here in (now.astimezone(UTC), now.astimezone()):
        apart = abs(timedelta(hours=here.hour - clock.hour, minutes=here.minute - clock.minute))
        # Midnight may lie between the two.
        if min(apart, timedelta(days=1) - apart) <= NEAR_CLOCK:
            return True
    return False


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        try:
            found = datetime.strptime(" ".join(text.replace(",", "").split()), "%a %b %d %H:%M:%S %Y")
        except ValueError:
            return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    end = 0
    for match in pattern.finditer(text):
        yield "", text[end : match.start()]
        yield match.lastgroup or "", match.group()
        end = match.end()
    yield "", text[end:]


def _each(outputs: Sequence[Mapping[str, Any]]) -> Iterator[Said]:
    for output in outputs:
        kind = output.get("output_type")
        if kind == "stream":
            if output.get("name") != "stderr":
                yield Said("stdout", _joined(output.get("text", "")))
        elif kind == "error":
            yield Said("error", f"{output.get('ename')}: {output.get('evalue')}")
        else:
            for mime, content in sorted(output.get("data", {}).items()):
                if mime not in _PASSED_OVER:
                    yield Said(mime, content if isinstance(content, str) else _spelled(content))


def _spelled(content: Any) -> str:
    if isinstance(content, list) and all(isinstance(line, str) for line in content):
        return "".join(content)
    return json.dumps(content, sort_keys=True)


def _joined(text: Any) -> str:
    return text if isinstance(text, str) else "".join(map(str, text))


def _first_difference(before: str, after: str) -> str:
    place = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, place - 20)
    shown = [side[start : place + 30].replace("\n", "⏎") or "(its end)" for side in (before, after)]
    return f"“{shown[0]}” became “{shown[1]}”"
