"""A cell's source as a syntax tree, read the way IPython reads it; nothing is executed."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache

# Pasted prompts can read as Python: `In [1]: x` would annotate an item.
_PROMPTS = ("In", "...", ">>>")


def python_tree(source: str) -> ast.Module:
    """Return the tree of plain Python `source`; raise `SyntaxError`, and only that, when it is none."""
    try:
        with warnings.catch_warnings():
            # An odd escape such as "\d" is the author's business, and no reason to print while reading.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (ValueError, RecursionError, MemoryError) as error:
        # A null byte, or an expression deeper than the parser can follow.
        raise SyntaxError(str(error) or "nested too deeply") from None


def cell_tree(source: str) -> ast.Module:
    """Return the tree of one cell, with magics and shell lines as the calls that IPython makes of them."""
    if not source.lstrip().startswith(_PROMPTS):
        # What is Python already, IPython leaves as it is; not asking saves most of the time that reading takes.
        try:
            return python_tree(source)
        except SyntaxError:
            pass
    return _transformed_tree(source)


def _transformed_tree(source: str) -> ast.Module:
    # IPython drops leading blank lines; people count them.
    dropped = len(source) - len(source.lstrip())
    blank_lines = source[:dropped].count("\n")
    try:
        tree = python_tree(as_python(source))
    except SyntaxError as error:
        error.lineno = (error.lineno or 1) + blank_lines
        raise
    return ast.increment_lineno(tree, blank_lines)


@lru_cache(maxsize=4096)
def as_python(source: str) -> str:
    """Return the cell as the Python that IPython would run; raise `SyntaxError` where IPython itself stumbles."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        transformed: str = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
    except IndexError:
        # It looks past the end of a line that breaks off.
        raise SyntaxError("IPython cannot read it") from None
    return transformed


def is_silenced(source: str) -> bool:
    """Whether the cell ends in `;`, with which IPython shows no result."""
    if ";" not in source:
        return False
    import io
    import tokenize

    # As in IPython the end of a block counts: a `;` in it hides nothing.
    passed_over = {tokenize.ENDMARKER, tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT}
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return source.rstrip().endswith(";")
    last = next((token for token in reversed(tokens) if token.type not in passed_over), None)
    return last is not None and last.string == ";"
