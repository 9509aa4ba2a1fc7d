"""What becomes of a stream of text: folded to what a terminal would show, masked, and kept within bounds.

Everything here is fed piece by piece, takes time in proportion to what it is fed, and gives the same result however
the text was cut into pieces.
"""

from __future__ import annotations

import re
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

# The page of the terminal that folding imagines: lines above it have scrolled away and cannot change any more.
PAGE_LINES = 64
PAGE_COLUMNS = 1 << 16

_ACTIVE = re.compile("[\r\b\x1b]")
_TOKEN = re.compile(
    r"\x1b\[(?P<parameters>[0-?]{0,64})(?P<between>[ -/]{0,8})(?P<final>[@-~])"
    # Control strings: the titles of windows, hyperlinks.
    r"|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"
    r"|\x1b[ -/]{0,8}[0-OQ-WYZ\\`-~]"
    r"|\x1b"
    r"|(?P<control>[\r\b\n])"
)
_INCOMPLETE = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|[\]PX^_][^\x07\x1b]{0,4096}\x1b?|[ -/]{1,8})?\Z")
_LONGEST_INCOMPLETE = 4100
_SGR = re.compile(r"\x1b\[[^m]*m")
# More than these many colours and attributes at once are not remembered.
_REMEMBERED_SGR = 8


def fold(text: str) -> str:
    """What a terminal shows after `text` was printed to it.

    The controls are those of ECMA-48: carriage return and backspace move the cursor, and what follows overwrites what
    was there, so that a shorter text leaves the tail of a longer one; `CSI A` to `G` move it too, `CSI K` and `CSI 0 J`
    erase. A line feed goes to the beginning of the next line, as terminals are set up to do. Colours and attributes
    (SGR) stay with the characters they were given to; every other escape sequence is left out. The page has 64 lines
    of 65 536 columns, and every character takes one column.

    >>> fold("10 %\\r99 %\\n"), fold("epoch 10\\rdone"), fold("ab\\b\\bx")
    ('99 %\\n', 'doneh 10', 'xb')
    """
    folding = Fold()
    return folding.feed(text) + folding.rest()


