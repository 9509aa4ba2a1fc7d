"""Stores and restores the state of a kernel, from inside it; sent as text together with the modules it imports.

It leaves no name in the notebook.
"""

from __future__ import annotations

import ast
import builtins
import collections
import decimal
import gc
import hashlib
import importlib
import json
import locale
import logging
import os
import pathlib
import random
import re
import signal
import sys
import tempfile
import types
import warnings
from typing import Any

from .comparing import MOST_OBJECTS, Digest, check_files, check_sharing, is_mutable, open_files
from .values import Reader, Unstorable, Writer, is_estimator, is_plain, library, named, spelled

BASELINE = "_nbproof_baseline"
VOLATILE = ("NBPROOF_", "JPY_", "JUPYTER_", "LC_", "COLUMNS", "LINES")


def answer_to(request: dict[str, Any], shell: Any) -> None:
    """Carry out one request and leave the answer as a file; whatever goes wrong is part of the answer."""
    try:
        answer = {"store": store, "restore": restore, "begin": begin}[request["do"]](request, shell)
    except Unstorable as error:
        answer = {"error": str(error)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    pathlib.Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def begin(request: dict[str, Any], shell: Any) -> dict[str, Any]:
    """Note what the kernel began with, to know later what the notebook changed."""
    baseline: Any = types.ModuleType(BASELINE)
    baseline.environ = dict(os.environ)
    baseline.written = {}
    baseline.files = open_files()
    sys.modules[BASELINE] = baseline
    own = [*request["own"], f"{request['project']}/.nbproof", "/dev", "/proc", "/sys"]
    elsewhere = [
        tempfile.gettempdir(),
        sys.prefix,
        *(str(pathlib.Path.home() / name) for name in (".cache", ".config", ".ipython")),
    ]
    writing = os.O_WRONLY | os.O_RDWR

    def is_below(path: str, folders: list[str]) -> bool:
        return any(path == folder or path.startswith(folder + os.sep) for folder in folders)

    def note(event: str, arguments: Any, note_in: dict[str, None] = baseline.written) -> None:
        if event == "open":
            paths = arguments[:1] if arguments[2] & writing else ()
        elif event in {"os.remove", "os.rename", "os.truncate"}:
            paths = arguments[:2]
        else:
            return
        for path in paths:
            if isinstance(path, str | bytes):
                name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (links stay links)
                is_inside = is_below(name, [request["project"]])
                if (
                    "__pycache__" not in name
                    and not is_below(name, own)
                    and (is_inside or not is_below(name, elsewhere))
                ):
                    note_in[name] = None

    sys.addaudithook(note)
    return {}


def store(request: dict[str, Any], shell: Any) -> dict[str, Any]:
    """Write the named values below `folder`, each read back and compared; return what belongs in the manifest."""
    states, filters = random_states(), list(warnings.filters)
    with warnings.catch_warnings():
        # What libraries say while they write is no output of the notebook.
        warnings.simplefilter("ignore")
        answer = written(request, shell, filters)
        folder = pathlib.Path(request["folder"])
        (folder / "random.json").write_text(json.dumps(encode_states(states)), encoding="ascii")
    set_random_states(states)
    return answer


def written(request: dict[str, Any], shell: Any, filters: list[Any]) -> dict[str, Any]:
    loaded = [name for name, module in sys.modules.items() if getattr(module, "__spec__", None) is not None]
    hidden = probes(request, filters)
    folder, kinds = pathlib.Path(request["folder"]), request["kinds"]
    namespace = shell.user_ns
    present = {name: namespace[name] for name in kinds if name in namespace}
    for name, value in present.items():
        check_kind(name, value, kinds[name])
    check_files(sys.modules[BASELINE].files)
    writer = Writer(folder)
    values = {}
    for name, value in present.items():
        with named(name):
            values[name] = writer.encode(value)
    check_sharing(writer)
    check_holders(writer, request)
    content = {"values": values, "absent": sorted(set(kinds) - set(present))}
    (folder / "values.json").write_text(json.dumps(content, ensure_ascii=True), encoding="ascii")
    restored = Reader(folder).read()
    compare(present, restored)
    return {"modules": loaded, "hidden": hidden, "execution_count": shell.execution_count,
            "written": sorted(sys.modules[BASELINE].written), "types": {
        name: spelled(type(value)) for name, value in present.items()}}  # fmt: skip


def compare(values: dict[str, Any], restored: dict[str, Any]) -> None:
    """Refuse values that are not, to the last bit and all together, what was read back."""
    if Digest().of(list(values.values())) == Digest().of([restored[name] for name in values]):
        return
    for name, value in values.items():
        with named(name):
            if Digest().of(value) != Digest().of(restored[name]):
                raise Unstorable("it is not the same when it is read back; expected what its file can hold exactly")
    raise Unstorable("values that share objects do not share them when they are read back")


def restore(request: dict[str, Any], shell: Any) -> dict[str, Any]:
    """Make the kernel what it was: run imports, settings and definitions, read values, set states, compare."""
    for cell in request["replay"]:
        replay(cell, shell)
    filters = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = read_back(request, shell, filters)
    return {"error": problem} if problem else {}


def read_back(request: dict[str, Any], shell: Any, filters: list[Any]) -> str:
    folder = pathlib.Path(request["folder"])
    for name in request["modules"]:
        if name not in sys.modules:
            try:
                importlib.import_module(name)
            except BaseException:  # noqa: S112 (some modules exist only while others are imported)
                continue
    for name, value in Reader(folder).read().items():
        shell.user_ns[name] = value
    states = decode_states(json.loads((folder / "random.json").read_text(encoding="ascii")))
    set_random_states(states)
    found = json.loads(json.dumps(probes(request, filters)))
    for name in sorted({*found, *request["hidden"]}):
        if found.get(name) != request["hidden"].get(name):
            return f"{name} would not be what it was"
    set_random_states(states)
    shell.execution_count = request["execution_count"]
    return ""


def replay(cell: dict[str, Any], shell: Any) -> None:
    """Run some of the statements of one cell, so that tracebacks and `inspect` find their source."""
    source = cell["source"]
    try:
        filename = shell.compile.cache(source, cell["number"], raw_code=cell["raw"])
    except TypeError:
        filename = shell.compile.cache(source, cell["number"])
    body = ast.parse(source).body
    for index in cell["statements"]:
        code = shell.compile(ast.Module([body[index]], []), filename, "exec")
        exec(code, shell.user_global_ns, shell.user_ns)  # noqa: S102


def check_kind(name: str, value: Any, kind: str) -> None:
    numpy, pandas, torch = library("numpy"), library("pandas"), library("torch")
    fits = {
        "plain": is_plain,
        "numpy.ndarray": lambda value: numpy is not None and isinstance(value, numpy.ndarray | numpy.generic),
        "pandas.DataFrame": lambda value: pandas is not None and type(value) is pandas.DataFrame,
        "pandas.Series": lambda value: pandas is not None and type(value) is pandas.Series,
        "torch.Tensor": lambda value: torch is not None and isinstance(value, torch.Tensor),
        "numpy.random.Generator": lambda value: (
            type(value) is random.Random or (numpy is not None and type(value) is numpy.random.Generator)
        ),
        "a scikit-learn estimator": is_estimator,
    }
    if not fits[kind](value):
        raise Unstorable(
            f"`{name}` is a {spelled(type(value))}, expected {'a plain value' if kind == 'plain' else kind}"
        )


def check_holders(writer: Writer, request: dict[str, Any]) -> None:
    """A value that a module holds as well would come apart from it."""
    wanted = {id(value) for value in writer.held if is_mutable(value)}
    for name, module in list(sys.modules.items()):
        # Under another name (`__mp_main__`) it is still the notebook itself.
        if module is sys.modules["__main__"] or not isinstance(module, types.ModuleType):
            continue
        for attribute, held in list(vars(module).items()):
            if id(held) in wanted and attribute != "__dict__":
                raise Unstorable(f"a value is the very object that `{name}.{attribute}` is; expected a copy of its own")
    for name, module in local_modules(request):
        if wanted & {id(one) for one in reachable(module, request)}:
            raise Unstorable(f"a value is an object that the module `{name}` holds as well; expected a copy of its own")


def local_modules(request: dict[str, Any]) -> list[tuple[str, Any]]:
    """The modules that lie in the project, and so may be told to remember something."""
    found = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(module, types.ModuleType) and isinstance(file, str) and module is not sys.modules["__main__"]:
            path = os.path.realpath(file)
            if not (os.path.isabs(file) and os.path.isfile(path)):  # noqa: PTH113, PTH117
                continue
            is_installed = (
                "site-packages" in path
                or "dist-packages" in path
                or path.startswith(os.path.realpath(sys.base_prefix) + os.sep + "lib")
            )
            if not is_installed and not name.startswith("nbproof"):
                found.append((name, module))
    return found


def reachable(module: Any, request: dict[str, Any]) -> list[Any]:
    """The objects behind a module's names: into containers and local code, and one step into what others made.

    Further, a logger or a stream would lead to the shell, and so to everything.
    """
    local = {name for name, _ in local_modules(request)}
    containers = (list, tuple, dict, set, frozenset, collections.deque, types.CellType, types.MethodType)
    pending, seen, found = [(one, 0) for one in vars(module).values()], set(), []  # type: ignore[var-annotated]
    while pending and len(found) < MOST_OBJECTS:
        one, steps = pending.pop()
        if id(one) in seen or isinstance(one, types.ModuleType | types.FrameType | types.CodeType):
            continue
        if one is vars(module) or one is vars(builtins) or one is vars(sys.modules["__main__"]):
            continue
        seen.add(id(one))
        found.append(one)
        kind = one if isinstance(one, type) else type(one)
        of_code = isinstance(one, types.FunctionType) and one.__module__ in local
        if isinstance(one, containers) or of_code or kind.__module__ in local:
            pending += [(inner, steps) for inner in gc.get_referents(one)]
        elif not isinstance(one, type | types.FunctionType) and steps == 0:
            held = getattr(one, "__dict__", {})
            pending += [(inner, 1) for inner in held.values()] if isinstance(held, dict) else []
    return found


def module_state(module: Any) -> str:
    digest = Digest(is_lenient=True)
    for name, held in sorted(vars(module).items()):
        if name.startswith("__") and name.endswith("__"):
            continue
        digest.put(name)
        if isinstance(held, type) and held.__module__ == module.__name__:
            for attribute, inner in sorted(vars(held).items()):
                if (
                    not callable(inner)
                    and not attribute.startswith("__")
                    and not isinstance(inner, types.MemberDescriptorType)
                ):
                    digest.put(attribute)
                    digest.walk(inner)
        elif isinstance(held, types.FunctionType):
            digest.walk(held)
            digest.walk(list(held.__defaults__ or ()))
            digest.walk(dict(held.__kwdefaults__ or {}))
            digest.walk({k: v for k, v in vars(held).items() if not callable(v)})
            for cell in held.__closure__ or ():
                digest.walk(cell.cell_contents)
        elif hasattr(held, "cache_info"):
            digest.put("cache", repr(held.cache_info()))
        else:
            digest.walk(held)
    return digest.hash.hexdigest()


def probes(request: dict[str, Any], filters: list[Any]) -> dict[str, Any]:
    """The state of the process that no name of the notebook holds, as far as it is known where to look."""
    baseline = sys.modules[BASELINE].environ
    changed = {
        name: os.environ.get(name)
        for name in sorted({*baseline, *os.environ})
        if baseline.get(name) != os.environ.get(name) and not name.startswith(VOLATILE)
    }
    loggers = logging.Logger.manager.loggerDict
    found: dict[str, Any] = {
        "the seed of hashes": hash("nbproof"),
        "the working directory": os.getcwd(),  # noqa: PTH109
        "the environment": {
            name: changed[name] and hashlib.sha256(str(changed[name]).encode()).hexdigest() for name in changed
        },
        "the search path of modules": list(sys.path),
        "the filters of warnings": [plainly(entry) for entry in filters],
        "the locale": locale.setlocale(locale.LC_ALL),
        "the decimal context": repr(decimal.getcontext()),
        "logging": [
            logging.root.level,
            [spelled(type(one)) for one in logging.root.handlers],
            logging.root.manager.disable,
        ],
        "the loggers": {
            name: [one.level, one.disabled, len(one.handlers)]
            for name, one in sorted(loggers.items())
            if isinstance(one, logging.Logger) and (one.level or one.disabled)
        },
        "the signal handlers": [
            repr(signal.getsignal(number)).split(" at ")[0] for number in (signal.SIGALRM, signal.SIGTERM)
        ],
        "the built-in names": sorted(vars(builtins)),
        "the recursion limit": sys.getrecursionlimit(),
        "the hooks": [spelled(type(sys.displayhook)), getattr(sys.excepthook, "__qualname__", "")],
    }
    numpy, torch = library("numpy"), library("torch")
    if numpy is not None and hasattr(numpy, "get_printoptions"):
        found["the options of numpy"] = plainly([numpy.get_printoptions(), numpy.geterr()])
    if library("pandas._config.config") is not None:
        found["the options of pandas"] = plainly(library("pandas._config.config")._global_config)
    if library("matplotlib") is not None and hasattr(library("matplotlib"), "rcParams"):
        found["the settings of matplotlib"] = plainly(sorted(dict.items(library("matplotlib").rcParams)))
        plt = library("matplotlib.pyplot")
        found["the open figures"] = list(plt.get_fignums()) if plt is not None else []
    if library("sklearn._config") is not None:
        found["the settings of scikit-learn"] = plainly(library("sklearn._config").get_config())
    if torch is not None and hasattr(torch, "get_num_threads"):
        found["the settings of torch"] = repr([
            torch.get_default_dtype(), torch.get_num_threads(), torch.get_num_interop_threads(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark,
        ])  # fmt: skip
    for name, module in local_modules(request):
        found[f"the module `{name}`"] = module_state(module)
    return found


def plainly(value: Any) -> str:
    """What `repr` says, less the places in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def random_states() -> dict[str, Any]:
    numpy, torch = library("numpy.random"), library("torch")
    states: dict[str, Any] = {"random": random.getstate()}
    if numpy is not None:
        states["numpy"] = numpy.get_state(legacy=False)
    if torch is not None and hasattr(torch, "get_rng_state"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
        if torch.cuda.is_initialized():
            states["cuda"] = [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return states


def set_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["random"])
    if "numpy" in states:
        importlib.import_module("numpy.random").set_state(states["numpy"])
    if "torch" in states:
        torch = importlib.import_module("torch")
        torch.set_rng_state(torch.frombuffer(bytearray(states["torch"]), dtype=torch.uint8))
        if "cuda" in states:
            torch.cuda.set_rng_state_all(
                [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in states["cuda"]]
            )


def encode_states(states: dict[str, Any]) -> dict[str, Any]:
    found = dict(states)
    if "numpy" in found:
        inner = found["numpy"]["state"]
        found["numpy"] = {**found["numpy"], "state": {**inner, "key": [int(word) for word in inner["key"]]}}
    if "torch" in found:
        found["torch"] = found["torch"].hex()
    if "cuda" in found:
        found["cuda"] = [one.hex() for one in found["cuda"]]
    return found


def decode_states(found: dict[str, Any]) -> dict[str, Any]:
    version, words, gauss = found["random"]
    states = {**found, "random": (version, tuple(words), gauss)}
    if "numpy" in found:
        numpy = importlib.import_module("numpy")
        inner = found["numpy"]["state"]
        states["numpy"] = {**found["numpy"], "state": {**inner, "key": numpy.array(inner["key"], dtype=numpy.uint32)}}
    if "torch" in found:
        states["torch"] = bytes.fromhex(found["torch"])
    if "cuda" in found:
        states["cuda"] = [bytes.fromhex(one) for one in found["cuda"]]
    return states
