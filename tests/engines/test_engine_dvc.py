"""A real DVC beside nbproof's own reading of its files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Record, environment
from nbproof.data import dvc

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
NAMES = st.text("ab-._ é/", min_size=1, max_size=8).filter(
    lambda name: all(part.strip(" .") for part in name.split("/")) and ".dvc" not in name
)


def own(place: Path, program: Path, *words: str) -> None:
    environ = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(place / ".site")}
    subprocess.run([program, *words], cwd=place, check=True, capture_output=True, env=environ)


def test_the_hashes_are_those_of_a_real_dvc(tmp_path: Path, record: Record) -> None:
    """What DVC writes for any folder is what nbproof computes for it."""
    program = environment("dvc") / "dvc"
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    own(tmp_path, program, "init", "-q")
    count = 0

    @settings(max_examples=10, deadline=None, suppress_health_check=[*HealthCheck])
    @given(st.dictionaries(NAMES, st.binary(max_size=9), min_size=1, max_size=6))
    def check(files: dict[str, bytes]) -> None:
        nonlocal count
        count += 1
        folder = tmp_path / f"data{count}"
        for name, content in files.items():
            place = folder / name
            if not any(parent.is_file() for parent in place.parents) and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        own(tmp_path, program, "add", "-q", folder.name)
        assert dvc.is_as_said(dvc.read(folder.with_name(f"{folder.name}.dvc")))

    with record.row("DVC 3.67", "`dvc add` of folders that hypothesis makes") as say:
        check()
        say(f"{count} folders have the hashes that nbproof computes")
