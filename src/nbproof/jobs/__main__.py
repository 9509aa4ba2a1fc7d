"""What an engine starts: `python -m nbproof.jobs FOLDER INDEX [FLAG…]` runs one element of the job in a folder.

INDEX is a number, or `@NAME` for what the variable NAME says. The flags stand for what the engine does not do itself:
`--log` writes what is said into the job's own log, `--watch` keeps its time and heeds that it was cancelled. `--once`
leaves further tries to the engine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .admission import verify_again
from .element import carry_out
from .place import Place
from .watching import watched

FLAGS = ("--log", "--once", "--watch")
_LAST_LINES = 20


def main() -> int:
    folder, index, *flags = sys.argv[1:]
    if not set(flags) <= set(FLAGS):
        sys.exit(f"error: found {' '.join(flags)}, expected some of {' '.join(FLAGS)}")
    place = Place(Path(folder))
    number = int(os.environ[index[1:]] if index.startswith("@") else index)
    engine = _into_log(place.log(number)) if "--log" in flags else None
    with watched(place, number, is_watched="--watch" in flags) as interruption:
        code = carry_out(place, number, lambda: verify_again(place.package()), interruption, is_once="--once" in flags)
    if code and engine is not None:
        _repeat(place.log(number), engine)
    return code


def _into_log(path: Path) -> int:
    """Say everything into the job's log from here on; where it went before comes back."""
    before = os.dup(1)
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(before, f"nbproof: what this says is in {path}\n".encode())
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)
    return before


def _repeat(path: Path, engine: int) -> None:
    """Tell the last lines to the engine as well, whose users look there first when something failed."""
    lines = path.read_bytes().splitlines(keepends=True)[-_LAST_LINES:]
    os.write(engine, b"".join(lines))


if __name__ == "__main__":
    sys.exit(main())
