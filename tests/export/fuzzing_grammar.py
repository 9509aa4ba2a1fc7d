"""Small notebooks made by a grammar: what notebooks really do and converters get wrong, mixed cell by cell.

Each piece of the grammar is a generator of texts; between two of them other pieces go on, a cell may end, and a heading
may stand. Pieces share names: they change what others made, call their functions, and bind their names anew. One seed
gives one notebook, for ever.
"""

# ruff: noqa: E501 (each cell of the grammar is one text)
from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["code", "markdown", "raw"]
Piece = Callable[["Names"], Iterator[str]]

PLAIN = ["a", "b", "c", "n", "x", "y", "z", "total", "rows", "data", "values", "item", "size", "rate", "out", "res",
         "tmp", "acc", "left", "words"]  # fmt: skip
# The exporter's own words, builtins, modules, and names that only look alike.
HARD = ["steps", "results", "keep", "show", "run", "keep_figures", "functools", "asyncio", "Results", "collecting",
        "draft", "sum_", "max", "list_", "id", "type", "input_", "make_x", "main", "show_results", "load", "annotations",
        "partial", "NAME", "ñandú", "größe", "ﬁt", "µ", "data_2", "l", "O", "sys_", "part_one", "load_the_data", "package",
        "parameters", "T", "cell", "figures", "displayed", "contextlib", "Any", "self", "notebook", "values_", "len_"]  # fmt: skip
TITLES = ["Load the data", "Load the data", "Part one", "Fit", "run", "Results", "Steps", "1. First", "2", "Данные",
          "数据 の 準備", "Étape", "A `code` heading", "Why \"this\"?", "it's \\n odd", "import", "None", "show", "keep",
          "class", "a\tb", "x" * 90, "", "!!!", "'''quotes'''", '"""more"""', "{braces}", "100 % sure", "main", "x", "a"]  # fmt: skip


class Alone(str):
    """A text that is a cell of its own."""


@dataclass(frozen=True, slots=True)
class MadeCell:
    """One cell of a made notebook."""

    kind: Kind
    source: str


@dataclass(frozen=True, slots=True)
class Made:
    """A notebook, the seed it grew from, and the pieces in it."""

    seed: int
    pieces: tuple[str, ...]
    cells: tuple[MadeCell, ...]


