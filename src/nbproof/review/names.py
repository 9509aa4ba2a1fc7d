"""Names of people and of files, in one spelling each."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

LONGEST = 200
_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE")
# Letters of other scripts that are drawn as Latin ones, and the Latin ones.
_DRAWN_ALIKE = str.maketrans(
    "АВЕЅІЈКМНОРСТУХԌԚԜаеѕіјорсухһԁԛԝӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧοινρυՕօոսցհƖıɑɡ",
    "ABESIJKMHOPCTYXGQWaesijopcyxhdqwlABEZHIKMNOPTYXoivpuOonughIiag",
)
# One stroke is a capital I, a small L or a one.
_STROKES = str.maketrans("I1|0", "lllO")


def problem_of_person(name: object) -> str | None:
    """Say why `name` cannot stand for a person, or None."""
    if not isinstance(name, str) or not name.strip():
        return "no name"
    if name != name.strip() or len(name) > LONGEST:
        return "a name with blanks around it, or too long a one"
    if name != unicodedata.normalize("NFC", name) or _is_hiding(name):
        return "a name with characters that cannot be seen"
    scripts = {script for letter in name for script in _SCRIPTS if unicodedata.name(letter, "").startswith(script)}
    # `А` and `A` look alike, and only one of them is Ana.
    return f"a name in letters of {' and '.join(sorted(scripts))}" if len(scripts) > 1 else None


def problem_of_file(name: object) -> str | None:
    """Say why `name` cannot be the relative path of a file in a project, or None."""
    if not isinstance(name, str) or not name or len(name) > 4 * LONGEST:
        return "no path"
    if "\\" in name or _is_hiding(name):
        return "a path with characters that are none of a path"
    if name != unicodedata.normalize("NFC", name) or any(_poses(word) for word in re.findall(r"[^\W\d_]+", name)):
        return "a path with letters that only look like others"
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        return "a path that is not plain and relative to the project"
    return None


def same_person(one: str, other: str) -> bool:
    """Whether two names mean one person, however they are written, or could be taken for one another."""
    return _folded(one) == _folded(other) or _folded(_stroked(one)) == _folded(_stroked(other))


def look_alike(one: str, other: str) -> bool:
    """Whether two names of files are drawn alike, letter by letter."""
    return one.translate(_DRAWN_ALIKE) == other.translate(_DRAWN_ALIKE)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _stroked(name: str) -> str:
    return name.translate(_DRAWN_ALIKE).translate(_STROKES)


def _poses(word: str) -> bool:
    """Whether a word of Latin letters has others among them that are drawn as Latin ones (`β1` has none)."""
    is_latin = any(unicodedata.name(letter, "").startswith("LATIN") for letter in word)
    return is_latin and any(
        letter != letter.translate(_DRAWN_ALIKE) and not unicodedata.name(letter, "").startswith("LATIN")
        for letter in word
    )


def _is_hiding(text: str) -> bool:
    """Whether `text` holds control characters, marks of direction, or halves of characters."""
    return any(unicodedata.category(letter) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} for letter in text)