class Fold:
    """`fold`, fed piece by piece: what `feed` returned, in order, and then `rest` are what the terminal shows.

    With `is_eager` a finished line is returned at once; only when the text moves the cursor upwards for the first
    time are lines held back. Lines that were returned before cannot be changed then, so for nested progress bars an
    eager fold may show an old state of a bar beside the last one.
    """

    def __init__(self, *, is_eager: bool = False) -> None:
        self._rows = [_Row("")]
        self._row = self._column = self._style = 0
        self._styles, self._style_of = [""], {"": 0}
        self._held = ""
        self._final: list[str] = []
        self._reach = 0 if is_eager else PAGE_LINES - 1

    def feed(self, text: str) -> str:
        """Take `text` in; return what can no longer change."""
        if self._held:
            text, self._held = self._held + text, ""
        # A line feed returns the carriage by itself.
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        if _ACTIVE.search(text) is not None:
            self._interpret(text)
        elif self._is_at_end() and self._fits(text):
            self._append(text)
        else:
            self._plain(text)
        final = "".join(self._final)
        self._final.clear()
        return final

    def rest(self) -> str:
        """What may still change, as it is shown now."""
        return "".join([row.shown(self._styles) + row.end for row in self._rows[:-1]]) + self.line

    @property
    def line(self) -> str:
        """The last line, which has not ended yet, as it is shown now."""
        return self._rows[-1].shown(self._styles)

    def _is_at_end(self) -> bool:
        return self._row == len(self._rows) - 1 and self._column == self._rows[-1].length and self._style == 0

    def _fits(self, text: str) -> bool:
        if self._column + len(text) <= PAGE_COLUMNS:
            return True
        first, *others = text.split("\n")
        return self._column + len(first) <= PAGE_COLUMNS and max(map(len, others), default=0) <= PAGE_COLUMNS

    def _append(self, text: str) -> None:
        """The plain case: text without controls, at the end of everything."""
        *ended, last = text.rsplit("\n", self._reach + 1)
        if not ended:
            self._rows[-1].add(last)
            self._column += len(last)
            return
        self._rows[-1].add(ended[0])
        # Only the first piece may hold further line feeds, and then everything up to it scrolls away.
        self._rows[-1].end = "\n"
        self._rows += [_Row(line, "\n") for line in ended[1:]] + [_Row(last)]
        self._row, self._column = len(self._rows) - 1, len(last)
        self._scroll()

    def _plain(self, text: str) -> None:
        first, *others = text.split("\n")
        self._write(first)
        for line in others:
            self._next_row("\n")
            self._write(line)

    def _interpret(self, text: str) -> None:
        incomplete = _INCOMPLETE.search(text, max(0, len(text) - _LONGEST_INCOMPLETE))
        if incomplete:
            text, self._held = text[: incomplete.start()], incomplete.group()
        at = 0
        for token in _TOKEN.finditer(text):
            if token.start() > at:
                self._write(text[at : token.start()])
            at = token.end()
            if control := token["control"]:
                self._control(control)
            elif token["final"] and not token["between"]:
                self._sequence(token["parameters"], token["final"], token.group())
        if at < len(text):
            self._write(text[at:])

    def _control(self, control: str) -> None:
        if control == "\n":
            self._next_row("\n")
        else:
            self._column = 0 if control == "\r" else max(0, self._column - 1)

    def _next_row(self, end: str) -> None:
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._rows):
            self._rows[-1].end = end
            self._rows.append(_Row(""))
            self._scroll()

    def _scroll(self) -> None:
        excess = len(self._rows) - 1 - self._reach
        if excess > 0:
            self._final += [row.shown(self._styles) + row.end for row in self._rows[:excess]]
            del self._rows[:excess]
            self._row -= excess

    def _write(self, text: str) -> None:
        at = 0
        while at < len(text):
            room = PAGE_COLUMNS - self._column
            if room == 0:
                # As on any terminal, a line that is too long goes on in the next row, which is not a new line.
                self._next_row("")
                continue
            now = text[at : at + room]
            at += room
            self._rows[self._row].write(now, self._column, self._style)
            self._column += len(now)

    def _sequence(self, parameters: str, final: str, whole: str) -> None:
        numbers = [int(number) if number.isdigit() else 0 for number in re.split("[;:]", parameters)]
        if set(parameters) - set("0123456789;:"):
            return
        # No number, like zero, means one.
        count = min(numbers[0] or 1, PAGE_COLUMNS)
        if final == "m":
            self._set_style(numbers, whole)
        elif final in "AF":
            self._reach = PAGE_LINES - 1
            self._row = max(0, self._row - count)
        elif final in "BE":
            self._row = min(len(self._rows) - 1, self._row + count)
        elif final == "C":
            self._column = min(PAGE_COLUMNS, self._column + count)
        elif final == "D":
            self._column = max(0, self._column - count)
        elif final == "G":
            self._column = count - 1
        elif final == "K":
            self._rows[self._row].erase(self._column, numbers[0])
        elif final == "J" and numbers[0] == 0:
            self._rows[self._row].erase(self._column, 0)
            for row in self._rows[self._row + 1 :]:
                row.erase(0, 2)
        if final in "EF":
            self._column = 0

    def _set_style(self, numbers: Sequence[int], whole: str) -> None:
        reset_at = _last_reset(numbers)
        if reset_at == len(numbers) - 1:
            style = ""
        elif reset_at is not None:
            style = whole
        else:
            before = _SGR.findall(self._styles[self._style])
            style = "".join([*(one for one in before if one != whole), whole][-_REMEMBERED_SGR:])
        if style not in self._style_of:
            self._style_of[style] = len(self._styles)
            self._styles.append(style)
        self._style = self._style_of[style]


def _last_reset(numbers: Sequence[int]) -> int | None:
    """Where an SGR sequence resets everything for the last time; a zero in a colour's own numbers does not."""
    at, found = 0, None
    while at < len(numbers):
        if numbers[at] in (38, 48, 58):
            at += {5: 3, 2: 5}.get(numbers[at + 1] if at + 1 < len(numbers) else 0, 1)
            continue
        if numbers[at] == 0:
            found = at
        at += 1
    return found


