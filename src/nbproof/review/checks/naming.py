"""Values that only their name gives away as secrets: `password = …`, `--token …`, a pair in a dictionary.

A word such as *token* has other meanings, too; what it names counts only if it looks drawn: long enough, with letters
and digits among one another, and no word, path, address or placeholder.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator

_PASSWORD = re.compile(r"passw(?:or)?d|passwd|passphrase|(?:^|[_\W])pwd(?:$|[_\W])|(?:^|[_\W])pw$", re.IGNORECASE)
_SECRET = re.compile(
    r"secret|token|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key|account[_-]?key|signing[_-]?key"
    r"|encryption[_-]?key|credential|pepper|authorization|(?:^|_)key$",
    re.IGNORECASE,
)
# What such words stand for in the talk of models and of tables.
_OTHER = re.compile(
    r"token(?:s|ize|izer|ized|_ids?|_type|_count|_len|_pattern|ization)?\b.*(?:idx|index|len|count|id|type|name|pattern)"
    r"|(?:pad|eos|bos|unk|sep|cls|mask|start|end|stop|next|primary|foreign|sort|group|dict|column|public|registry)_?"
    r"(?:key|token)|key_?(?:name|col|field|word|path|func|error)|secretary|tokenizer",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"(?:x+|\*+|•+|\.+|-+|<.*>|\{.*\}|\[.*\]|\$.*|%.*%"
    r"|.*(?:example|placeholder|change.?me|dummy|your|insert|redacted|sample|enter|xxxx|here|todo|fake|1234567).*"
    r"|none|null|true|false|undefined|test\d*|pass(?:word|wd)?\d*|secret|token|admin\d*|guest|root\d*|postgres\d*"
    r"|env:\w+|file:.+)",
    re.IGNORECASE,
)
_PLAIN = re.compile(
    # Words, also several; numbers and dates; addresses, paths and names of files or modules; formats.
    r"[A-Za-z]+(?:[ _.\-/][A-Za-z]+)*\d{0,2}|[\d.,:/\- ]+|https?://.*|[~./\\].*|.*[\\/].*\.\w{1,5}|[\w.-]+@[\w.-]+"
    r"|.*\.(?:json|csv|txt|py|yaml|yml|ini|toml|pem|key|pkl|pickle|parquet|h5|zip|png|ipynb)|(?:[a-z]+\d*_)+[a-z0-9]+"
    r"|[\w.]+\(.*|.*\[['\"\w].*|#[0-9a-fA-F]{3,8}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
# `name = value`, `name: value`, `"name": "value"`, `--name value`: in texts that nobody parses.
_SAID = re.compile(
    r"(?P<name>[A-Za-z][\w.-]{0,40})[\"'*`]*\s{0,3}(?:is\s*)?(?:=>|:=|[:=])[\"'*`\s]{0,4}[bfr]?[\"'`]?"
    r"(?P<value>[^\s\"'`,;|<>{}()\[\]]{6,200})"
)
_OPTION = re.compile(r"--(?P<name>[a-z][\w-]{0,40})[= ](?P<value>[^\s\"'`;|<>&]{6,200})")
_CELL_OF_TABLE = re.compile(r"\|[^|\n]*\|\s*(?P<value>[^\s|]{6,200})\s*\|")
_WORDS = (
    (re.compile(r"\b(?:Bearer|[Bb]asic|[Tt]oken)\s+(?P<value>[A-Za-z0-9._~+/=-]{20,500})"), 20),
    (re.compile(r"\b(?:curl|wget)\b[^\n]*\s(?:-u|--user)[= ]?[\"']?[\w.@-]+:(?P<value>[^\s\"'`@]{6,})"), 6),
    (re.compile(r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(?P<value>[^\s\"']{6,})"), 6),
    (re.compile(r"[?&](?:api_?key|access_?token|auth_?token|token|client_secret)=(?P<value>[\w.%~+/-]{16,})"), 16),
    (re.compile(r"[?&]sig=(?P<value>[\w.%~+/-]{40,})"), 40),
)
LONGEST_SAID = 2_000
_LOGIN = re.compile(r"login|auth|connect|Fernet|credential", re.IGNORECASE)


def named(text: str, *, is_code: bool) -> Iterator[tuple[int, str]]:
    """Yield line and value of everything that a name, a header or an option says to be secret."""
    if is_code:
        yield from _in_python(text)
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        # Nobody writes a name and its secret in a line of thousands: that is a library in somebody's output.
        if not is_code and len(line) > LONGEST_SAID:
            continue
        for value in _in_line(line[:50_000], is_code=is_code):
            yield number, value
    if not is_code and any(line.startswith("|") and _PASSWORD.search(line[:LONGEST_SAID]) for line in lines):
        for number, line in enumerate(lines, start=1):
            cells = _CELL_OF_TABLE.finditer(line) if line.startswith("|") and len(line) <= LONGEST_SAID else ()
            yield from ((number, m["value"]) for m in cells if is_drawn(m["value"], 6))


def is_drawn(value: str, shortest: int) -> bool:
    """Whether a value looks as if it had been drawn and not written: no word, path or placeholder."""
    if len(value) < shortest or any(letter.isspace() for letter in value):
        return False
    if _PLACEHOLDER.fullmatch(value) or _PLAIN.fullmatch(value):
        return False
    kinds = [re.search(pattern, value) for pattern in ("[a-z]", "[A-Z]", r"\d", r"[^\w\s]")]
    # A word of one sort of letters is a word; a hash or a key has digits among its letters.
    is_mixed = bool(kinds[2] and (kinds[0] or kinds[1])) or (bool(kinds[3]) and shortest <= 8 and bool(kinds[0]))
    return is_mixed and _entropy(value) > (2.3 if shortest <= 8 else 2.8)


def _entropy(value: str) -> float:
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


def _shortest(name: str) -> int | None:
    """How long a value of that name must be to count, or None for a name that is none of a secret's."""
    if _PASSWORD.search(name):
        return 6
    if _SECRET.search(name) and not _OTHER.search(name):
        return 32 if re.fullmatch(r"(?:.*[^a-z])?key", name, re.IGNORECASE) and not _STRONG.search(name) else 16
    return None


