"""What code brings in, found without running it."""

from __future__ import annotations

import pytest

from nbproof.notebook.imports import ImportedName, Imports, imports


def modules(*sources: str) -> set[str]:
    return {f"{'.' * name.level}{name.module}" for name in imports(sources).modules}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a, b.c as d", {ImportedName("a"), ImportedName("b.c")}),
        ("from a import b, c", {ImportedName("a", 0, ("b", "c"))}),
        ("from a import *", {ImportedName("a", 0, ("*",))}),
        ("from . import b", {ImportedName("", 1, ("b",))}),
        ("from ..a import b as c", {ImportedName("a", 2, ("b",))}),
        ("def f():\n    import a", {ImportedName("a")}),
        ("try:\n    import a\nexcept ImportError:\n    import b", {ImportedName("a"), ImportedName("b")}),
        ("import importlib\nimportlib.import_module('a.b')", {ImportedName("importlib"), ImportedName("a.b")}),
        ("__import__('a')", {ImportedName("a")}),
        ("%load_ext a", {ImportedName("a")}),
        ("%%time\nimport a", {ImportedName("a")}),
        ("%%capture out\n%load_ext a", {ImportedName("a")}),
        ("%time import a", {ImportedName("a")}),
        ("%run -m a.b", {ImportedName("a.b"), ImportedName("a.b.__main__")}),
        ("!python -m a --x", {ImportedName("a"), ImportedName("a.__main__")}),
        ("run(['python', '-m', 'a'])", {ImportedName("a"), ImportedName("a.__main__")}),
        ("exec('import a')", {ImportedName("a")}),
        ("x = 1  # import a", set()),
        ("'import a'", set()),
    ],
)
def test_every_way_to_import_is_found(source: str, expected: set[ImportedName]) -> None:
    """Imports anywhere, literal calls, magics and commands; never a remark."""
    assert imports([source]) == Imports(modules=frozenset(expected))


@pytest.mark.parametrize(
    "addition",
    [
        "sys.path.append('../lib')",
        "sys.path.insert(0, '../lib')",
        "sys.path.extend(['../lib'])",
        "sys.path += ['../lib']",
        "sys.path = ['../lib', *sys.path]",
        "sys.path[:0] = ['../lib']",
        "site.addsitedir('../lib')",
        "os.chdir('../lib')",
        "sys.path.append(str(Path('../lib').resolve()))",
        "sys.path.append(os.path.abspath(os.path.join('..', 'lib')))",
        "sys.path.append(str(Path('..') / 'lib'))",
        "sys.path.append(Path('..', 'lib').as_posix())",
        "sys.path.append(os.path.join(os.pardir, 'lib'))",
        "%cd ../lib",
    ],
)
def test_literal_search_paths_are_found(addition: str) -> None:
    """However a folder is spelled out, it is known where names are looked up."""
    found = imports([addition])

    assert (found.paths, found.dynamic) == (frozenset({"../lib"}), False)


def test_a_parent_folder_is_followed() -> None:
    """`Path.cwd().parent` is the folder above the one the code runs in."""
    assert imports(["sys.path.append(str(Path.cwd().parent))"]).paths == {"./.."}


@pytest.mark.parametrize(
    ("source", "script"),
    [
        ("%run prepare.py", "prepare.py"),
        ("%run -i prepare", "prepare.py"),
        ("%run ./other.ipynb", "./other.ipynb"),
        ("%%bash\nsh prepare.sh", "prepare.sh"),
        ("!bash prepare.sh", "prepare.sh"),
        ("exec(open('prepare.txt').read())", "prepare.txt"),
        ("runpy.run_path('prepare.py')", "prepare.py"),
        ("!python prepare.py --fast", "prepare.py"),
        ("%%bash\ncd x\npython prepare.py", "prepare.py"),
        ("subprocess.run([sys.executable, 'prepare.py'])", "prepare.py"),
        ("os.system('python prepare.py > log')", "prepare.py"),
        ("spec_from_file_location('p', 'prepare.py')", "prepare.py"),
    ],
)
def test_scripts_that_are_run_are_found(source: str, script: str) -> None:
    """A script that is run counts like a module that is imported."""
    found = imports([source])

    assert (found.runs, found.dynamic) == (frozenset({script}), False)


@pytest.mark.parametrize(
    "source",
    [
        "importlib.import_module(name)",
        "importlib.import_module(f'plugins.{name}')",
        "import_module('.a', package)",
        "__import__(name)",
        "sys.path.append(folder)",
        "sys.path = folders",
        "sys.meta_path.append(x)\nsys.meta_path = []",
        "from sys import path",
        "import sys as system",
        "from importlib import import_module as load",
        "os.chdir(folder)",
        "exec(source)",
        "exec(open(name).read())",
        "runpy.run_path(name)",
        "runpy.run_module(name)",
        "%run {script}",
        "%cd $folder",
        "__path__ = extend_path(__path__, __name__)",
        "this is = no python",
        "load = importlib.import_module",
        "list(map(eval, texts))",
        "builtins.exec(source)",
        "__import__('a', fromlist=names)",
        "os.environ['PYTHONPATH'] = 'lib'",
        "!PYTHONPATH=lib python -m a",
        "%env PYTHONPATH=lib",
        "!python {script}",
        "run([python, f'plugins/{name}.py'])",
        "Path('plugins').glob('*.py')",
        "get_ipython().run_line_magic(name, 'a')",
    ],
)
def test_what_is_known_only_at_run_time_is_dynamic(source: str) -> None:
    """Where the code does not say what it brings in, that much is said."""
    assert imports([source]).dynamic


def test_a_script_in_a_folder_is_found() -> None:
    """A path that is put together from texts is followed."""
    found = imports(["run([python, Path('scripts') / 'one.py', os.path.join('scripts', 'two.py')])"])

    assert {"scripts/one.py", "scripts/two.py"} <= found.runs


def test_a_shell_that_changes_its_folder_is_followed() -> None:
    """`cd lib && python -m a` looks `a` up in lib."""
    found = imports(["!cd lib && python -m a"])

    assert (found.paths, found.dynamic) == (frozenset({"lib"}), False)
    assert ImportedName("a") in found.modules


@pytest.mark.parametrize(
    "source",
    [
        "f'{x}'",
        "a / b",
        "!pip list",
        "model.eval()",
        "paths.append(x)",
        "frame.path.append('x')",
        "df.eval(text)",
        "import sys\nsys.path[0]",
    ],
)
def test_ordinary_code_is_not_dynamic(source: str) -> None:
    """Names that only look alike change nothing."""
    assert not imports([source]).dynamic


def test_sources_are_taken_together() -> None:
    """What any cell brings in, the notebook brings in."""
    assert modules("import a", "!ls", "from .b import c") == {"a", ".b"}
