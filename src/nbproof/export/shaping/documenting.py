"""Docstrings for what has none: one honest line, made of a name and of what is seen of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import TypeAlias

from ..edits import Edits

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FIRST_WORD = re.compile(r"(\s*[rRuU]?(?:\"\"\"|\"))(\w+)")
_FIRST_LINE = re.compile(r'(\s*r?""")(.*?)("""|$)')
_VERBS = (
    "add analyze apply assert assign average balance bin build calculate call center change check choose "
    "classify clean cluster collect color combine compare compile compute convert copy count create cross "
    "crop cut decode define delete describe detect determine display divide download draw drop embed "
    "encode estimate evaluate execute expand explain explore export extract fetch fill filter find fit "
    "flatten format generate get give group handle impute initialize insert install inspect "
    "integrate join keep label list load log look make map mark mask match measure merge minimize move "
    "multiply normalize open optimize order parse pick plot plus predict prepare preprocess print process "
    "produce project prune put query raise random rank read rebuild record reduce refresh remove rename "
    "render repeat replace report resample resize reset reshape resolve restore retrieve return reverse "
    "rotate round run sample save scale scan score search see select send separate set show shuffle "
    "simulate simplify smooth solve sort split standardize start step stop store subtract sum summarize "
    "swap take tell test tokenize train transform translate trim try update use validate verify visualize "
    "walk weight wrap write zip"
)
# These are nouns as well, and so they are read where something is returned.
_NOUNS = "average bin color count label list log map mask mean order rank score step sum weight"
_CLAIMS = ("is", "has", "can", "are")
_MAGIC = {
    "__init__": "Set up {owner}.",
    "__repr__": "Return the text that programmers see.",
    "__str__": "Return the text that people see.",
    "__len__": "Count what is in it.",
    "__iter__": "Go through what is in it.",
    "__next__": "Return the next one.",
    "__getitem__": "Return what is at a place.",
    "__setitem__": "Put something at a place.",
    "__contains__": "Tell whether something is in it.",
    "__call__": "Answer a call.",
    "__eq__": "Tell whether both are equal.",
    "__lt__": "Tell whether it comes before another.",
    "__hash__": "Return a hash of it.",
    "__enter__": "Enter the block.",
    "__exit__": "Leave the block.",
    "__add__": "Return the sum of both.",
    "__sub__": "Return the difference of both.",
    "__mul__": "Return the product of both.",
    "__neg__": "Return its negative.",
    "forward": "Pass {first} forward.",
}


def documented(text: str) -> str:
    """Give a line to every public function and class that says nothing of itself."""
    edits, lines = Edits(text), text.split("\n")
    for node, owner in _public(ast.parse(text), None):
        first = node.body[0]
        line = min([first.lineno, *(each.lineno for each in getattr(first, "decorator_list", []))])
        # Comments above the first statement stay with it.
        while line - 1 > node.lineno and lines[line - 2].lstrip().startswith("#"):
            line -= 1
        space, behind = " " * first.col_offset, "\n\n" if isinstance(node, ast.ClassDef) else "\n"
        edits.insert(line, 0, f'{space}"""{sentence(node, owner)}"""{behind}')
    return "\n".join(line for line, _ in edits.done())


def commanding(text: str, lines: Collection[int]) -> str:
    """Let the docstrings in these lines begin with a command: "Returns" becomes "Return", "Making" becomes "Make"."""
    texts = text.split("\n")
    for line in lines:
        match = _FIRST_WORD.match(texts[line - 1])
        if match is not None and (command := _command(match[2])):
            texts[line - 1] = f"{match[1]}{command}{texts[line - 1][match.end() :]}"
    return "\n".join(texts)


def quoting(text: str, lines: Collection[int], names: Collection[str]) -> str:
    """Make a sentence of a heading in these lines that is none, where it is the docstring of a function so called."""
    texts = text.split("\n")
    for node in ast.parse(text).body:
        if isinstance(node, _FUNCTIONS) and node.name in names and node.body[0].lineno in lines:
            match = _FIRST_LINE.match(texts[node.body[0].lineno - 1])
            if match is not None:
                begin, heading, end = match.groups()
                quoted = f"{begin}Carry out '{heading.rstrip('.')}'.{end}"
                texts[node.body[0].lineno - 1] = quoted
    return "\n".join(texts)


def _command(word: str) -> str | None:
    verbs, lower = _VERBS.split(), word.lower()
    stems = [lower[:-1], lower[:-2], f"{lower[:-3]}y"] if lower.endswith("s") else []
    if lower.endswith("ing"):
        stems = [lower[:-3], f"{lower[:-3]}e", lower[:-4]]
    found = next((stem for stem in stems if stem in verbs), None)
    return found.capitalize() if found is not None and word[0].isupper() else found


def _public(
    tree: ast.Module | ast.ClassDef, owner: ast.ClassDef | None
) -> Iterator[tuple[Function | ast.ClassDef, ast.ClassDef | None]]:
    """What others can reach and has no docstring; what is inside of functions belongs to nobody else."""
    for node in ast.walk(tree) if owner is None else tree.body:
        if owner is None and node not in tree.body and not _is_at_top(tree, node):
            continue
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            continue
        is_magic = node.name.startswith("__") and node.name.endswith("__")
        if node.name.startswith("_") and not (is_magic and owner is not None):
            continue
        is_further = any(getattr(each, "attr", "") in ("setter", "deleter", "overload") for each in node.decorator_list)
        if ast.get_docstring(node) is None and not is_further:
            yield node, owner
        if isinstance(node, ast.ClassDef):
            yield from _public(node, node)


def _is_at_top(tree: ast.Module | ast.ClassDef, wanted: ast.AST) -> bool:
    """Whether it stands in the module itself, below no more than conditions."""
    left: list[ast.AST] = list(tree.body)
    while left:
        node = left.pop()
        if node is wanted:
            return True
        if isinstance(node, ast.If | ast.Try | ast.With):
            left.extend(ast.iter_child_nodes(node))
    return False


def sentence(node: Function | ast.ClassDef, owner: ast.ClassDef | None) -> str:
    """One line that says no more than is known."""
    if isinstance(node, ast.ClassDef):
        return f"{_article(_spoken(node.name))}{_kind_of(node)}."
    if node.name in _MAGIC:
        made = _article(_spoken(owner.name)) if owner else "it"
        return _MAGIC[node.name].format(owner=made[0].lower() + made[1:], first=_parameters(node) or "it")
    if node.name.startswith("__"):
        return f"Carry out `{node.name}`."
    words = _spoken(node.name).split()
    if not words:
        return f"Carry out `{node.name}`."
    verbs = set(_VERBS.split()) - (set(_NOUNS.split()) if _gives(node) else set())
    if words[0] in _CLAIMS:
        return f"Tell whether it {' '.join(words)}."
    if words[0] in verbs and (len(words) > 1 or not _gives(node)):
        return f"{words[0].capitalize()} {' '.join(words[1:])}".rstrip() + "."
    if words[0] in verbs:
        return f"{words[0].capitalize()} {_parameters(node) or 'it'}."
    if not _gives(node):
        return f"Carry out `{node.name}`."
    if words[-1] in ("of", "for", "from", "in", "by", "with", "to"):
        return f"Return {' '.join(words)} {_parameters(node) or 'it'}."
    of = _parameters(node)
    return f"Return {' '.join(words)}{f' of {of}' if of else ''}."


def _kind_of(node: ast.ClassDef) -> str:
    bases = [ast.unparse(base) for base in node.bases if not isinstance(base, ast.Name) or base.id != "object"]
    return f", a kind of `{bases[0]}`" if bases else ""


def _spoken(name: str) -> str:
    """The words of a name: `fitModel` and `fit_model` are both "fit model"."""
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in _WORDS.findall(name))


def _article(words: str) -> str:
    # An abbreviation is spelt out when it is read.
    vowels = "AEFHILMNORSX" if words.split()[0].isupper() else "aeiou"
    return f"{'An' if words[:1] in tuple(vowels) else 'A'} {words}"


def _parameters(node: Function) -> str:
    arguments = node.args
    first = next(
        (each.arg for each in [*arguments.posonlyargs, *arguments.args] if each.arg not in ("self", "cls")), ""
    )
    return f"`{first}`" if first else ""


def _gives(node: Function) -> bool:
    """Whether it returns a value, or yields some."""
    returns = node.returns
    if isinstance(returns, ast.Constant) and returns.value is None:
        return False
    return any(
        isinstance(each, ast.Yield | ast.YieldFrom) or (isinstance(each, ast.Return) and each.value is not None)
        for each in ast.walk(node)
    )