class Names:
    """Which names there are by now, and of which kind their values are."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.of: dict[str, str] = {}
        self.fixed: set[str] = set()
        # A name can be read once some text has bound it.
        self.written: set[str] = set()

    def new(self, kind: str, *, is_own: bool = False) -> str:
        """A name to bind: a new one, or now and then one that has a value of that kind already."""
        old = [name for name, held in self.of.items() if held == kind and name not in self.fixed]
        if old and not is_own and self.chance.random() < 0.3:
            return self.chance.choice(old)
        pool = HARD if self.chance.random() < 0.2 else PLAIN
        name = self.chance.choice(pool)
        while name in self.of:
            name = f"{self.chance.choice(PLAIN)}{self.chance.randrange(2, 99)}"
        self.of[name] = kind
        if is_own:
            self.fixed.add(name)
        return name

    def own(self, kind: str) -> str:
        """A new name that no other piece will bind anew."""
        return self.new(kind, is_own=True)

    def some(self, kind: str) -> str | None:
        """A name that has a value of that kind."""
        found = [name for name, held in self.of.items() if held == kind and name in self.written]
        return self.chance.choice(found) if found else None

    def write(self, text: str) -> None:
        """Note which names a text has by now."""
        self.written |= {name for name in self.of if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)}

    def drop(self, name: str) -> None:
        self.of.pop(name, None)

    def hide(self, name: str) -> str:
        """The name, kept from all other pieces."""
        self.of[name] = "hidden"
        self.fixed.add(name)
        return name

    def int(self) -> str:
        """An expression with a whole number for its value."""
        roll = self.chance.random()
        name, function, items = self.some("int"), self.some("func"), self.some("list")
        if name and roll < 0.45:
            return name
        if function and roll < 0.6:
            return f"{function}({self.chance.randrange(5)})"
        if items and roll < 0.7:
            return f"len({items})"
        if name and roll < 0.8:
            return f"({name} + {self.chance.randrange(1, 9)})"
        return str(self.chance.randrange(10))

    def choose(self, *texts: str) -> str:
        return self.chance.choice(texts)


PIECES: dict[str, Piece] = {}
LIGHT: list[str] = []
HEAVY: list[str] = []
BLIND: list[str] = []


def piece(function: Piece) -> Piece:
    PIECES[function.__name__] = function
    LIGHT.append(function.__name__)
    return function


def heavy(function: Piece) -> Piece:
    """A piece that imports a large library."""
    PIECES[function.__name__] = function
    HEAVY.append(function.__name__)
    return function


def blind(function: Piece) -> Piece:
    """A piece that nobody can export: to be refused."""
    PIECES[function.__name__] = function
    BLIND.append(function.__name__)
    return function


def made(seed: int) -> Made:
    """The notebook of a seed."""
    chance = random.Random(seed)
    names = Names(chance)
    chosen = [chance.choice(LIGHT) for _ in range(chance.randint(2, 5))]
    if chance.random() < 0.06:
        chosen.append(chance.choice(HEAVY))
    if chance.random() < 0.05:
        chosen.append(chance.choice(BLIND))
    running = [PIECES[name](names) for name in chosen]
    cells: list[MadeCell] = []
    current: list[str] = []

    def end() -> None:
        if current:
            cells.append(MadeCell("code", "\n".join(current)))
            current.clear()
        if chance.random() < 0.4:
            cells.append(MadeCell("markdown", _heading(chance)))
        elif chance.random() < 0.1:
            cells.append(_odd_cell(chance))

    while running:
        at = chance.randrange(len(running))
        text = next(running[at], None)
        if text is None:
            running.pop(at)
            continue
        names.write(text)
        if isinstance(text, Alone):
            end()
            cells.append(MadeCell("code", str(text)))
            end()
            continue
        current.append(text)
        if chance.random() < 0.6:
            end()
    end()
    shown = [name for name, kind in names.of.items() if kind in ("int", "list") and name in names.written]
    if shown:
        cells.append(MadeCell("code", ", ".join(chance.sample(shown, min(3, len(shown)))) + ","))
    return Made(seed, tuple(chosen), tuple(cells))


def _heading(chance: random.Random) -> str:
    title = f"{'#' * chance.choice([1, 2, 2, 3, 4])} {chance.choice(TITLES)}"
    return chance.choice([title, title, f"{title}\n\nSome *words* with \\slashes and \"\"\"quotes\"\"\".\n- a list",
                          f"words\n{title}", f"```\n# no heading\n```\n{title}", "Only words."])  # fmt: skip


def _odd_cell(chance: random.Random) -> MadeCell:
    return chance.choice([
        MadeCell("code", ""), MadeCell("code", "# only a comment"), MadeCell("code", "\n\n"),
        MadeCell("raw", "raise ValueError('raw')"), MadeCell("code", "pass"), MadeCell("code", "None"),
        MadeCell("code", "'''a text'''"), MadeCell("code", "..."), MadeCell("code", "# one\n\n# two\n"),
        MadeCell("code", "\n\n# above\n\n1 + 1  # behind\n\n# below\n"), MadeCell("code", "print('alone');"),
    ])  # fmt: skip


# --- names and values -------------------------------------------------------------------------------------------


@piece
def number(e: Names) -> Iterator[str]:
    name = e.new("int")
    yield f"{name} = {e.int()}"
    yield f"{name} {e.choose('+', '-', '*')}= {e.int()}"
    yield name


@piece
def rebinding(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 1"
    yield f"{name} = {name} * 2 + {e.int()}"
    yield f"print({name})\n{name} = {name} + 1"
    yield f"{name}, {e.new('int')} = {name} + 1, {name}"


@piece
def another_type(e: Names) -> Iterator[str]:
    name = e.hide("thing")
    yield f"{name} = {e.int()}"
    yield f"{name} = [{name}, {name}]\n{name}"
    yield f"{name} = {{'k': {name}}}"
    yield f"{name} = str({name})\n{name}"


@piece
def aliases(e: Names) -> Iterator[str]:
    one = e.own("list")
    two = e.own("list")
    yield f"{one} = [{e.int()}]"
    yield f"{two} = {one}"
    yield f"{two}.append({e.int()})"
    yield f"{one}\n{one} is {two}"
    yield f"{one} += [3]\n({one} is {two}, len({two}))"
    yield f"{one} = {one} + [4]\n{one} is {two}"


@piece
def deep_alias(e: Names) -> Iterator[str]:
    inner, outer = e.own("list"), e.hide("outer_" + e.choose("p", "q"))
    yield f"{inner} = [1]\n{outer} = {{'in': {inner}, 'n': {e.int()}}}"
    yield f"{outer}['in'].append({e.int()})"
    yield f"for held in {outer}.values():\n    held"
    yield f"del {outer}['n']\n{outer}"
    yield f"{inner}.clear()\n{outer}"


@piece
def swapped(e: Names) -> Iterator[str]:
    one, two = e.own("int"), e.own("int")
    yield f"{one}, {two} = 1, 2"
    yield f"{one}, {two} = {two}, {one}"
    yield f"({one}, {two})"


@piece
def stars(e: Names) -> Iterator[str]:
    first, rest = e.new("int"), e.new("list")
    yield f"{first}, *{rest} = range({e.int()} % 4 + 2)"
    yield f"*{e.new('list')}, last_one = {rest} + [1]\nlast_one"
    yield f"[*{rest}, *{rest}]"
    yield f"*{rest}, 1"


@piece
def several_targets(e: Names) -> Iterator[str]:
    one, two = e.own("list"), e.own("list")
    yield f"{one} = {two} = []"
    yield f"{one}.append({e.int()})"
    yield f"{two}"


@piece
def loop_names(e: Names) -> Iterator[str]:
    name = e.new("int")
    yield f"for {name} in range(3):\n    last_seen = {name} * {e.int()}"
    yield f"({name}, last_seen)"
    yield "for i, (j, k) in enumerate([(1, 2), (3, 4)]):\n    pass\nelse:\n    ended = i + j + k"
    yield "ended"


@piece
def one_line_loop(e: Names) -> Iterator[str]:
    name = e.new("int")
    yield f"for {name} in range({e.int()} % 3 + 1): print({name})"
    yield f"while {name} > 0: {name} -= 1"
    yield f"if {name} == 0: zero_seen = True\nzero_seen"


@piece
def only_compared(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = {e.int()}"
    yield f"assert {name} == {name}\nif {name} > 0:\n    sign = 1\nelse:\n    sign = -1"
    yield "sign"


@piece
def walrus(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"if ({name} := {e.int()}) >= 0:\n    print(f'{{{name}}}')"
    yield f"[{e.hide('seen_last')} := i for i in range(3)]\nseen_last"
    yield f"({name} := {name} + 1)"
    yield f"f'{{({name} := 5)}} {{{name}!r:>4}}'"


@piece
def matching(e: Names) -> Iterator[str]:
    name = e.int()
    yield f"match [{name}, {{'k': 2, 'm': 3}}]:\n    case [int() as whole, {{'k': held, **others}}] if whole >= 0:\n        found = whole\n    case _:\n        found, held, others = -1, 0, {{}}"
    yield "(found, held, others)"
    yield "match found:\n    case -1 | 0:\n        kind_of = 'low'\n    case n_found:\n        kind_of = f'high {n_found}'\nkind_of"


@piece
def conditional(e: Names) -> Iterator[str]:
    name = e.hide("maybe")
    yield f"if {e.int()} > 3:\n    {name} = 'big'"
    yield f"try:\n    told = {name}\nexcept NameError:\n    told = 'nothing'\ntold"
    yield f"{name} = 'certain'"
    yield f"{name}"


@piece
def deleted(e: Names) -> Iterator[str]:
    name = e.hide("gone")
    yield f"{name} = {e.int()}\nkept = {name}"
    yield f"del {name}"
    yield f"try:\n    {name}\nexcept NameError as error:\n    missing = str(error)\nmissing"
    yield f"{name} = 'back'\ndel kept"


@piece
def comprehensions(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 5"
    yield f"squares = [{name} ** 2 for {name} in range(4)]"
    yield f"pairs = {{{name}: [{name} for {name} in range({name})] for {name} in range(3)}}\npairs"
    yield f"{{q for q in squares if q < {name} ** 2}}"
    yield f"sum(q * {name} for q in squares for _ in range(q % 2))"


@piece
def class_scope(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = {e.int()}"
    yield f"class Scope:\n    {name} = {name} + 1\n    size = {name} * 2\n    made = [{name} for _ in range(2)]\n    def get(self):\n        return ({name}, self.{name}, self.size)"
    yield "got = Scope().get()\n(got, Scope.made)"
    yield f"{name} = -1\nScope().get()"


@piece
def shadowed_builtins(e: Names) -> Iterator[str]:
    name = e.choose("sum", "max", "len", "list", "sorted", "print", "str", "range")
    if name in e.of:
        return
    e.hide(name)
    yield f"before_it = {name}"
    yield f"def {name}(*given, **named):\n    return ('mine', given)"
    yield f"mine = {name}(1, 2)\nmine"
    yield f"del {name}\n{name} is before_it"


@piece
def shadowed_value(e: Names) -> Iterator[str]:
    name = e.hide(e.choose("id", "type", "input_", "all", "min"))
    yield f"{name} = {e.int()}"
    yield f"def reads_it():\n    return {name} + 1"
    yield f"{name} = reads_it()\n{name}"


@piece
def odd_names(e: Names) -> Iterator[str]:
    yield "_private = 1\n__dunder__ = 2\n_ = 3"
    yield "seen_private = _private + __dunder__ + _"
    yield "for _ in range(2):\n    pass\n_private += _\nseen_private = (seen_private, _private)"
    yield "__name__, __doc__"


@piece
def look_alikes(e: Names) -> Iterator[str]:
    yield "ﬁnal = 1\nµ_value = 2\nℌ = 3"
    yield "final += 1\nμ_value += final\nH = H + 1"
    yield "def reads_alike():\n    return ﬁnal + 𝓱_default(µ_value)\ndef h_default(v):\n    return v"
    yield "(reads_alike(), final, ℌ)"


@piece
def identity(e: Names) -> Iterator[str]:
    one, two = e.own("list"), e.own("list")
    yield f"{one} = [1]\nmark = object()\n{two} = [1]"
    yield f"same_mark = mark\n(mark is same_mark, {one} is {two}, id({one}) == id({two}))"
    yield "def of_mark():\n    return mark\nof_mark() is same_mark"
    yield "def f_same():\n    pass\nheld_f = f_same"
    yield "f_same is held_f, f_same == held_f"


# --- functions --------------------------------------------------------------------------------------------------


@piece
def reads_global(e: Names) -> Iterator[str]:
    name, function = e.own("int"), e.new("func")
    yield f"{name} = {e.int()}\ndef {function}(n):\n    return n * {name} + 1"
    yield f"{function}(3)"
    yield f"list(map({function}, range(3)))"
    yield f"sorted([3, 1, 2], key={function}, reverse=True)\n{function}(*[1])"


@piece
def reads_changing(e: Names) -> Iterator[str]:
    name, function = e.own("int"), e.own("func")
    yield f"{name} = 1"
    yield f"def {function}(n, k=2):\n    return n + k * {name}"
    yield f"first_got = {function}(1)"
    yield f"{name} = {name} + {e.int()}"
    yield f"(first_got, {function}(1))"


@piece
def reads_computed(e: Names) -> Iterator[str]:
    name, function = e.own("int"), e.own("func")
    yield f"import math\n{name} = math.floor(2.7)"
    yield f"def {function}(n, *more, key=None, **rest):\n    return n + {name} + len(more) + len(rest)"
    yield f"def calls_{function}(n):\n    return {function}(n, n, z=1)"
    yield f"calls_{function}(2), {function}(\n    1,  # one\n    *[2, 3],\n    **{{'q': 1}},\n)"
    yield f"(lambda: {function}(1))()"


@piece
def global_statement(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 0\ndef bump_{len(name)}(by=1):\n    global {name}\n    {name} += by\n    return {name}"
    yield f"bump_{len(name)}()"
    yield f"bump_{len(name)}({e.int()})\n{name}"
    yield f"{name} *= 2\nbump_{len(name)}()"


@piece
def global_creates(e: Names) -> Iterator[str]:
    yield "def make_new():\n    global made_inside\n    made_inside = [1]"
    yield "make_new()"
    yield "made_inside.append(2)\nmade_inside"


@piece
def late_binding(e: Names) -> Iterator[str]:
    yield "makers = []\nfor at in range(3):\n    makers.append(lambda: at)"
    yield "[make() for make in makers]"
    yield f"at = {e.int()}"
    yield "[make() for make in makers]"


@piece
def defined_late(e: Names) -> Iterator[str]:
    yield "def early():\n    return helper_late(word_late)"
    yield "word_late = 'here'"
    yield "def helper_late(w):\n    return w.upper()"
    yield "early()"
    yield "def helper_late(w):\n    return w[::-1]\nearly()"


@piece
def defaults(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 3\ndef with_default(n={name}, items=[]):\n    items.append(n)\n    return list(items)"
    yield f"{name} = 10\nwith_default()"
    yield "with_default(5)"
    yield "with_default.__defaults__"


@piece
def function_attributes(e: Names) -> Iterator[str]:
    yield "def counted(n):\n    counted.calls += 1\n    return n + counted.calls\ncounted.calls = 0"
    yield "counted(1)\ncounted(2)"
    yield "calls_made = counted.calls\ncalls_made"


@piece
def closures(e: Names) -> Iterator[str]:
    yield "def counter(start):\n    at = start\n    def step(by=1):\n        nonlocal at\n        at += by\n        return at\n    return step"
    yield f"count_up = counter({e.int()})"
    yield "count_up()\ncount_up(3)"
    yield "counts = [count_up() for _ in range(2)]\ncounts"


@piece
def recursion(e: Names) -> Iterator[str]:
    base = e.own("int")
    yield f"{base} = 1\ndef fact(n):\n    return {base} if n < 2 else n * fact(n - 1)"
    yield "fact(5)"
    yield "def even(n):\n    return True if n == 0 else odd(n - 1)\ndef odd(n):\n    return False if n == 0 else even(n - 1)"
    yield "(even(4), odd(4))\nfact = fact(3)"


@piece
def lambdas(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = {e.int()}\ntwice = lambda n, k={name}: (n + k) * {name}"
    yield "twice(3)"
    yield f"{name} = 7\ntwice(3)"
    yield "table_of = {'d': twice, 'h': lambda n: n / 2}\n[table_of[k](8) for k in sorted(table_of)]"


@piece
def decorated(e: Names) -> Iterator[str]:
    yield "import functools as ft\nseen_calls = []\ndef noted(f):\n    @ft.wraps(f)\n    def inner(*a, **k):\n        seen_calls.append((f.__name__, a))\n        return f(*a, **k)\n    return inner"
    yield f"@noted\ndef add_one(n):\n    '''Adds.'''\n    return n + {e.int()}"
    yield "add_one(1)\nadd_one.__doc__"
    yield "seen_calls"


@piece
def decorated_with_need(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 3\ndef times(k):\n    def wrap(f):\n        return lambda *a: f(*a) * k\n    return wrap"
    yield f"@times({name})\ndef plain_one(n):\n    return n + {name}"
    yield "plain_one(2)"
    yield f"{name} = 5\nplain_one(2)"


@piece
def cached(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"import functools\n{name} = 2\n@functools.lru_cache(maxsize=None)\ndef slow(n):\n    return n * {name}"
    yield "slow(2), slow(2), slow(3)"
    yield f"{name} = 100\nslow(2)"
    yield "slow.cache_info().hits"


@piece
def generators(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 2\ndef gen(n):\n    for i in range(n):\n        yield i * {name}"
    yield "stream = gen(6)\nnext(stream)"
    yield f"{name} = 10\nnext(stream)"
    yield "rest_of = list(stream)\nrest_of"


@piece
def lazy(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 2\nlazy_one = (q * {name} for q in range(5))"
    yield "first_of = next(lazy_one)"
    yield f"{name} = 3\nsecond_of = next(lazy_one)"
    yield "mapped = map(lambda q: q + 1, [1, 2, 3])\nnext(mapped)"
    yield "zipped = zip(lazy_one, mapped)\nnext(zipped)"


@piece
def iterator_left(e: Names) -> Iterator[str]:
    yield f"it_left = iter([1, 2, 3, {e.int()}])"
    yield "next(it_left)"
    yield "import itertools\ncounting = itertools.count(5)\nnext(counting)"


@piece
def partials(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"from functools import partial\n{name} = 4\ndef join_up(a, b, *, c=0):\n    return (a, b, c, {name})"
    yield "with_two = partial(join_up, 2, c=1)"
    yield "with_two(3)"
    yield "(with_two.func is join_up, with_two.args)"
    yield "join_up.__name__, join_up.__kwdefaults__"


@piece
def functions_held(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = {e.int()}\ndef held_one(n):\n    return n + {name}\ndef held_two(n):\n    return n - {name}"
    yield "both = [held_one, held_two]\nby_name = {f.__name__: f for f in both}\nsorted(by_name)"
    yield "[f(3) for f in both]"
    yield "both[0] is held_one, both.index(held_two), held_one in both"
    yield f"{name} = 50\nboth[1](1), by_name['held_one'](1)"


@piece
def signature(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"import inspect\n{name} = 2\ndef signed(a, b: int = 1, /, c=2, *args, d, **kw) -> int:\n    '''Signed.'''\n    return a + {name}"
    yield "str(inspect.signature(signed))"
    yield "signed.__annotations__, signed.__code__.co_argcount, signed.__qualname__, signed.__module__"
    yield "signed(1, d=2)"


@piece
def annotated(e: Names) -> Iterator[str]:
    yield f"age: int = {e.int()}\nname_of: 'str'"
    yield "def typed(a: int, b: list[int] | None = None) -> dict[str, int]:\n    return {'a': a}"
    yield "typed.__annotations__"
    yield "import typing\ntyping.get_type_hints(typed)"
    yield "__annotations__"


@piece
def future_annotations(e: Names) -> Iterator[str]:
    yield Alone("from __future__ import annotations\nimport dataclasses")
    yield "def typed_later(a: int, b: Nothing = 1) -> str:\n    return str(a)"
    yield "typed_later.__annotations__"


@piece
def asynchronous(e: Names) -> Iterator[str]:
    yield "import asyncio\nasync def waits(n):\n    await asyncio.sleep(0)\n    return n + 1"
    yield f"waited = await waits({e.int()})"
    yield "both_waited = await asyncio.gather(waits(1), waits(2))\nboth_waited"
    yield "async def many():\n    for i in range(3):\n        yield i\n[i async for i in many()]"
    yield "async for got_async in many():\n    pass\ngot_async"


@piece
def event_loop(e: Names) -> Iterator[str]:
    yield "import asyncio\nqueue = asyncio.Queue()"
    yield "await queue.put(1)\nlock_async = asyncio.Lock()"
    yield "async with lock_async:\n    got_item = await queue.get()\ngot_item"


@piece
def nested(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 1\ndef outermost(a):\n    {name}_inner = a\n    def middle():\n        class Held:\n            value = {name}_inner + {name}\n        return Held.value\n    return middle"
    yield "outermost(2)()"
    yield f"{name} = 5\noutermost(2)()"


@piece
def own_parameter(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"import math\n{name} = math.floor(9.5)\ndef hides({name}):\n    return {name} + 1\ndef reads_other():\n    return {name}"
    yield f"def caller({name}=1):\n    return reads_other() + hides({name})"
    yield f"caller(), caller(2), hides({name})"


@piece
def exceptions(e: Names) -> Iterator[str]:
    yield "class Odd(ValueError):\n    def __init__(self, n):\n        super().__init__(f'odd {n}')\n        self.n = n"
    yield f"try:\n    raise Odd({e.int()})\nexcept Odd as error:\n    caught = error\nfinally:\n    ended_well = True"
    yield (
        "(str(caught), caught.n, ended_well, isinstance(caught, Odd), 'error' in dir())"
        if e.chance.random() < 0.1
        else "(str(caught), caught.n, ended_well)"
    )
    yield "try:\n    try:\n        1 / 0\n    finally:\n        in_finally = 1\nexcept ZeroDivisionError as error:\n    kept_error = repr(error)\nelse:\n    kept_error = ''\nkept_error"


@piece
def exception_group(e: Names) -> Iterator[str]:
    yield "try:\n    raise ExceptionGroup('two', [ValueError(1), TypeError(2)])\nexcept* ValueError as group:\n    values_in = len(group.exceptions)\nexcept* TypeError:\n    types_in = 1"
    yield "values_in + types_in"


@piece
def contexts(e: Names) -> Iterator[str]:
    yield "import contextlib\nlog_of = []\n@contextlib.contextmanager\ndef within(what):\n    log_of.append('in ' + what)\n    yield what\n    log_of.append('out ' + what)"
    yield "with within('a') as entered, within('b'):\n    log_of.append(entered)"
    yield "log_of"
    yield "with contextlib.suppress(KeyError):\n    {}['k']\n    never = 1\nentered"


@piece
def stack_left_open(e: Names) -> Iterator[str]:
    yield "import contextlib\nstack = contextlib.ExitStack()\nclosed_by = []"
    yield "stack.callback(closed_by.append, 1)"
    yield "stack.close()\nclosed_by"


# --- classes ----------------------------------------------------------------------------------------------------


@piece
def own_class(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 2\nclass Box:\n    made = 0\n    def __init__(self, n):\n        self.n = n\n        Box.made += 1\n    def total(self):\n        return self.n * {name}\n    def __repr__(self):\n        return f'Box({{self.n}})'"
    yield f"box = Box({e.int()})"
    yield "box.total(), Box.made, type(box).__name__"
    yield "isinstance(box, Box), box"
    yield f"{name} = 9\nbox.total()"
    yield "Box(1)\nBox.made"


@piece
def class_extended(e: Names) -> Iterator[str]:
    yield "class Base:\n    def who(self):\n        return 'base'"
    yield "early_base = Base()"
    yield "class Base(Base):\n    def who(self):\n        return 'more ' + super().who()"
    yield "(early_base.who(), Base().who(), isinstance(early_base, Base))"
    yield "def patched(self):\n    return 'patched'\nBase.who = patched\nBase().who()"


@piece
def class_redefined(e: Names) -> Iterator[str]:
    yield "class Thing:\n    version = 1"
    yield "old_thing = Thing()"
    yield "class Thing:\n    version = 2"
    yield "(old_thing.version, Thing.version, isinstance(old_thing, Thing))"


@piece
def dataclass_piece(e: Names) -> Iterator[str]:
    yield "from dataclasses import dataclass, field, fields, asdict\n@dataclass(order=True)\nclass Point:\n    x: int\n    y: int = 2\n    tags: list[str] = field(default_factory=list)"
    yield f"point = Point({e.int()})\npoint"
    yield "point.tags.append('a')\nasdict(point), point < Point(99)"
    yield "[(f.name, f.type) for f in fields(Point)]"


@piece
def enum_piece(e: Names) -> Iterator[str]:
    yield "import enum\nclass Colour(enum.Enum):\n    RED = 1\n    BLUE = enum.auto()\nclass Flags(enum.Flag):\n    A = 1\n    B = 2"
    yield "colour = Colour.RED\ncolour is Colour(1)"
    yield "[c.name for c in Colour], Flags.A | Flags.B"
    yield "by_colour = {Colour.BLUE: 1}\nby_colour[Colour.BLUE]"


@piece
def named_tuples(e: Names) -> Iterator[str]:
    yield "from typing import NamedTuple\nfrom collections import namedtuple\nclass Row(NamedTuple):\n    a: int\n    b: str = 'b'\nPair = namedtuple('Pair', 'left right')"
    yield f"row = Row({e.int()})\npair_of = Pair(1, row)\npair_of"
    yield "Row._field_defaults, Row.__annotations__"
    yield "type(pair_of).__name__, pair_of.right.a"


@piece
def typed_dict(e: Names) -> Iterator[str]:
    yield "from typing import TypedDict, Protocol, Generic, TypeVar\nT_of = TypeVar('T_of')\nclass Opts(TypedDict, total=False):\n    size: int\nclass Holder(Generic[T_of]):\n    def __init__(self, held: T_of):\n        self.held = held"
    yield "opts: Opts = {'size': 1}\nholder = Holder[int](3)\nholder.held"
    yield "Opts.__annotations__, Opts.__optional_keys__"


@piece
def abstract(e: Names) -> Iterator[str]:
    yield "import abc\nclass Shape(abc.ABC):\n    kinds = []\n    def __init_subclass__(cls, **kw):\n        Shape.kinds.append(cls.__name__)\n    @abc.abstractmethod\n    def area(self): ..."
    yield "class Square(Shape):\n    def __init__(self, s): self.s = s\n    def area(self): return self.s ** 2"
    yield f"Square({e.int()}).area(), Shape.kinds"
    yield "class Round(Shape):\n    area = lambda self: 3\nlen(Shape.kinds)"


@piece
def properties(e: Names) -> Iterator[str]:
    yield "class Temp:\n    __slots__ = ('_c',)\n    def __init__(self, c): self._c = c\n    @property\n    def f(self): return self._c * 9 / 5 + 32\n    @f.setter\n    def f(self, value): self._c = (value - 32) * 5 / 9\n    @classmethod\n    def zero(cls): return cls(0)\n    @staticmethod\n    def unit(): return 'C'"
    yield "temp = Temp.zero()\ntemp.f = 212"
    yield "temp.f, temp._c, Temp.unit()"


@piece
def bound_method(e: Names) -> Iterator[str]:
    yield "class Acc:\n    def __init__(self): self.items = []\n    def add(self, n):\n        self.items.append(n)\n        return self"
    yield "acc_one, acc_two = Acc(), Acc()\nadd_to = acc_one.add"
    yield f"add_to({e.int()}).add(2)\nlen(acc_one.items)"
    yield "add_to = acc_two.add\nadd_to(5)\nadd_to.__self__ is acc_two"


@piece
def operators(e: Names) -> Iterator[str]:
    yield "class Vec:\n    def __init__(self, *v): self.v = v\n    def __add__(self, o): return Vec(*(a + b for a, b in zip(self.v, o.v)))\n    def __eq__(self, o): return self.v == o.v\n    def __hash__(self): return hash(self.v)\n    def __iter__(self): return iter(self.v)\n    def __call__(self, k): return Vec(*(k * a for a in self.v))"
    yield "vec = Vec(1, 2) + Vec(3, 4)\nlist(vec)"
    yield "vec += vec\nvec = vec(2)\nvec == Vec(16, 24), {vec: 1}[Vec(16, 24)]"


@piece
def class_of_name(e: Names) -> Iterator[str]:
    yield "class Named:\n    pass\nnamed = Named()"
    yield "str(type(named)), Named.__module__, Named.__qualname__"
    yield "print(Named)\nNamed.__name__"


@piece
def metaclass(e: Names) -> Iterator[str]:
    yield "registry = {}\nclass Meta(type):\n    def __new__(mcls, name, bases, ns):\n        cls = super().__new__(mcls, name, bases, ns)\n        registry[name] = cls\n        return cls"
    yield "class Plug(metaclass=Meta):\n    def go(self): return 'go'"
    yield "registry['Plug']().go(), list(registry)"


@piece
def pickling(e: Names) -> Iterator[str]:
    yield "import pickle\nclass Kept:\n    def __init__(self, n): self.n = n"
    yield f"text_of = pickle.dumps(Kept({e.int()}))"
    yield "back = pickle.loads(text_of)\nback.n, isinstance(back, Kept)"


@piece
def copies(e: Names) -> Iterator[str]:
    yield "import copy\nclass Node:\n    def __init__(self, n, next=None): self.n, self.next = n, next"
    yield "chain = Node(1, Node(2))\nchain.next.next = chain"
    yield "twin = copy.deepcopy(chain)\ntwin.next.next is twin, chain.next.next is chain"
    yield "chain.n = 5\ntwin.n"


# --- what the process holds ------------------------------------------------------------------------------------


@piece
def seeded(e: Names) -> Iterator[str]:
    yield f"import random\nrandom.seed({e.chance.randrange(9)})"
    yield "drawn = random.random()"
    yield "more_drawn = [random.randint(0, 9) for _ in range(3)]\nmore_drawn"
    yield "random.shuffle(more_drawn)\nmore_drawn"


@piece
def own_generator(e: Names) -> Iterator[str]:
    yield "import random\nown_rng = random.Random(3)"
    yield "def roll():\n    return own_rng.randint(1, 6)"
    yield "rolled = [roll() for _ in range(3)]\nrolled"
    yield "(roll(), own_rng.random())"


@piece
def unseeded(e: Names) -> Iterator[str]:
    yield "import random, time, uuid\nby_chance = random.random()"
    yield "now_at = time.time()\nsome_id = uuid.uuid4().hex"
    yield f"certain_one = {e.int()}\n0 <= by_chance < 1"


@piece
def environment(e: Names) -> Iterator[str]:
    yield "import os\nenv_before = os.environ.get('FUZZ_VALUE', 'none')\nenv_before"
    yield "os.environ['FUZZ_VALUE'] = 'set'"
    yield "def of_env():\n    return os.environ.get('FUZZ_VALUE')\nof_env()"
    yield "env_after = os.environ.pop('FUZZ_VALUE', 'gone')\nenv_after"


@piece
def env_magic(e: Names) -> Iterator[str]:
    yield "%env FUZZ_MAGIC=one"
    yield "import os\nos.environ['FUZZ_MAGIC']"
    yield "%set_env FUZZ_MAGIC two"
    yield "os.getenv('FUZZ_MAGIC')"


@piece
def folders(e: Names) -> Iterator[str]:
    yield "import os\nos.makedirs('below', exist_ok=True)\nos.chdir('below')"
    yield "with open('inside.txt', 'w') as f_in:\n    f_in.write('in')"
    yield "sorted(os.listdir('.'))"
    yield "os.chdir('..')\nos.path.basename(os.getcwd()) == 'below'"


@piece
def cd_magic(e: Names) -> Iterator[str]:
    yield "import os\nos.makedirs('deep', exist_ok=True)"
    yield "%cd deep"
    yield "open('deep.txt', 'w').write('d')"
    yield "%cd -q .."
    yield "os.path.exists('deep/deep.txt')"


@piece
def written_then_read(e: Names) -> Iterator[str]:
    yield f"from pathlib import Path\nPath('made.txt').write_text(str({e.int()}))"
    yield "held_text = Path('made.txt').read_text()\nheld_text"
    yield "with open('made.txt', 'a') as out_file:\n    print('more', file=out_file)"
    yield "Path('made.txt').read_text().splitlines()"


@piece
def counted_in_file(e: Names) -> Iterator[str]:
    yield "from pathlib import Path\ncounter_file = Path('count.txt')\ncount_now = int(counter_file.read_text()) + 1 if counter_file.exists() else 1"
    yield "counter_file.write_text(str(count_now))\ncount_now"


@piece
def open_file(e: Names) -> Iterator[str]:
    yield "log_file = open('log.txt', 'w')"
    yield f"log_file.write('line {e.chance.randrange(9)}\\n')"
    yield "log_file.close()\nlog_file.closed"


@piece
def own_module(e: Names) -> Iterator[str]:
    yield Alone("%%writefile own_helper.py\nLEVEL = 3\ndef helped(n):\n    return n + LEVEL\n")
    yield "import own_helper\nown_helper.helped(1)"
    yield "own_helper.LEVEL = 10\nown_helper.helped(1)"
    yield "from own_helper import helped, LEVEL\nLEVEL, helped(1)"


@piece
def module_by_path(e: Names) -> Iterator[str]:
    yield "import os, sys\nos.makedirs('lib_of', exist_ok=True)\nopen('lib_of/by_path.py', 'w').write('VALUE = 7\\n__all__ = [\"VALUE\", \"one\"]\\ndef one(): return VALUE\\n')"
    yield "sys.path.insert(0, 'lib_of')"
    yield "import by_path\nfrom by_path import *"
    yield "VALUE + one()"
    yield "sys.path.remove('lib_of')\nby_path.VALUE"


@piece
def star_import(e: Names) -> Iterator[str]:
    yield "from math import *\nfrom string import *"
    yield f"floor(pi) + {e.int()}, digits"
    yield "def area_of(r):\n    return pi * r ** 2\narea_of(1)"
    yield "pi = 3\narea_of(1)"


@piece
def import_conditional(e: Names) -> Iterator[str]:
    yield "try:\n    import not_there_at_all as maybe_module\nexcept ImportError:\n    maybe_module = None"
    yield "if maybe_module is None:\n    import json as coder\nelse:\n    coder = maybe_module"
    yield "coder.dumps({'a': 1})"


@piece
def import_variants(e: Names) -> Iterator[str]:
    yield "import os.path, collections.abc as cabc, json as js\nfrom os import path as osp, sep"
    yield "osp.join('a', 'b'), js.dumps([1]), issubclass(list, cabc.Sequence)"
    yield "import xml.dom\nimport xml.etree.ElementTree as ET"
    yield "ET.fromstring('<a b=\"1\"/>').get('b'), xml.dom.Node.ELEMENT_NODE"
    yield "def inside():\n    import math as m_in\n    from math import tau\n    return m_in.floor(tau)\ninside()"


@piece
def import_rebound(e: Names) -> Iterator[str]:
    yield "import math as lib_m\nfirst_root = lib_m.sqrt(16)"
    yield "import cmath as lib_m"
    yield "lib_m.sqrt(-1), first_root"
    yield "lib_m = 3\nlib_m + 1"


@piece
def module_changed(e: Names) -> Iterator[str]:
    yield "import math\nkept_pi = math.pi"
    yield "math.pi = 3"
    yield "from math import pi as pi_now\npi_now, math.floor(math.pi)"
    yield "math.pi = kept_pi"


@piece
def contextvar(e: Names) -> Iterator[str]:
    yield "import contextvars\nlevel_var = contextvars.ContextVar('level_var', default=0)"
    yield f"token_of = level_var.set({e.int()})"
    yield "def of_level():\n    return level_var.get()\nof_level()"
    yield "level_var.reset(token_of)\nof_level()"


@piece
def threads(e: Names) -> Iterator[str]:
    yield "import threading\ngathered = []\ndef work(n):\n    with lock_of:\n        gathered.append(n)"
    yield "lock_of = threading.Lock()\ntasks = [threading.Thread(target=work, args=(i,)) for i in range(3)]"
    yield "for task in tasks:\n    task.start()\nfor task in tasks:\n    task.join()\nsorted(gathered)"


@piece
def executor_piece(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"from concurrent.futures import ThreadPoolExecutor\n{name} = 3\ndef square_plus(n):\n    return n * n + {name}"
    yield "with ThreadPoolExecutor(2) as pool_of:\n    answers = list(pool_of.map(square_plus, range(4)))\nanswers"


@piece
def weak(e: Names) -> Iterator[str]:
    yield "import weakref\nclass Target:\n    pass\ntarget = Target()\nref_to = weakref.ref(target)"
    yield "ref_to() is target"
    yield "other_name = target\ndel target\nref_to() is not None"
    yield "del other_name\nimport gc\ngc.collect()\nref_to() is None"


@piece
def warned(e: Names) -> Iterator[str]:
    yield "import warnings\nwarnings.filterwarnings('ignore')"
    yield "warnings.warn('quiet')\nwith warnings.catch_warnings(record=True) as heard:\n    warnings.simplefilter('always')\n    warnings.warn('loud')"
    yield "heard_n = len(heard)\ndel heard\nheard_n"


@piece
def recursion_limit(e: Names) -> Iterator[str]:
    yield "import sys, locale\nsys.setrecursionlimit(2500)"
    yield "sys.getrecursionlimit()"


@piece
def sets_order(e: Names) -> Iterator[str]:
    yield "letters = {'pear', 'apple', 'fig', 'kiwi'}\norder_of = list(letters)"
    yield "order_of\nletters.discard('fig')"
    yield "[w for w in letters], sorted(letters)"


@piece
def text_buffer(e: Names) -> Iterator[str]:
    yield "import io\nbuffer = io.StringIO()"
    yield f"print('to buffer', {e.int()}, file=buffer)"
    yield "buffer.getvalue()"


@piece
def logging_piece(e: Names) -> Iterator[str]:
    yield "import logging, io\nheard_log = io.StringIO()\nlogger = logging.getLogger('fuzz')\nlogger.addHandler(logging.StreamHandler(heard_log))\nlogger.setLevel(logging.INFO)"
    yield f"logger.info('value %s', {e.int()})"
    yield "heard_log.getvalue()\nlogger.name"


# --- the shell, and how cells are written -----------------------------------------------------------------------


@piece
def last_expressions(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = {e.int()}"
    yield Alone(e.choose(
        f"{name},", f"{name}, {name} + 1", "lambda q: q + 1", f"{name} if {name} > 2 else None", f"({name} := {name})",
        f"*[{name}], 2", f"not {name}", f"-{name}", f"{name};", f"{name} # note", f"{name}; {name} + 1",
        f"{name}; {name} + 1;", f"({name}\n + 1)", f"[\n  {name},\n]", "'a' 'b'", f"f'{{{name}=}}'", f"{name} == {name} != 3",
        "x_y = 1; x_y", f"{name} \\\n  + 1", f"print({name})", "None", f"[print({name})]", f"{name} or print(1)",
        f"{name}.bit_length()", "'''a\n  b'''", "(yielded for yielded in [1])", "'#;'", f"{name}  ;  ", f"{{**{{'a': {name}}}}}",
        f"'''t\n''' ; {name}", f"{name}\n\n\n# end;", f"if True: {name}", f"for _q in [1]: {name}", "b'by'", f"(\n    {name}  # why\n)",
        f"{name} ;# c", f"\t\n{name}", f"{name} is {name}", f"1 if {name} else 2 if {name} else 3", f"await_ = {name}; await_",
    ))  # fmt: skip
    yield f"{name}"


@piece
def display_calls(e: Names) -> Iterator[str]:
    yield f"display({e.int()})\ndisplay('two', [3])"
    yield "for i_shown in range(2):\n    display(i_shown)"
    yield "def shows_it(v):\n    display(v)\n    return v\nshows_it('in')"
    yield "from IPython.display import display as show_it, Markdown, HTML\nshow_it({'k': 1})"
    yield "display(*[1, 2])\ndisplay()\nlist(map(display, [3]))"


@piece
def display_changed(e: Names) -> Iterator[str]:
    name = e.own("list")
    yield f"{name} = [1]"
    yield f"display({name})\n{name}"
    yield f"{name}.append({e.int()})\n{name}"
    yield f"{name}.pop()\n{name} = {name}[:]"


@piece
def prints(e: Names) -> Iterator[str]:
    yield f"print('one', {e.int()}, sep='-', end='!\\n')"
    yield "import sys\nsys.stdout.write('raw\\n')\nprint('err', file=sys.stderr)"
    yield "def says(w):\n    print(w)\nsays('said')"
    yield "written_n = sys.stdout.write('x\\n')\nwritten_n"


@piece
def redirected(e: Names) -> Iterator[str]:
    yield "import io, contextlib, sys\ncaught_out = io.StringIO()\nwith contextlib.redirect_stdout(caught_out):\n    print('inside')"
    yield "caught_out.getvalue()"


@piece
def capture_magic(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 0"
    yield Alone(f"%%capture captured_it\nprint('hidden', {name})\n{name} += 1\n'''two\n  lines'''")
    yield f"captured_it.stdout, {name}"


@piece
def time_magic(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"%time {name} = {e.int()}"
    yield Alone(f"%%time\n{name} += 2\ntext_in = '''a\n%time b'''\n{name}")
    yield f"timed = %time {name} + 1\ntimed"
    yield f"({name}, text_in)"
    yield f"%timeit -n1 -r1 {name}"


@piece
def shell_lines(e: Names) -> Iterator[str]:
    yield "!echo hello"
    yield "listed = !echo one; echo two\nlist(listed)"
    yield "word_sh = 'w'\nsaid_sh = !echo {word_sh} $word_sh\nsaid_sh[0]"
    yield "if True:\n    !echo inside\n    done_sh = 1\ndone_sh"


@piece
def shown_magics(e: Names) -> Iterator[str]:
    yield "%matplotlib inline"
    yield "%config InlineBackend.figure_format = 'retina'\n%load_ext autoreload\n%autoreload 2"
    yield "import os\nos.path.basename"
    yield "?len"
    yield "len?"
    yield "%pip install nothing-at-all" if e.chance.random() < 0.3 else "%who"


@piece
def html_magic(e: Names) -> Iterator[str]:
    yield Alone("%%html\n<b>bold</b>")
    yield Alone("%%markdown\n# not a heading\n'''")
    yield Alone("%%javascript\nalert(1)") if e.chance.random() < 0.2 else "after_html = 1"


@piece
def long_texts(e: Names) -> Iterator[str]:
    yield "text_long = '''first\n    second\n\tthird\n# no comment\n%time no magic\n'''"
    yield "joined = ('a'\n  'b'   # why\n  f'{1 + 1}')\ndef quoting():\n    return '''\nleft\n  right\n'''\nquoting()"
    yield (
        "text_f = f'''{text_long!r}\n{len(joined)\n}'''\ntext_f"
        if e.chance.random() < 0.0
        else "text_f = f'''{text_long!r}\n  {len(joined)}'''\ntext_f"
    )
    yield "r'\\d' + '\\\\' + b'\\x00'.hex() + '\\N{BULLET}'"


@piece
def layout(e: Names) -> Iterator[str]:
    yield "if True:\n\ttabbed = 1\n\tif tabbed:\n\t\ttabbed += 1\ntabbed"
    yield "slashed = 1 + \\\n    2\nbrackets = [1,\n# odd place\n2,\n      3]\nslashed"
    yield "def spaced(\n    a,  # first\n\n    b=2,\n):\n\n    # why\n\n    return a + b\n\n\nspaced(1)"
    yield "one_a = 1; two_a = 2; (one_a, two_a)"
    yield "import os; import sys; here_sep = os.sep"
    yield "def short(): return 1\ndef shorter(): x_in = 2; return x_in\nclass Small: pass\nshort() + shorter()"
    yield "if 1: branch_a = 1\nelse: branch_a = 2\nbranch_a"


@piece
def constants(e: Names) -> Iterator[str]:
    yield "LIMIT = 3\nRATES = {'a': 1, 'b': [1, 2]}\nNAMES = ['x']\nNEG = -1"
    yield "def within_limit(n):\n    return n < LIMIT and RATES['a'] > 0"
    yield "RATES['c'] = 3\nlen(RATES), within_limit(2)"
    yield "NAMES.append('y')\nTUPLE = (1, [2])\nTUPLE[1].append(3)\nTUPLE"


@piece
def constant_shared(e: Names) -> Iterator[str]:
    yield "GRID = [1, 2]\nholder_of = {'grid': GRID}"
    yield "def reads_grid():\n    return GRID"
    yield "got_grid = reads_grid()\ngot_grid is GRID, holder_of['grid'] is GRID"


@piece
def constant_handed_out(e: Names) -> Iterator[str]:
    yield "BASE_LIST = [1, 2]\ndef fresh_one():\n    return BASE_LIST"
    yield "taken_out = fresh_one()\nlen(taken_out)"
    yield "taken_out.append(3)\nBASE_LIST" if e.chance.random() < 0.7 else "taken_out = None\nBASE_LIST"


@piece
def main_guard(e: Names) -> Iterator[str]:
    yield "if __name__ == '__main__':\n    is_main = True"
    yield "def which_name():\n    return __name__\nwhich_name(), is_main"
    yield "__name__"


@piece
def main_file(e: Names) -> Iterator[str]:
    yield "try:\n    where_am_i = __file__\nexcept NameError:\n    where_am_i = 'nowhere'"
    yield "where_am_i"


@piece
def doc_name(e: Names) -> Iterator[str]:
    yield "'''A text at the top.'''\nfirst_doc = 1"
    yield "def doc_of():\n    'Told.'\nclass DocOf:\n    '''Told, too.'''\ndoc_of.__doc__, DocOf.__doc__"


@piece
def main_module(e: Names) -> Iterator[str]:
    yield "import sys\nmain_value = 3\ngot_main = sys.modules['__main__'].main_value"
    yield "got_main"
    yield "import __main__\n__main__.set_from_far = 5"
    yield "set_from_far"


@piece
def source_of(e: Names) -> Iterator[str]:
    yield "import inspect, traceback, sys\ndef sourced():\n    return sys._getframe().f_code.co_name"
    yield "sourced()"
    yield "sys._getframe().f_code.co_name"


@piece
def frames_names(e: Names) -> Iterator[str]:
    yield "def caller_name():\n    import sys\n    return sorted(k for k in sys._getframe(1).f_globals if k == 'seen_global')\nseen_global = 1"
    yield "caller_name()"


@piece
def formatted(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"{name} = 3\nimport string\ntemplate = string.Template('$v')"
    yield f"'{{}}'.format({name}), '%d' % {name}, template.substitute(v={name})"
    yield f"f'{{{name}:>{{{name}}}}}' + f\"{{'in' + str({name})}}\" + f'{{(lambda q: q + {name})(1)}}'"
    yield f"def in_f(n):\n    return f'{{n + {name}}} {{{name}!r}}'\nin_f(1), f'{{in_f(2)}}'"


@piece
def in_f_string(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"import math\n{name} = math.ceil(1.2)\ndef needy(n):\n    return n + {name}"
    yield "f'{needy(1)} {needy(2)!s:>5} {[needy(i) for i in range(2)]}'"
    yield "f'''{needy(\n3)}''' + f\"{needy(4):0{needy(1)}d}\""
    yield "f'{needy}'.startswith('<function needy'), f'é {needy(5)} ü {needy(6)}'"


@piece
def needy_places(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"import math\n{name} = math.ceil(2.2)\ndef want(n=0, *a):\n    return n + {name}"
    yield "want(), want( ), want(1,), want(*[1]), want(**{'n': 2}), want(*[1], **{})"
    yield "want(want(want(1))), (want)(2), [want][0](3), (want if True else None)(4)"
    yield "want(q for q in [1])" if e.chance.random() < 0.0 else "want(sum(q for q in [1, 2]))"
    yield (
        "@want\ndef odd_one(): ...\nodd_one" if e.chance.random() < 0.0 else "wanted = want\nwanted(1), wanted is want"
    )
    yield "{want: 1}[want], [want].count(want), want == want"
    yield "import operator\noperator.call(want, 1) if hasattr(operator, 'call') else want(1)"
    yield "class UsesWant:\n    value = want(1)\n    def get(self, n):\n        return want(n)\nUsesWant().get(2), UsesWant.value"


@piece
def unpacked_call(e: Names) -> Iterator[str]:
    yield "def kw_only(*, a, b=2):\n    return (a, b)\ndef pos_only(a, b=3, /):\n    return (a, b)"
    yield "kw_only(**{'a': 1}), pos_only(*[1])"
    yield "try:\n    kw_only(1)\nexcept TypeError as error:\n    complaint = str(error)\ncomplaint"


@piece
def wrong_arguments(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"import math\n{name} = math.ceil(2.2)\ndef strict(a, b):\n    return a + b + {name}"
    yield "try:\n    strict(1)\nexcept TypeError as error:\n    complaint_of = str(error)\ncomplaint_of"
    yield f"try:\n    strict(1, 2, {name}=3)\nexcept TypeError:\n    refused_it = True\nelse:\n    refused_it = False\nrefused_it"
    yield "def anything(**given):\n    return given\nanything(a=1)"


@piece
def takes_anything(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"import math\n{name} = math.ceil(2.2)\ndef gathers(*a, **k):\n    return (a, sorted(k), {name})"
    yield f"gathers(1, z=2), gathers(**{{'{name}': 9}})"
    yield f"def passes(*a, **k):\n    return gathers(*a, **k)\npasses({name}, y=1)"


@piece
def sliced(e: Names) -> Iterator[str]:
    name = e.new("list")
    yield f"{name} = list(range(6))"
    yield f"{name}[1:3] = [9, 9, 9]\n{name}[-1] += {e.int()}"
    yield f"del {name}[::2]\n{name}"


@piece
def nested_change(e: Names) -> Iterator[str]:
    yield "config = {'a': {'b': [1]}}\ninner_of = config['a']"
    yield f"config['a']['b'] += [{e.int()}]\nconfig.setdefault('z', []).append(1)"
    yield "inner_of['b'].append('last')\nconfig"
    yield "config = dict(config, a=1)\n(config, inner_of)"


@piece
def changed_in_function(e: Names) -> Iterator[str]:
    name = e.own("list")
    yield f"{name} = []\ndef note(v):\n    {name}.append(v)\n    return len({name})"
    yield f"note({e.int()})\nnote(2)"
    yield f"noted_n = note(3)\n{name}"
    yield f"{name} = []\nnote(1)\n{name}"


@piece
def changed_through_argument(e: Names) -> Iterator[str]:
    name = e.own("list")
    yield f"{name} = [1]\ndef push(into, v):\n    into.append(v)"
    yield f"push({name}, {e.int()})"
    yield f"same_again = {name}\npush(same_again, 5)\n{name}"


@piece
def shared_default(e: Names) -> Iterator[str]:
    yield "from collections import defaultdict, Counter, OrderedDict, deque, ChainMap\ngroups = defaultdict(list)"
    yield f"groups['a'].append({e.int()})\ntally = Counter('hello')\ntally['z']"
    yield "groups['b']\nlast_few = deque([1, 2, 3], maxlen=2)\nlast_few.append(4)\nlast_few"
    yield "chain_map = ChainMap({}, groups)\nchain_map['new'] = 1\n(dict(groups), tally.most_common(1), chain_map.maps[0])"


@piece
def numbers_exact(e: Names) -> Iterator[str]:
    yield "from fractions import Fraction\nfrom decimal import Decimal, getcontext\ngetcontext().prec = 5"
    yield "Decimal(1) / Decimal(3), Fraction(1, 3)"
    yield "float_nan = float('nan')\n(0.1 + 0.2, float_nan != float_nan, -0.0, 1e400, 10 ** 20)"


@piece
def dates(e: Names) -> Iterator[str]:
    yield "import datetime as dt\nday = dt.date(2020, 2, 28)"
    yield "day += dt.timedelta(days=2)\nday"
    yield "today_is = dt.date.today() > day\ntoday_is"


@piece
def regex(e: Names) -> Iterator[str]:
    yield "import re\npattern = re.compile(r'(?P<w>\\w+)')"
    yield "found_m = pattern.match('word one')\nfound_m['w']"
    yield "[m.start() for m in pattern.finditer('a b')]"


@piece
def database(e: Names) -> Iterator[str]:
    yield "import sqlite3\ndb = sqlite3.connect(':memory:')\ndb.execute('create table t (a int)')"
    yield f"_ = db.execute('insert into t values ({e.chance.randrange(9)})')"
    yield "rows_db = db.execute('select a from t').fetchall()\nrows_db"
    yield "cursor_db = db.execute('select 1')\ncursor_db.fetchone()\ndb.close()"


@piece
def subclassed(e: Names) -> Iterator[str]:
    yield "class Loud(dict):\n    def __missing__(self, key):\n        return f'no {key}'\nclass Sized(list):\n    limit = 2\n    def append(self, v):\n        if len(self) < self.limit: super().append(v)"
    yield "loud = Loud(a=1)\nsized = Sized([1])\nsized.append(2); sized.append(3)"
    yield "loud['zz'], sized\nSized.limit = 3"
    yield "sized.append(4)\n(loud, sized)"


@piece
def class_counts(e: Names) -> Iterator[str]:
    yield "class Serial:\n    next_id = 1\n    all_of = []\n    def __init__(self):\n        self.id = Serial.next_id\n        Serial.next_id += 1\n        self.all_of.append(self)"
    yield "serials = [Serial(), Serial()]"
    yield "[s.id for s in serials], len(Serial.all_of)"


@piece
def printing_class(e: Names) -> Iterator[str]:
    yield "class Talks:\n    print('class body')\n    made_at = len('abc')\n    def go(self):\n        print('goes')"
    yield "Talks().go()"


@piece
def effects_at_definition(e: Names) -> Iterator[str]:
    yield "order_log = []\ndef logged(v):\n    order_log.append(v)\n    return v"
    yield "def with_effect(n=logged('default')):\n    return n"
    yield "order_log\nclass WithEffect:\n    at = logged('body')"
    yield "order_log"


@piece
def nothing_but_import(e: Names) -> Iterator[str]:
    yield "import this_is_missing" if e.chance.random() < 0.02 else "import json"
    yield "import json\njson.loads('[1]')"


@piece
def tests_in_cells(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"def test_it():\n    assert {name} >= 0\n{name} = 1"
    yield "test_it()"
    yield f"assert {name}, 'none'\nassert True"


@piece
def reloading(e: Names) -> Iterator[str]:
    yield "import importlib, json\njson = importlib.reload(json)"
    yield "json.dumps(1), importlib.import_module('json') is json"


@piece
def dynamic_attributes(e: Names) -> Iterator[str]:
    yield "import types\nns = types.SimpleNamespace(a=1)\nsetattr(ns, 'b', 2)"
    yield f"ns.c = {e.int()}\ngetattr(ns, 'b')"
    yield "vars(ns)['d'] = 4\nns"


@piece
def lru_method(e: Names) -> Iterator[str]:
    yield "from functools import singledispatch, reduce, cached_property\n@singledispatch\ndef kind_name(v):\n    return 'any'\n@kind_name.register\ndef _(v: int):\n    return 'int'"
    yield "kind_name(1), kind_name('s')"
    yield "@kind_name.register(str)\ndef of_str(v):\n    return 'str'\nkind_name('s'), reduce(lambda a, b: a + b, [1, 2, 3])"


@piece
def nan_and_none(e: Names) -> Iterator[str]:
    yield "nothing_is = None\nnothing_is"
    yield "ellipsis_is = ...\n..."
    yield "not_impl = NotImplemented\n(nothing_is, ellipsis_is)"


@piece
def long_names(e: Names) -> Iterator[str]:
    name = "a_very_long_name_" * 6
    yield f"{name} = {e.int()}\n{name}_2 = {name} + 1"
    yield f"{name} += {name}_2\n{name}"


@piece
def used_by_string(e: Names) -> Iterator[str]:
    name = e.own("int")
    yield f"import timeit\n{name} = 2\ntotals_t = []"
    yield f"timeit.timeit('totals_t.append({name})', globals={{'totals_t': totals_t, '{name}': {name}}}, number=2)\ntotals_t"


# --- large libraries --------------------------------------------------------------------------------------------


@heavy
def numpy_random(e: Names) -> Iterator[str]:
    yield "import numpy as np\nnp.random.seed(3)"
    yield "arr = np.random.rand(3)\narr"
    yield "view = arr[:2]\nview[0] = 9"
    yield "arr.sum() > 9, np.random.randint(0, 9, 2)"
    yield "rng = np.random.default_rng(1)\nrng.random(2)"
    yield "rng.integers(0, 9)\nnp.set_printoptions(precision=2)\nprint(arr)"


@heavy
def numpy_errors(e: Names) -> Iterator[str]:
    yield "import numpy as np\nold_err = np.seterr(all='raise')"
    yield "try:\n    np.float64(1) / 0\nexcept FloatingPointError:\n    raised_np = True\nraised_np"
    yield "np.seterr(**old_err)\ngrid_np = np.arange(6).reshape(2, 3)\ngrid_np.T[0] += 1\ngrid_np"


@heavy
def frames(e: Names) -> Iterator[str]:
    yield "import pandas as pd\nframe = pd.DataFrame({'a': [3, 1, 2], 'b': list('xyz')})\nframe"
    yield "same_frame = frame\nframe['c'] = frame['a'] * 2"
    yield "frame.sort_values('a', inplace=True)\nsame_frame"
    yield "low = frame['a'].min()\nframe.query('a > @low')"
    yield "def add_column(f):\n    f['d'] = low\n    return f\nadd_column(frame).shape"
    yield "frame = frame.reset_index(drop=True)\n(frame, same_frame.shape)"


@heavy
def pandas_options(e: Names) -> Iterator[str]:
    yield "import pandas as pd\npd.set_option('display.max_rows', 3)\npd.options.display.precision = 2"
    yield "long_one = pd.Series(range(9))\nprint(long_one)"
    yield "pd.get_option('display.max_rows')"
    yield "pd.reset_option('display.max_rows')\nlong_one.sum()"


@heavy
def frame_eval(e: Names) -> Iterator[str]:
    yield "import pandas as pd\nfactor = 3\ntable = pd.DataFrame({'a': [1, 2]})"
    yield "table.eval('b = a * @factor', inplace=True)\ntable"
    yield "pd.eval('factor + 1')"
    yield "def within_f(k):\n    return table.query('a == @k')\nwithin_f(2)"


@heavy
def frame_files(e: Names) -> Iterator[str]:
    yield "import pandas as pd\nsaved = pd.DataFrame({'a': [1.5, 2]})\nsaved.to_csv('saved.csv', index=False)"
    yield "loaded = pd.read_csv('saved.csv')\nloaded.equals(saved)"
    yield "loaded['a'] += 1\nloaded.describe()"


@heavy
def plots(e: Names) -> Iterator[str]:
    yield "import matplotlib.pyplot as plt\nplt.rcParams['lines.linewidth'] = 3"
    yield "plt.plot([1, 3, 2])\nplt.title('one')\nplt.show()"
    yield "fig, ax = plt.subplots()\nax.plot([2, 1]);"
    yield "ax.set_title('late')\nfig"
    yield "plt.figure(); plt.bar([1], [2])\nplt.figure(); plt.hist([1, 1, 2]);"


@heavy
def frame_plot(e: Names) -> Iterator[str]:
    yield "import pandas as pd\nimport matplotlib.pyplot as plt\nplotted = pd.Series([1, 3, 2])"
    yield "plotted.plot();"
    yield "axis_of = plotted.plot(kind='bar')\naxis_of.set_title('bar');"


# --- what nobody can export -------------------------------------------------------------------------------------


@blind
def evaluated(e: Names) -> Iterator[str]:
    yield "seven = 7\nexec('seven_more = seven + 1')"
    yield "eval('seven + 1')"


@blind
def looked_up(e: Names) -> Iterator[str]:
    yield "sorted(k for k in globals() if k == 'x1')\nlocals().get('nothing')"


@blind
def by_vars(e: Names) -> Iterator[str]:
    yield "in_vars = 1\nvars()['in_vars']"
    yield "dir()[:0]"


@blind
def hidden_eval(e: Names) -> Iterator[str]:
    yield "import builtins\nten_of = 10\nevaluated_by = builtins.eval"
    yield "evaluated_by('ten_of + 1')"


@blind
def getattr_main(e: Names) -> Iterator[str]:
    yield "import sys\nhidden_set = vars(sys.modules['__main__'])\nhidden_set['by_hand'] = 3"
    yield "by_hand"


@blind
def history(e: Names) -> Iterator[str]:
    yield "41 + 1"
    yield "from_memory = _\nOut"


@blind
def asks(e: Names) -> Iterator[str]:
    yield "asked = input('who? ')"


@blind
def shell_change(e: Names) -> Iterator[str]:
    yield "!touch made_by_shell.txt"


@blind
def ipython_itself(e: Names) -> Iterator[str]:
    yield "ip = get_ipython()\nip.user_ns['put_there'] = 1"
    yield "put_there"


def many(seeds: Sequence[int]) -> Iterator[Made]:
    for seed in seeds:
        yield made(seed)
