"""The table of magics: what each of them is in plain Python, and which of them has no place in a package."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..notebook.syntax import cell_tree, is_silenced

# What `%load` finds as a file, and not among earlier cells.
LOADED = re.compile(r"[\w./-]*[A-Za-z_][\w./-]*\.py")
_NO_VALUE = "a package has no shell that could answer"


@dataclass(frozen=True, slots=True)
class Left:
    """It only shows or measures something: nothing of it remains but the notes."""

    notes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """It is `code`, which needs `modules`; `is_value` where the code is an expression with the magic's own value."""

    code: str
    modules: frozenset[str] = frozenset()
    is_value: bool = False
    notes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    hint: str = "say it in Python"


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """It runs its body, below the line `opening` if there is one. `is_below`: the body begins on the next line."""

    body: str
    opening: str = ""
    is_below: bool = False
    modules: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot be told what it does to the values that follow."""

    reason: str
    hint: str


Meaning = Left | Said | Unwrapped | Refused

# They show something, or change how the shell shows or reads, and no value.
_SHOWING = {
    "alias_magic", "autoawait", "autocall", "autoindent", "automagic", "autoreload", "autosave", "cat", "clear",
    "colors", "config", "connect_info", "dirs", "doctest_mode", "gui", "hist", "history", "less", "ll", "ls",
    "lsmagic", "magic", "man", "matplotlib", "more", "notebook", "page", "pdef", "pdoc", "pfile", "pinfo", "pinfo2",
    "pprint", "precision", "psearch", "psource", "pycat", "qtconsole", "quickref", "tb", "tensorboard",
    "version_information", "watermark", "who", "whos", "xmode",
}  # fmt: skip
_HARMLESS_EXTENSIONS = {"autoreload", "tensorboard", "memory_profiler", "line_profiler", "nb_black", "lab_black",
                        "watermark", "jupyter_black", "version_information"}  # fmt: skip
_INSTALLERS = re.compile(
    r"(?:\{sys\.executable\}|\$sys\.executable|python[\d.]*|py)\s+-m\s+pip[\d.]*\s+install\s+(?P<module>.*)"
    r"|(?:pip[\d.]*|uv\s+pip)\s+install\s+(?P<pip>.*)|(?:conda|mamba|micromamba)\s+install\s+(?P<conda>.*)",
    re.DOTALL,
)
# Programs that only show; with a redirection or another program behind them they are not judged.
_SHOWING_PROGRAMS = {
    "cat", "cd", "date", "df", "du", "echo", "env", "file", "free", "grep", "head", "hostname", "jupyter", "ls",
    "lscpu", "nproc", "nvcc", "nvidia-smi", "printenv", "ps", "pwd", "sort", "tail", "tree", "uname", "wc", "which",
    "whoami",
}  # fmt: skip
_SHOWING_GIT = (["diff"], ["log"], ["show"], ["status"])
_JOINED = re.compile(r"[><|;&`]|\$\(")
_DOLLAR = re.compile(r"(?<![\\$])\$([A-Za-z_]\w*)")
_OPTIONS_WITH_VALUE = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target", "-c", "-r",
                       "--channel", "-n", "--name", "--requirement", "--constraint"}  # fmt: skip


def of_line_magic(name: str, line: str, *, is_bound: bool) -> Meaning:
    """What `%name line` is; with `is_bound` a name is given to its result."""
    if name in _SHOWING:
        return Refused(f"`%{name}` gives a value of the shell: {_NO_VALUE}", "leave it out") if is_bound else Left()
    if name == "timeit":
        # It binds nothing: what it times runs in a function of its own.
        if is_bound:
            return Refused("`%timeit` gives a measurement, which is another one each time", "leave it out")
        return Left((f"`%timeit {line}` only measures and was left out",))
    told = _LINE.get(name)
    if name in ("sx", "system"):
        return of_command(line, is_captured=is_bound, is_bound=is_bound)
    if told is None:
        return Refused(f"`%{name}` is not known: it cannot be told what it does", "say it in Python")
    return told(line)


def of_cell_magic(name: str, line: str, body: str) -> Meaning:
    """What `%%name line` above `body` is."""
    told = _CELL.get(name)
    if told is None:
        return Refused(f"`%%{name}` is not known: it cannot be told what it does", "say it in Python")
    return told(line.strip(), body)


def of_command(command: str, *, is_captured: bool, is_bound: bool) -> Meaning:
    """What `!command` is, or with `is_captured` `name = !command`."""
    command = command.strip()
    installer = _INSTALLERS.fullmatch(command)
    if installer is not None and not is_bound:
        return _installed(next(group for group in installer.groups() if group is not None))
    if is_captured:
        text = interpolated(command)
        if text is None:
            return Refused("a command is put together in a way that is not known here", "use `subprocess.run`")
        code = (
            f"subprocess.run({text}, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, "
            "check=False).stdout.splitlines()"
        )
        return Said(code, frozenset({"subprocess"}), is_value=True)
    words = _words(command)
    if words and _only_shows(words) and not _JOINED.search(command):
        return Left((f"`!{command}` only shows something and was left out",))
    return Refused(
        f"`!{command[:80]}` runs a program of this machine, and what it changes cannot be seen",
        "use `subprocess.run([...], check=True)`, or do it in Python",
    )


def _only_shows(words: Sequence[str]) -> bool:
    """Whether a program only says something: what it is for, or how things stand."""
    is_asked_who_it_is = len(words) == 2 and words[1] in ("--version", "--help")
    return words[0] in _SHOWING_PROGRAMS or is_asked_who_it_is or (words[0] == "git" and words[1:2] in _SHOWING_GIT)


def interpolated(text: str) -> str | None:
    """The text as a Python expression, `{name}` and `$name` put in as IPython would; None where that is unclear."""
    if "{" not in text and "}" not in text and not _DOLLAR.search(text):
        return repr(text)
    if "\\" in text or "$$" in text or "{{" in text or "}}" in text:
        return None
    if _DOLLAR.search(text) and re.search(r"\$\{|\$\(", text):
        return None
    # A `$NAME` in capitals is as likely a variable of the shell, which IPython looks for second.
    if any(name.isupper() for name in _DOLLAR.findall(text)):
        return None
    filled = _DOLLAR.sub(r"{\1}", text)
    quote = '"' if '"' not in filled else "'"
    expression = f"f{quote}{filled}{quote}"
    try:
        compile(expression, "<text>", "eval")
    except SyntaxError:
        return None
    return expression


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _installed(arguments: str) -> Meaning:
    needs: list[str] = []
    words = iter(_words(arguments))
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            value = next(words, "")
            if word in ("-r", "--requirement"):
                return Refused(f"it installs what `{value}` lists", "install it before, and leave the line out")
        elif not word.startswith("-"):
            if any(sign in word for sign in "{}$/") or word.startswith("."):
                return Refused(f"it installs `{word}`, which is no name", "install it before, and leave the line out")
            needs.append(word)
    return Left(tuple(f"`{name}` is a requirement of the package instead" for name in needs), tuple(needs))


def _cd(line: str) -> Meaning:
    words = [word for word in _words(line) if word != "-q"]
    if len(words) != 1 or words[0].startswith("-"):
        return Refused("it changes to a folder that only the shell knows", "use `os.chdir` with a path")
    path = interpolated(words[0])
    if path is None:
        return Refused("it changes to a folder whose name is put together", "use `os.chdir` with a path")
    if words[0].startswith("~"):
        path = f"os.path.expanduser({path})"
    return Said(f"os.chdir({path})", frozenset({"os"}))


def _env(line: str) -> Meaning:
    line = line.strip()
    if not line:
        return Left(("`%env` only shows the environment and was left out",))
    name, sign, value = line.partition("=") if "=" in line else line.partition(" ")
    name, value = name.strip(), value.strip()
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        return Refused(f"`{name[:40]}` is no name of a variable", "use `os.environ`")
    if not sign:
        return Said(f"os.environ[{name!r}]", frozenset({"os"}), is_value=True)
    text = interpolated(value)
    if text is None:
        return Refused("the value of a variable is put together", "use `os.environ`")
    return Said(f"os.environ[{name!r}] = {text}", frozenset({"os"}))


def _load_ext(line: str) -> Meaning:
    if line.strip() in _HARMLESS_EXTENSIONS:
        return Left()
    return Refused(f"the extension `{line.strip()}` may change what every cell does", "import what it offers instead")


def _load(line: str) -> Meaning:
    if not LOADED.fullmatch(line.strip()):
        return Refused("`%load` of what is no file beside the notebook", "leave it out")
    return Left((f"`%load {line.strip()}` only shows a file to whoever edits, and was left out",))


def _time(line: str) -> Meaning:
    return Unwrapped(line) if line.strip() else Refused("`%time` without anything to time", "leave it out")


def _prun(line: str) -> Meaning:
    if not line.strip() or line.lstrip().startswith("-"):
        return Refused("the options of `%prun` are not known", "leave them out")
    # It shows a table and no value; a `;` silences the value that the statement itself would show.
    return Unwrapped(f"{line.rstrip().rstrip(';')};", notes=("`%prun` only measures: what it runs remained",))


def _pylab(line: str) -> Meaning:
    if "--no-import-all" in line:
        return Refused("`%pylab` binds names that only it knows", "import numpy and matplotlib by name")
    code = (
        "import numpy\nimport matplotlib\nfrom matplotlib import pylab, mlab, pyplot\nnp = numpy\nplt = pyplot\n"
        "from pylab import *\nfrom numpy import *"
    )
    return Said(code, notes=("`%pylab` became the imports that it makes",))


def _run(line: str) -> Meaning:
    return Refused(
        f"`%run {line.strip()[:60]}` brings names that nobody can see here", "import them from a module beside it"
    )


def _pip(line: str) -> Meaning:
    verb, _, rest = line.strip().partition(" ")
    if verb == "install":
        return _installed(rest)
    if verb in ("list", "show", "freeze", "check"):
        return Left((f"`%pip {verb}` only shows something and was left out",))
    return Refused(f"`%pip {verb}` changes the environment", "do it before, and leave the line out")


def _shell_only(name: str) -> Callable[[str], Meaning]:
    return lambda line: Refused(f"`%{name}` works on the shell's own memory: {_NO_VALUE}", "leave it out")


_LINE: dict[str, Callable[[str], Meaning]] = {
    "cd": _cd,
    "conda": _pip,
    "env": _env,
    "load": _load,
    "load_ext": _load_ext,
    "loadpy": _load,
    "mamba": _pip,
    "pip": _pip,
    "prun": _prun,
    "pwd": lambda line: Said("os.getcwd()", frozenset({"os"}), is_value=True),
    "pylab": _pylab,
    "reload_ext": _load_ext,
    "run": _run,
    "set_env": _env,
    "time": _time,
    **{
        name: _shell_only(name)
        for name in ("debug", "edit", "macro", "pdb", "popd", "pushd", "recall", "rerun", "reset",
                     "reset_selective", "save", "store", "unload_ext", "who_ls", "xdel")
    },
}  # fmt: skip


def _timed_cell(line: str, body: str) -> Meaning:
    if line:
        return Refused("code stands behind `%%time`", "move it to the next line")
    return Unwrapped(body, is_below=True)


def _capture(line: str, body: str) -> Meaning:
    words = _words(line)
    names = [word for word in words if not word.startswith("-")]
    options = {word.replace("_", "-") for word in words if word.startswith("-")}
    if len(names) > 1 or options - {"--no-stderr", "--no-stdout", "--no-display"}:
        return Refused("the options of `%%capture` are not known", "use `IPython.utils.capture.capture_output`")
    if _shows(body, is_named=bool(names)):
        return Refused("what is displayed below `%%capture` only the shell could catch", "leave `%%capture` out")
    arguments = ", ".join(f"{option.removeprefix('--no-')}=False" for option in sorted(options))
    bound = f" as {names[0]}" if names else ""
    module = "IPython.utils.capture"
    return Unwrapped(body, f"with {module}.capture_output({arguments}){bound}:", is_below=True,
                     modules=frozenset({module}))  # fmt: skip


def _shows(body: str, *, is_named: bool) -> bool:
    """Whether a cell displays something; its last value counts where somebody could ask for it."""
    try:
        tree = cell_tree(body)
    except SyntaxError:
        return True
    last = tree.body[-1] if tree.body else None
    is_print = isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and (
        ast.unparse(last.value.func).startswith(("print", "get_ipython"))
    )  # fmt: skip
    is_shown = isinstance(last, ast.Expr) and not is_print and not is_silenced(body)
    return (is_named and is_shown) or any(
        isinstance(node, ast.Name) and node.id == "display" for node in ast.walk(tree)
    )


def _timeit_cell(line: str, body: str) -> Meaning:
    return Left(("`%%timeit` only measures; it and the code below it were left out",))


def _written(line: str, body: str) -> Meaning:
    words = _words(line)
    names = [word for word in words if not word.startswith("-")]
    if len(names) != 1 or not body.strip():
        return Refused("`%%writefile` without the name of one file, or without content", "leave it out")
    path = interpolated(names[0])
    if path is None:
        return Refused("the name of the file is put together", "use `pathlib.Path.write_text`")
    if names[0].startswith("~"):
        path = f"os.path.expanduser({path})"
    text = "\n".join(repr(line) for line in body.splitlines(keepends=True))
    modules = frozenset({"os"}) if names[0].startswith("~") else frozenset[str]()
    if {"-a", "--append"} & set(words):
        inside = text.replace("\n", "\n        ")
        return Said(
            f"with open({path}, 'a', encoding='utf-8') as _file:\n    _file.write(\n        {inside}\n    )", modules
        )
    inside = text.replace("\n", "\n    ")
    return Said(f"pathlib.Path({path}).write_text(\n    {inside},\n    encoding='utf-8',\n)", modules | {"pathlib"})


def _shown(kind: str) -> Callable[[str, str], Meaning]:
    def told(line: str, body: str) -> Meaning:
        return Said(f"IPython.display.display(IPython.display.{kind}({body!r}))", frozenset({"IPython.display"}))

    return told


def _program(name: str) -> Callable[[str, str], Meaning]:
    return lambda line, body: Refused(
        f"`%%{name}` runs a program of this machine, and what it changes cannot be seen", "use `subprocess.run`"
    )


_CELL: dict[str, Callable[[str, str], Meaning]] = {
    "HTML": _shown("HTML"),
    "capture": _capture,
    "file": _written,
    "html": _shown("HTML"),
    "javascript": _shown("Javascript"),
    "js": _shown("Javascript"),
    "latex": _shown("Latex"),
    "markdown": _shown("Markdown"),
    "svg": _shown("SVG"),
    "time": _timed_cell,
    "timeit": _timeit_cell,
    "writefile": _written,
    **{name: _program(name) for name in ("!", "bash", "cmd", "perl", "ruby", "script", "sh", "sx", "system")},
}
