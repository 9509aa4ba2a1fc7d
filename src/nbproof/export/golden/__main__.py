"""The processes that a package is recorded in, and checked in, with the very code that its tests will use."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    job = json.load(sys.stdin)
    # Whoever asks for input is told that there is nobody.
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 (it is open as long as the process)
    sys.path[:0] = [job["source"]]
    os.environ.setdefault("MPLBACKEND", "agg")
    from . import checking, recording

    done: dict[str, Any] = (recording.record if job["do"] == "record" else checking.check)(job)
    Path(job["output"]).write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main()
