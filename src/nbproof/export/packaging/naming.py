"""What a package is called: as its notebook, and as nothing else that could be imported."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import unicodedata
from pathlib import Path

from ...errors import AskedWrongly

_SUFFIX = "_notebook"
_MARK = "NOTEBOOK_DIGEST"


def package_name(notebook: Path, *, is_draft: bool = False) -> str:
    """The notebook's stem as an identifier that hides no module, neither an installed one nor one beside the notebook.

    >>> package_name(Path("06_training.ipynb")), package_name(Path("Café au lait.ipynb"))
    ('nb_06_training', 'cafe_au_lait')
    >>> package_name(Path("json.ipynb")), package_name(Path("scores.ipynb"), is_draft=True)
    ('json_notebook', 'scores_draft')
    """
    name = _identifier(notebook.stem)
    if is_draft:
        name += "_draft"
    while is_taken(name, notebook.resolve().parent):
        name += _SUFFIX
    return name


def check_name(name: str, notebook: Path) -> str:
    """A name that somebody chose; raises `AskedWrongly` for one that cannot be."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise AskedWrongly(
            f"`{name}` is no name of a package; expected lower-case letters, digits and `_`",
            hint=f"--name {package_name(notebook)}",
        )
    if is_taken(name, notebook.resolve().parent):
        raise AskedWrongly(f"`{name}` is the name of another module; expected one that hides none",
                           hint=f"--name {package_name(notebook)}")  # fmt: skip
    return name


def is_taken(name: str, folder: Path) -> bool:
    """Whether a module has this name: Python's own, an installed one that is no export, or one in `folder`."""
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in sys.stdlib_module_names:
        return True
    if (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists():
        return True
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return True
    return found is not None and not (found.origin is None or _is_export(Path(found.origin)))


def _is_export(entrance: Path) -> bool:
    """Whether an installed package is one that was exported before: then this is its next version."""
    return entrance.name == "__init__.py" and _MARK in entrance.read_text(encoding="utf-8", errors="replace")


def _identifier(stem: str) -> str:
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name:
        return "notebook"
    return f"nb_{name}" if name[0].isdigit() else name
