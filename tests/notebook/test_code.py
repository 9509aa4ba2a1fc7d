"""Normalised code: what does not change a result does not change it, and everything else does."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nbproof.errors import NotebookInvalid
from nbproof.notebook.code import code_hash, normalised
from nbproof.notebook.document import Cell, Document
from nbproof.notebook.syntax import cell_tree

SOURCE = """import math


def area(radius: float) -> float:
    "The area."
    return math.pi * radius ** 2


for r in [1, 2.5, -3]:
    if r > 0 and r != 7:
        print(f"{r:>5}", area(r), sep="\\t")
%timeit area(3)
!echo done
"""
LINES = SOURCE.splitlines()
# What takes a token's place: never the token itself, and never one that means the same.
OTHER = {tokenize.NAME: "other_name", tokenize.NUMBER: "424242", tokenize.STRING: "'other text'", tokenize.OP: ""}
TOKENS = [
    token
    for token in tokenize.generate_tokens(io.StringIO("\n".join(LINES[:11])).readline)
    if token.type in OTHER and token.string.strip()
]


def notebook(*cells: Cell | str, language: str = "python") -> Document:
    whole = (cell if isinstance(cell, Cell) else Cell("c", "code", cell) for cell in cells)
    return Document(Path("n.ipynb"), tuple(whole), language=language)


@given(
    st.lists(
        st.tuples(st.integers(0, len(LINES)), st.sampled_from(["", "   ", "# a remark", "    # deeper"])), max_size=6
    )
)
def test_comments_and_blank_lines_do_not_count(added: list[tuple[int, str]]) -> None:
    """Wherever a comment or a blank line is put, the normalised code is the same."""
    lines = [*LINES]
    for place, line in sorted(added, reverse=True):
        lines.insert(place, line)

    assert normalised(notebook("\n".join(lines))) == normalised(notebook(SOURCE))


@given(st.lists(st.sampled_from(["", "  \n", "# only a remark"]), max_size=3), st.text(max_size=30))
def test_markdown_and_blank_cells_do_not_count(blank: list[str], text: str) -> None:
    """Cells without code may come and go."""
    remarks = [Cell("m", "markdown", text), Cell("r", "raw", text)]

    changed = notebook(*blank, SOURCE, *remarks, *blank)

    assert normalised(changed) == normalised(notebook(SOURCE))
    assert code_hash(changed) == code_hash(notebook(SOURCE))


@given(st.sampled_from(TOKENS))
def test_editing_any_token_counts(token: tokenize.TokenInfo) -> None:
    """Each name, number, text and operator of the code is held in its hash."""
    lines = [*LINES]
    row, column = token.start
    line = lines[row - 1]
    assume(OTHER[token.type] != token.string)
    lines[row - 1] = line[:column] + OTHER[token.type] + line[token.end[1] :]

    try:
        changed = code_hash(notebook("\n".join(lines)))
    except NotebookInvalid:
        # It is no program any more, which is noticed as well.
        return

    assert changed != code_hash(notebook(SOURCE))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("plot()", "plot();"),
        ("%matplotlib inline", "%matplotlib widget"),
        ("!ls", "!ls -l"),
        ("%%bash\necho a", "%%bash\necho a # remark"),
        ("%%bash\necho a", "%%sh\necho a"),
        ("x = !ls", "x = !pwd"),
        ("frame?", "frame??"),
        ("x = 'a'", "x = 'b'"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 'é'", "x = 'e\u0301'"),
        ("x[1:]", "x[:1]"),
        ("if a:\n    b\n    c", "if a:\n    b\nc"),
        ("'doc'\nx = 1", "x = 1"),
    ],
)
def test_what_changes_execution_counts(before: str, after: str) -> None:
    """A silenced result, a magic, a shell line and the body of a cell magic are code."""
    assert code_hash(notebook(before)) != code_hash(notebook(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("plot(); # shown?", "plot();"),
        ("plot() # ;", "plot()"),
        ("x = ';'", "x = ';'  # remark"),
        ("x=(1,\n 2)", "x = (1, 2)"),
        ("x = 16", "x = 0x10"),
        ("  x = 1\n  y = 2", "x = 1\ny = 2"),
        ("await f()", "await f() # top level"),
        ("x = 1\r\ny = 2", "x = 1\ny = 2"),
        (">>> x = 1\n>>> y = 2", "x = 1\ny = 2"),
        ("In [1]: x", "x"),
        ("import re; re.compile('\\d')", "import re\nre.compile( '\\d' )"),
    ],
)
def test_spelling_does_not_count(before: str, after: str) -> None:
    """Two spellings of one program have one hash; odd escapes raise no warning."""
    assert code_hash(notebook(before)) == code_hash(notebook(after))


def test_cells_are_not_joined() -> None:
    """What stands in which cell counts: a cell's last expression is shown."""
    assert code_hash(notebook("x\ny")) != code_hash(notebook("x", "y"))


@pytest.mark.parametrize(("tag", "counts"), [("raises-exception", True), ("parameters", True), ("hide-input", False)])
def test_tags_that_change_execution_count(tag: str, counts: bool) -> None:
    """A tag that only dresses the page does not count."""
    tagged = notebook(Cell("c", "code", "x = 1", (tag,)))

    assert (code_hash(tagged) != code_hash(notebook("x = 1"))) == counts


def test_injected_parameters_do_not_count() -> None:
    """The injected cell holds parameter values, which are counted as such."""
    injected = Cell("i", "code", "x = 2", ("injected-parameters",))

    assert code_hash(notebook("x = 1", injected)) == code_hash(notebook("x = 1"))


def test_other_languages_count_as_written() -> None:
    """Of R only trailing whitespace is known to mean nothing."""
    one, two, three = (notebook(source, language="R") for source in ("x <- 1", "x <- 1  \n", "x <- 1 # a"))

    assert normalised(one) == ("|x <- 1",)
    assert code_hash(one) == code_hash(two) != code_hash(three)


def test_a_syntax_error_names_its_cell_and_line() -> None:
    """What Python cannot read is refused before any kernel starts."""
    with pytest.raises(NotebookInvalid, match=r"a syntax error in cell 2 \(c2\), line 2"):
        normalised(notebook("x = 1", Cell("c2", "code", "y = 2\nz = = 3")))


def test_a_cell_that_may_fail_may_hold_a_syntax_error() -> None:
    """A cell tagged raises-exception counts as written when it is no Python."""
    first, second = (notebook(Cell("c", "code", source, ("raises-exception",))) for source in ("1 = = 2", "1 = = 3"))

    assert code_hash(first) != code_hash(second)


@pytest.mark.parametrize("source", ["x = '\0'", "(" * 500 + ")" * 500])
def test_unreadable_source_is_an_error_of_ours(source: str) -> None:
    """Null bytes and endless nesting end in the same error as any other syntax error."""
    with pytest.raises(NotebookInvalid, match="a syntax error in cell 1"):
        normalised(notebook(source))


@pytest.mark.parametrize(
    "source",
    [
        SOURCE.partition("%")[0],
        "\n\nx = 1;\n",
        "f'{x!r}'",
        "x = '%time'\n'!ls'",
        "(a\n% b)",
        "x = [\n!y\n]",
        "...",
        "a\\\n% b",
    ],
)
def test_plain_python_is_what_ipython_makes_of_it(source: str) -> None:
    """Source that Python can read is not handed to IPython, and would come back the same."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        expected = ast.dump(ast.parse(TransformerManager().transform_cell(source)))
    except SyntaxError:
        expected = "no Python"

    try:
        found = ast.dump(cell_tree(source))
    except SyntaxError:
        found = "no Python"

    assert found == expected
