"""Secret parameters: a notebook holds a reference, reads the value itself, and no file keeps it."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, quote_plus

from ..errors import SecretUnavailable

MASK = "•••"
MINIMUM_LENGTH = 4
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\n\0]+")

Secret = Annotated[str, "a reference to a secret: env:NAME or file:PATH"]


def is_reference(text: object) -> bool:
    """Whether `text` names a place (`env:NAME` or `file:PATH`) and is no secret itself."""
    return isinstance(text, str) and _REFERENCE.fullmatch(text) is not None


def reveal(reference: str) -> str:
    """Return the secret that `reference` points to; raise `SecretUnavailable`, never naming the value.

    A file's trailing line ends do not belong to the secret. A secret of fewer than four characters is refused:
    hiding it would tear holes into every text that happens to hold those characters.
    """
    if not is_reference(reference):
        raise SecretUnavailable("a value that is no reference", "expected `env:NAME` or `file:PATH`")
    scheme, _, place = reference.partition(":")
    secret = _from_environment(place) if scheme == "env" else _from_file(place)
    if len(secret) < MINIMUM_LENGTH:
        raise SecretUnavailable(reference, f"shorter than {MINIMUM_LENGTH} characters, so it cannot be hidden")
    return secret


def _from_environment(name: str) -> str:
    secret = os.environ.get(name)
    if secret is None:
        raise SecretUnavailable(f"env:{name}", "the environment variable is not set", hint=f"export {name}=…")
    return secret


def _from_file(place: str) -> str:
    try:
        return Path(place).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretUnavailable(f"file:{place}", "the file is no UTF-8 text") from None
    except OSError as error:
        raise SecretUnavailable(f"file:{place}", error.strerror or "it cannot be read", hint=f"ls -l {place}") from None


def mask(value: Any, secrets: Iterable[str]) -> Any:
    """Return `value` with every occurrence of every secret replaced by `•••`, in keys and values alike.

    Found are a secret as it is and as JSON, Python, HTML, a URL, hexadecimal and base64 (also inside a longer
    base64 text) would spell it, and each longer line of a secret of several lines. A number whose digits hold a
    secret is replaced whole. Raises `ValueError` for a secret of fewer than four characters.
    """
    return masker(secrets)(value)


def masker(secrets: Iterable[str]) -> Callable[[Any], Any]:
    """`mask` for many values: the spellings of the secrets are worked out once."""
    ordered = spellings(secrets)
    if not ordered:
        return lambda value: value
    pattern = re.compile("|".join(map(re.escape, ordered)))
    return lambda value: _masked(value, pattern)


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Everything that `mask` looks for."""
    # The longest first: a secret that begins with another one leaves no tail behind.
    found = {spelling for secret in secrets for spelling in _spellings(secret)}
    return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))


def _masked(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return _masked_text(value, pattern)
    if isinstance(value, Mapping):
        return {_masked(key, pattern): _masked(held, pattern) for key, held in value.items()}
    if isinstance(value, list | tuple):
        masked = [_masked(held, pattern) for held in value]
        return masked if isinstance(value, list) else tuple(masked)
    if isinstance(value, int | float) and not isinstance(value, bool) and pattern.search(str(value)):
        return MASK
    return value


def _masked_text(text: str, pattern: re.Pattern[str]) -> str:
    # What is left around a mask may spell a secret again; each pass shortens the text, so this ends.
    while pattern.search(text):
        text = pattern.sub(MASK, text)
    return text


def _spellings(secret: str) -> Iterator[str]:
    if len(secret) < MINIMUM_LENGTH:
        raise ValueError(f"a secret shorter than {MINIMUM_LENGTH} characters cannot be hidden")
    # A key file is printed line by line, and a list of lines never holds the whole of it.
    lines = [line for line in secret.splitlines() if len(line) >= 2 * MINIMUM_LENGTH]
    for text in {secret, secret.strip(), *lines}:
        if len(text) >= MINIMUM_LENGTH:
            yield from (spelling for spelling in _spellings_of(text) if len(spelling) >= MINIMUM_LENGTH)


def _spellings_of(text: str) -> Iterator[str]:
    content = text.encode("utf-8", "surrogatepass")
    yield text
    for written in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        yield written[1:-1]
        # JSON inside JSON, as in a notebook's output of a JSON text.
        yield json.dumps(written)[3:-3]
    escaped = repr(text)[1:-1]
    yield escaped
    yield escaped.replace("\\'", "'")
    yield escaped.replace("\\'", "'").replace("'", "\\'")
    yield ascii(text)[1:-1]
    yield repr(content)[2:-1]
    yield html.escape(text)
    yield html.escape(text, quote=False)
    for quoted in (quote(content), quote(content, safe=""), quote_plus(content)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), quoted)
    yield content.hex()
    yield content.hex().upper()
    yield from _base64(content)


def _base64(content: bytes) -> Iterator[str]:
    """Yield what base64 makes of `content`, alone or at any place in a longer text."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(content).decode("ascii").rstrip("=")
        for before in range(3):
            # The characters at the edges mix with their neighbours' bits: only those in between are certain.
            encoded = encode(bytes(before) + content).decode("ascii")
            first = -(-before * 8 // 6)
            core = encoded[first : (before + len(content)) * 8 // 6]
            if len(core) >= 2 * MINIMUM_LENGTH:
                yield core
