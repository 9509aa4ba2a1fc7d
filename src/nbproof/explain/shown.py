"""Explanations that show themselves where a notebook looks at them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from . import mime
from .explanation import Explanation
from .folder import Kept


class Shown(Explanation):
    """An explanation that shows itself: numbers, picture and text, also when it was sliced."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return mime.bundle([self])

    def __repr__(self) -> str:
        return mime.text([self])


class Both(Kept):
    """Explanations by both methods of the same rows, which show themselves side by side, with their audit."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        made = [each for each in (self.shap, self.lime) if each is not None]
        audit = None if self.audit is None else self.audit.written()
        return mime.bundle(made, audit) if made else {"text/plain": repr(self)}

    def __repr__(self) -> str:
        made = [each for each in (self.shap, self.lime) if each is not None]
        lines = [] if self.audit is None else [f"{each.verdict}: {each.sentence}" for each in self.audit.lines]
        return "\n\n".join(part for part in (mime.text(made), "\n".join(lines)) if part)


def shown(made: Explanation) -> Shown:
    """The same explanation, as one that shows itself."""
    return Shown(**{each.name: getattr(made, each.name) for each in fields(Explanation)})


def both(kept: Kept) -> Both:
    """What a folder keeps, as what shows itself."""
    return Both(
        None if kept.shap is None else shown(kept.shap), None if kept.lime is None else shown(kept.lime), kept.audit
    )
