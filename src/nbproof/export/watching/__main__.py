"""The process that a notebook is watched in: cells as JSON on standard input, what was seen to the file named."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    job = json.load(sys.stdin)
    # Whoever asks for input is told that there is nobody.
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 (it is open as long as the process)
    os.chdir(job["folder"])
    # As in a kernel: the folder of the notebook comes first.
    sys.path.insert(0, "")
    os.environ.setdefault("MPLBACKEND", "agg")
    # What plotly chooses in a kernel: it hands its pictures to `display`.
    os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
    from .draws import start_draws
    from .executor import CellCode, execute
    from .seen import to_json

    if job["draws_from"] is not None:
        start_draws(job["draws_from"])
    cells = [CellCode(**cell) for cell in job["cells"]]
    run = execute(cells, tells_loaded=job["tells_loaded"], listens=job["listens"], stirs=job["stirs"])
    Path(job["output"]).write_text(json.dumps(to_json(run)), encoding="utf-8")


if __name__ == "__main__":
    main()