_STRONG = re.compile(r"(?:api|access|secret|auth|private|account|signing|encryption)[_-]?key", re.IGNORECASE)


def _counts(name: str, value: str) -> bool:
    shortest = _shortest(name)
    return shortest is not None and is_drawn(value, shortest)


def _in_line(line: str, *, is_code: bool) -> Iterator[str]:
    for pattern, shortest in _WORDS:
        yield from (m["value"] for m in pattern.finditer(line) if is_drawn(m["value"], shortest))
    # In code the parser tells names and values; left are comments, magics and lines of the shell.
    said = line
    if is_code:
        stripped = line.lstrip()
        if not stripped.startswith(("!", "%", "#", "export ")):
            return
        said = stripped
    for pattern in (_SAID, _OPTION):
        yield from (m["value"] for m in pattern.finditer(said) if _counts(m["name"], m["value"]))


def _in_python(source: str) -> Iterator[tuple[int, str]]:
    """Names and texts of Python, whatever the layout: one value may stand on several lines, several on one."""
    tree = _tree(source)
    if tree is None:
        # A cell of another language, or one that cannot be read, is text.
        for number, line in enumerate(source.splitlines(), start=1):
            found = [m for p in (_SAID, _OPTION) for m in p.finditer(line[:50_000])]
            yield from ((number, m["value"]) for m in found if _counts(m["name"], m["value"]))
        return
    for node in ast.walk(tree):
        for name, value in _pairs(node):
            said = _text(value)
            if said is not None and _counts(name, said.strip()):
                yield value.lineno, said
        text = _text(node)
        if text and len(text) < 100_000 and any(mark in text for mark in "\n:="):
            yield from _in_text(text, first=int(getattr(node, "lineno", 1)))


def _in_text(text: str, *, first: int) -> Iterator[tuple[int, str]]:
    """What a text in the code says, line by line."""
    for row, part in enumerate(text.splitlines()):
        for match in _SAID.finditer(part[:50_000]):
            if _counts(match["name"], match["value"]):
                yield first + row, match["value"]


def _pairs(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Every name in the code with the value that it is given."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from ((_name(one), value) for one, value in zip(target.elts, node.value.elts, strict=False))
            else:
                yield _name(target), node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield _name(node.target), node.value
    elif isinstance(node, ast.Dict):
        yield from ((_name(key), value) for key, value in zip(node.keys, node.values, strict=True) if key is not None)
        if any(_name(key).lower() in ("username", "user") for key in node.keys if key is not None):
            named_key = zip(node.keys, node.values, strict=True)
            yield from (("api_key", value) for key, value in named_key if key is not None and _name(key) == "key")
    elif isinstance(node, ast.arguments):
        given = [*node.posonlyargs, *node.args][-len(node.defaults) :] if node.defaults else []
        yield from ((one.arg, value) for one, value in zip(given, node.defaults, strict=False))
        yield from ((one.arg, value) for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value)
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
        yield _text(node.elts[0]) or "", node.elts[1]
    elif isinstance(node, ast.Call):
        yield from _of_call(node)


def _of_call(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    called = _name(node.func)
    for keyword in node.keywords:
        is_login = keyword.arg == "key" and _LOGIN.search(called)
        yield ("api_key" if is_login else keyword.arg or ""), keyword.value
        if keyword.arg == "auth" and isinstance(keyword.value, ast.Tuple) and len(keyword.value.elts) == 2:
            yield "password", keyword.value.elts[1]
    if len(node.args) >= 2:
        yield _text(node.args[0]) or "", node.args[1]
    if _LOGIN.search(called) and len(node.args) == 2:
        yield "password", node.args[1]
    if called == "Fernet" and node.args:
        yield "encryption_key", node.args[0]


def _name(node: ast.AST) -> str:
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Subscript():
            return _text(node.slice) or ""
        case ast.Constant():
            return node.value if isinstance(node.value, str) else ""
    return ""


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
        return node.value.decode("latin-1")
    return None


def _tree(source: str) -> ast.Module | None:
    lines = source.splitlines()
    if lines and lines[0].startswith("%%"):
        return None
    # Magics and lines of the shell are looked at as text.
    plain = "\n".join("pass" if line.lstrip().startswith(("!", "%")) else line for line in lines)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError):
        return None
