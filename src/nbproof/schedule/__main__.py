"""What a daemon starts: `python -m nbproof.schedule PROJECT SCHEDULE TICK TOKEN` keeps one tick that was claimed."""

from __future__ import annotations

import sys
from pathlib import Path

from .keeping import keep
from .ledger import Ledger


def main() -> None:
    project, name, tick, token = sys.argv[1:]
    keep(Ledger(Path(project)), name, tick, token)


if __name__ == "__main__":
    main()
