"""Run a zygote: `python FOLDER/zygote '{"socket": …, "imports": […], …}' [room for the titles of what is forked]`.

The command ends at once; what it starts belongs to nobody, and tells by the file `ready` that it listens.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

# No project has a module of this name, and nbproof itself stays unimported in the kernels.
NAME = "_nbproof_zygote"


def load() -> None:
    """Import this package from where it lies, under its private name."""
    here = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        NAME, here / "__init__.py", submodule_search_locations=[str(here)]
    )  # fmt: skip
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    if os.fork():
        os._exit(0)
    os.setsid()
    # The folder of the script comes first on the path of a script; a kernel does not have it there.
    del sys.path[0]
    load()
    importlib.import_module(f"{NAME}.server").main(sys.argv[1])
