"""The processes that a package is recorded in, and checked in, with the very code that its tests will use."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def _installed(place: Path, package: str) -> str:
    """A folder that says that the package is installed, as it will be where its tests run: one distribution more."""
    told = place / f"{package}-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0\n")
    return str(place)


def main() -> None:
    job = json.load(sys.stdin)
    # Whoever asks for input is told that there is nobody.
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 (it is open as long as the process)
    sys.path[:0] = [job["source"]]
    os.environ.setdefault("MPLBACKEND", "agg")
    from . import checking, recording

    if job["do"] == "record":
        done: dict[str, Any] = recording.record(job)
    else:
        with tempfile.TemporaryDirectory(prefix="nbproof-golden-") as place:
            sys.path.append(_installed(Path(place), job["package"]))
            done = checking.check(job)
    Path(job["output"]).write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main()
