"""Put on `PYTHONPATH` of whatever is measured: random numbers start at one place, and nothing leaves this machine."""

import importlib.util
import os
import random
import sys
from importlib.abc import MetaPathFinder

_HERE = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"}


class _Seeding(MetaPathFinder):
    """Seeds a library right after it is loaded."""

    def __init__(self):
        self.waiting = {"numpy": lambda module: module.random.seed(0), "torch": lambda module: module.manual_seed(0)}

    def find_spec(self, fullname, path=None, target=None):
        then = self.waiting.pop(fullname, None)
        spec = importlib.util.find_spec(fullname) if then else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            then(module)

        spec.loader.exec_module = exec_module
        return spec


def _refuse_the_network(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0] not in _HERE:
        raise OSError(f"no network while measuring: {arguments[0]}")


def _tell_what_is_opened(event, arguments):
    """Write down each file that is opened and each folder that is listed, unless an import looks through it."""
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str):
        caller = sys._getframe().f_back
        if event == "open" or caller is None or not caller.f_code.co_filename.startswith("<frozen importlib"):
            os.write(_OPENED, f"{os.path.realpath(arguments[0])}\n".encode("utf-8", "replace"))


if os.environ.get("MEASURING_OPENED"):
    _OPENED = os.open(os.environ["MEASURING_OPENED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.addaudithook(_tell_what_is_opened)

if os.environ.get("MEASURING"):
    random.seed(0)
    sys.meta_path.insert(0, _Seeding())
    sys.addaudithook(_refuse_the_network)
