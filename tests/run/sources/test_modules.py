"""The local modules behind some code: all of them, by content, and none imported."""

from __future__ import annotations

import ast
import json
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from nbproof.notebook.syntax import python_tree
from nbproof.run.sources import modules
from nbproof.run.sources.modules import local_sources


def tree(root: Path, **files: str) -> None:
    """Write files; `__` in a name stands for `/`, and `dunder` for `__init__`."""
    for name, text in files.items():
        path = root / (name.replace("__", "/").replace("dunder", "__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found(project: Path, *sources: str, cwd: str = ".", search: tuple[str, ...] = ()) -> list[str]:
    return list(local_sources(sources, cwd=project / cwd, search=search, project=project))


def test_a_helper_and_what_it_imports_are_found(tmp_path: Path) -> None:
    """Imports are followed from module to module, in circles too."""
    tree(tmp_path, helper="import deep", deep="import helper, circle", circle="import circle", unused="")

    assert found(tmp_path, "import helper") == ["circle.py", "deep.py", "helper.py"]


def test_a_package_counts_with_its_parents(tmp_path: Path) -> None:
    """`import a.b.c` runs every `__init__` on the way; `from a.b import c` may mean a module."""
    tree(tmp_path, a__dunder="", a__b__dunder="", a__b__c="", a__b__d="", a__e="")

    assert found(tmp_path, "import a.b.c") == ["a/__init__.py", "a/b/__init__.py", "a/b/c.py"]
    assert found(tmp_path, "from a.b import d, name") == ["a/__init__.py", "a/b/__init__.py", "a/b/d.py"]


def test_relative_imports_are_followed(tmp_path: Path) -> None:
    """One dot is the module's own package, two the package around it."""
    tree(tmp_path, a__dunder="from .b import c", a__b__dunder="", a__b__c="from .. import d\nfrom . import e")
    tree(tmp_path, a__d="from ... import far", a__b__e="from ..f.g import h", a__f__dunder="", a__f__g="", far="")

    names = ["a/__init__.py", "a/b/__init__.py", "a/b/c.py", "a/b/e.py", "a/d.py", "a/f/__init__.py", "a/f/g.py"]
    assert found(tmp_path, "import a") == names


def test_namespace_packages_are_joined(tmp_path: Path) -> None:
    """A package without `__init__` may lie in two folders of the search path."""
    tree(tmp_path, one__space__a="", two__space__b__c="")
    search = (str(tmp_path / "one"), str(tmp_path / "two"))

    assert found(tmp_path, "import space.a\nfrom space.b import c", search=search) == [
        "one/space/a.py",
        "two/space/b/c.py",
    ]


def test_a_star_takes_the_whole_package(tmp_path: Path) -> None:
    """`__all__` may name any module of the package."""
    tree(tmp_path, a__dunder="__all__ = ['b']", a__b="", a__c="")

    assert found(tmp_path, "from a import *") == ["a/__init__.py", "a/b.py", "a/c.py"]


def test_added_folders_are_searched(tmp_path: Path) -> None:
    """Folders that a cell adds are searched for imports of any cell, and those that a module adds for all."""
    tree(tmp_path, lib__tool="import sys; sys.path.append('more')", notebooks__more__extra="")

    sources = ("import extra", "import tool", "import sys\nsys.path.insert(0, '../lib')")

    assert found(tmp_path, *sources, cwd="notebooks") == ["lib/tool.py", "notebooks/more/extra.py"]


def test_the_search_path_is_kept_in_order(tmp_path: Path) -> None:
    """The working folder comes first, and the first folder that has the name wins."""
    tree(tmp_path, here__x="", one__x="", two__x="", two__y="")
    search = (str(tmp_path / "one"), str(tmp_path / "two"))

    assert found(tmp_path, "import x, y", cwd="here", search=search) == ["here/x.py", "two/y.py"]


def test_a_module_that_hides_the_standard_library_counts(tmp_path: Path) -> None:
    """A local `random.py` is what `import random` finds."""
    tree(tmp_path, random="")

    assert found(tmp_path, "import random, json, sys", search=tuple(sys.path)) == ["random.py"]


def test_installed_packages_are_not_local(tmp_path: Path) -> None:
    """What lies in site-packages counts as environment, even within the project."""
    folder = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    tree(folder, installed="import helper")
    tree(tmp_path, helper="")

    assert found(tmp_path, "import installed, pytest, json", search=(str(folder), *sys.path)) == []


def test_nothing_is_imported(tmp_path: Path) -> None:
    """Looking a module up runs none of it, nor of its packages."""
    mark = tmp_path / "ran"
    tree(tmp_path, nbproof_probe__dunder=f"open({str(mark)!r}, 'w')", nbproof_probe__sub="")

    assert len(found(tmp_path, "import nbproof_probe.sub")) == 2
    assert not mark.exists()
    assert "nbproof_probe" not in sys.modules


def test_comments_do_not_count_and_code_does(tmp_path: Path) -> None:
    """A module counts by its syntax tree."""
    tree(tmp_path, helper="x = 1")
    before = local_sources(["import helper"], cwd=tmp_path, search=(), project=tmp_path)
    tree(tmp_path, helper="# a remark\n\nx = 1  # another\n")
    remarked = local_sources(["import helper"], cwd=tmp_path, search=(), project=tmp_path)
    tree(tmp_path, helper="x = 2")
    changed = local_sources(["import helper"], cwd=tmp_path, search=(), project=tmp_path)

    assert before == remarked
    assert before != changed


def test_an_edit_is_seen_whatever_the_clock_says(tmp_path: Path) -> None:
    """Two versions of one size and one time of change are told apart."""
    hashes = []
    for text in ("x = 1", "x = 2"):
        tree(tmp_path, helper=text)
        os.utime(tmp_path / "helper.py", ns=(10**18, 10**18))
        hashes.append(local_sources(["import helper"], cwd=tmp_path, search=(), project=tmp_path)["helper.py"])

    assert hashes[0] != hashes[1]


def test_a_module_that_appears_is_seen_at_once(tmp_path: Path) -> None:
    """A name found nowhere is looked up afresh every time."""
    assert found(tmp_path, "import helper") == []

    tree(tmp_path, helper="")

    assert found(tmp_path, "import helper") == ["helper.py"]


def test_dynamic_imports_of_a_package_take_that_package(tmp_path: Path) -> None:
    """A package that loads its plug-ins by name counts as a whole, and no more."""
    tree(tmp_path, a__dunder="import importlib\nimportlib.import_module(name)", a__plug__one="import b", b="", c="")

    assert found(tmp_path, "import a") == ["a/__init__.py", "a/plug/one.py", "b.py"]


def test_dynamic_imports_of_a_notebook_take_the_project(tmp_path: Path) -> None:
    """Every Python file of the project counts, less environments, builds and caches."""
    tree(tmp_path, a__b="", c="", build__d="", dev__lib__e="", node_modules__f="")
    (tmp_path / "dev" / "pyvenv.cfg").write_text("")

    assert found(tmp_path, "importlib.import_module(name)") == ["a/b.py", "c.py"]


def test_scripts_and_notebooks_that_are_run_count(tmp_path: Path) -> None:
    """A script is followed with its own folder, a notebook through its code cells."""
    tree(tmp_path, scripts__prepare="import near", scripts__near="", helper="")
    cell = {"cell_type": "code", "metadata": {}, "source": "import helper", "outputs": [], "execution_count": None}
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}
    (tmp_path / "other.ipynb").write_text(json.dumps(notebook))

    assert found(tmp_path, "!python scripts/prepare.py") == ["scripts/near.py", "scripts/prepare.py"]
    assert found(tmp_path, "%run other.ipynb") == ["helper.py", "other.ipynb"]


def test_compiled_modules_count_by_their_bytes(tmp_path: Path) -> None:
    """A C extension has no syntax tree."""
    suffix = EXTENSION_SUFFIXES[0]
    (tmp_path / f"fast{suffix}").write_bytes(b"one")
    before = local_sources(["import fast"], cwd=tmp_path, search=(), project=tmp_path)
    (tmp_path / f"fast{suffix}").write_bytes(b"two")
    after = local_sources(["import fast"], cwd=tmp_path, search=(), project=tmp_path)

    assert list(before) == list(after) == [f"fast{suffix}"]
    assert before != after


def test_a_module_that_is_no_python_counts_by_its_bytes(tmp_path: Path) -> None:
    """It fails when it is imported; until then any edit counts."""
    tree(tmp_path, broken="x = = 1")
    (tmp_path / "latin.py").write_bytes(b"x = '\xff'")

    assert found(tmp_path, "import broken, latin") == ["broken.py", "latin.py"]


def test_files_outside_the_project_have_absolute_keys(tmp_path: Path) -> None:
    """An editable install elsewhere counts, under its whole path."""
    tree(tmp_path, elsewhere__tool="")
    (tmp_path / "project").mkdir()

    found_outside = local_sources(
        ["import tool"], cwd=tmp_path / "project", search=[str(tmp_path / "elsewhere")], project=tmp_path / "project"
    )

    assert list(found_outside) == [(tmp_path / "elsewhere" / "tool.py").as_posix()]


@pytest.mark.parametrize("source", ["", "import nowhere", "from . import a", "from .a import b", "import a..b"])
def test_nothing_found_is_no_error(tmp_path: Path, source: str) -> None:
    """A notebook that imports nothing local has no local modules."""
    assert found(tmp_path, source) == []


def test_many_notebooks_beside_the_same_modules_parse_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking twice at the same sources costs their reading, not their parsing."""
    parsed: list[str] = []

    def parsing(text: str) -> ast.Module:
        parsed.append(text)
        return python_tree(text)

    monkeypatch.setattr(modules, "python_tree", parsing)
    text = "import m{}\n" + "\n".join(f"def f{n}(x):\n    return [x, {n}]" for n in range(100))
    tree(tmp_path, **{f"m{n}": text.format(n + 1) for n in range(30)})

    for _ in range(11):
        assert len(found(tmp_path, "import m0, json, pandas", search=tuple(sys.path))) == 30

    assert len(parsed) == 30