class _Row:
    """One row of the page: pieces of plain text as long as nothing overwrites them, then a cell for each column."""

    __slots__ = ("cells", "end", "length", "pieces", "styles")

    def __init__(self, text: str, end: str = "") -> None:
        self.pieces, self.length, self.end = [text], len(text), end
        self.cells: list[str] | None = None
        self.styles = array("L")

    def add(self, text: str) -> None:
        """Add unstyled text at the end."""
        if self.cells is None:
            self.pieces.append(text)
            self.length += len(text)
        else:
            self.write(text, self.length, 0)

    def write(self, text: str, column: int, style: int) -> None:
        if column == self.length and style == 0 and self.cells is None:
            self.add(text)
            return
        cells = self._opened()
        if column > self.length:
            cells += " " * (column - self.length)
            self.styles.extend(array("L", [0]) * (column - self.length))
        cells[column : column + len(text)] = text
        self.styles[column : column + len(text)] = array("L", [style]) * len(text)
        self.length = len(cells)

    def erase(self, column: int, how: int) -> None:
        """Erase from `column` to the end (0), from the beginning to `column` (1), or everything (2)."""
        cells = self._opened()
        if how == 1:
            upto = min(column + 1, self.length)
            cells[:upto] = " " * upto
            self.styles[:upto] = array("L", [0]) * upto
        elif how in (0, 2):
            start = column if how == 0 else 0
            del cells[start:]
            del self.styles[start:]
        self.length = len(cells)

    def shown(self, styles: Sequence[str]) -> str:
        if self.cells is None:
            if len(self.pieces) > 1:
                self.pieces = ["".join(self.pieces)]
            return self.pieces[0]
        if not any(self.styles):
            return "".join(self.cells)
        return "".join(self._coloured(self.cells, styles))

    def _coloured(self, cells: list[str], styles: Sequence[str]) -> Iterator[str]:
        current = 0
        for cell, style in zip(cells, self.styles, strict=True):
            if style != current:
                yield ("\x1b[0m" if current else "") + styles[style]
                current = style
            yield cell
        if current:
            yield "\x1b[0m"

    def _opened(self) -> list[str]:
        if self.cells is None:
            self.cells = list("".join(self.pieces))
            self.styles = array("L", [0]) * self.length
            self.pieces = [""]
        return self.cells


class Veil:
    """Masks a text that comes in pieces: a secret that was cut in two by the pieces is masked all the same.

    `spellings` are what must not be seen, `mask` replaces them. As much is held back as the beginning of a spelling
    may take: `lift` ends the text and returns it.
    """

    def __init__(self, spellings: Sequence[str], mask: Callable[[str], str]) -> None:
        self._mask, self._held = mask, ""
        self._spellings = tuple(spellings)
        self._reach = max(map(len, spellings), default=1) - 1
        # What is left around a mask may spell such a secret again: only the whole text shows that.
        self._waits = any("•" in spelling for spelling in spellings)
        longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if spellings else None

    def feed(self, text: str) -> str:
        if self._pattern is None:
            return text
        self._held += text
        safe = len(self._held) - self._reach
        if safe <= 0 or self._waits:
            return ""
        # Looking for each spelling is much faster than looking for all of them at each place.
        if any(spelling in self._held for spelling in self._spellings):
            for found in self._pattern.finditer(self._held):
                if found.start() >= safe:
                    break
                safe = max(safe, found.end())
        shown, self._held = self._held[:safe], self._held[safe:]
        return self._mask(shown)

    def lift(self) -> str:
        shown, self._held = self._held, ""
        return self._mask(shown)


def size_of(text: str) -> int:
    """How many bytes `text` takes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def cut(text: str, at_most: int) -> tuple[str, str]:
    """Split `text` in two, the first part of at most so many bytes, never inside a character.

    >>> cut("größer", 4)
    ('grö', 'ßer')
    """
    if text.isascii():
        return text[:at_most], text[at_most:]
    head = text.encode("utf-8", "surrogatepass")[:at_most].decode("utf-8", "ignore")
    return head, text[len(head) :]


class Tail:
    """The last things of many: the oldest make room, and their bytes are counted."""

    def __init__(self, at_most: int) -> None:
        self._at_most, self.size, self.left_out = at_most, 0, 0
        self._items: deque[tuple[str, object, int]] = deque()
        # Texts come and go in pieces of so many characters.
        self._piece = max(1, min(4096, at_most // 16))

    def add_text(self, stream: str, text: str) -> None:
        # What a text itself pushes out need not come in first: of its characters, no more than bytes can stay.
        beyond = len(text) - self._at_most - self._piece
        if beyond > 0:
            self.left_out += self.size + size_of(text[:beyond])
            self.size, text = 0, text[beyond:]
            self._items.clear()
        if self._items and self._items[-1][0] == stream and len(str(self._items[-1][1])) < self._piece:
            _, last, size = self._items.pop()
            self.size -= size
            text = str(last) + text
        for start in range(0, len(text), self._piece):
            piece = text[start : start + self._piece]
            self._add(stream, piece, size_of(piece))

    def add(self, thing: object, size: int) -> None:
        """Add what can only be kept whole."""
        self._add("", thing, size)

    def _add(self, stream: str, thing: object, size: int) -> None:
        self._items.append((stream, thing, size))
        self.size += size
        while self.size > self._at_most:
            _, _, oldest = self._items.popleft()
            self.size -= oldest
            self.left_out += oldest

    def __iter__(self) -> Iterator[tuple[str, object]]:
        """Each thing that is kept, with the name of its stream ("" when it came by none); neighbours are joined."""
        for stream, items in groupby(self._items, key=itemgetter(0)):
            if stream:
                yield stream, "".join(str(text) for _, text, _ in items)
            else:
                yield from (("", thing) for _, thing, _ in items)
