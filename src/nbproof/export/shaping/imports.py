"""How a module may name a type: by what it imports already, or by an import for type checkers alone."""

from __future__ import annotations

import ast
import builtins

from ..watching.kinds import ANY

_USUAL = {"numpy": "np", "pandas": "pd"}


class Imports:
    """What a module imports at its top, and what its annotations need besides."""

    def __init__(self, tree: ast.Module) -> None:
        self._modules: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        self._taken = {
            name
            for node in ast.walk(tree)
            for name in (getattr(node, each, None) for each in ("id", "name", "arg", "asname"))
            if isinstance(name, str)
        }
        self._needed: dict[str, str] = {}
        self._from_typing: set[str] = set()
        for node in tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._modules[alias.name if alias.asname else alias.name.partition(".")[0]] = (
                        alias.asname or alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self._names[f"{node.module}.{alias.name}"] = alias.asname or alias.name
        self._taken |= {*self._modules.values(), *self._names.values()}
        bound = {
            target.id for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in ast.walk(node) if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store)
        }  # fmt: skip
        self._hidden = bound | {node.name for node in tree.body if hasattr(node, "name")}

    def spelled(self, kind: str) -> str:
        """The annotation for a type, as `kinds` names it; what is needed for it is noted."""
        try:
            tree = ast.parse(kind, mode="eval").body
        except SyntaxError:
            return self._any()
        return ast.unparse(_Named(self).visit(tree))

    def name_of(self, dotted: str) -> str:
        """The name in this module for a class with a dotted name."""
        module, _, name = dotted.rpartition(".")
        if dotted in self._names:
            return self._names[dotted]
        if not module:
            return name if name == "None" or (hasattr(builtins, name) and name not in self._hidden) else self._any()
        if dotted.startswith("__main__."):
            own = dotted.removeprefix("__main__.")
            return own if own.partition(".")[0] in self._classes else self._any()
        for known, alias in sorted(self._modules.items(), key=lambda item: -len(item[0])):
            # `import matplotlib` says nothing of `matplotlib.figure`, so only the module itself counts.
            if known == module:
                return f"{alias}.{name}"
        usual = _USUAL.get(module)
        if usual and usual not in self._taken:
            self._needed[f"import {module} as {usual}"] = usual
            return f"{usual}.{name}"
        if name in self._taken or name in dir(builtins):
            return self._any()
        self._needed[f"from {module} import {name}"] = name
        return name

    def _any(self) -> str:
        if f"typing.{ANY}" in self._names:
            return self._names[f"typing.{ANY}"]
        self._from_typing.add(ANY)
        return ANY

    def added(self, text: str) -> str:
        """The text with the imports that annotations need."""
        wanted = {line: name for line, name in self._needed.items() if name not in self._from_typing}
        lines = text.split("\n")
        tree = ast.parse(text)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        end = max((node.end_lineno or node.lineno for node in imports), default=1)
        typing = sorted({*self._from_typing, *(["TYPE_CHECKING"] if wanted else [])})
        block = ["", "if TYPE_CHECKING:", *(f"    {line}" for line in sorted(wanted)), ""] if wanted else []
        first = [f"from typing import {', '.join(typing)}"] if typing else []
        return "\n".join([*lines[:end], *first, *block, *lines[end:]])


class _Named(ast.NodeTransformer):
    """Puts the names that a module has in the place of dotted ones."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return _parsed(self._imports._any() if node.id == ANY else self._imports.name_of(node.id))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return _parsed(self._imports.name_of(ast.unparse(node)))

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        value = self.visit(node.value)
        # What is not known has no parameters.
        if isinstance(value, ast.Name) and value.id == ANY:
            return value
        return ast.Subscript(value, self.visit(node.slice), node.ctx)


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
