"""The container file of an exported package, built and run for real: without a network, and not as root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conftest import Record, done, environment
from nbproof.cli.main import carry_out

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1800)]
# It counts what it read with a library that the container must have, and says who runs it.
CELLS = [
    (["parameters"], "rows: int = 3"),
    ([], "import os\nfrom pathlib import Path\n\nimport numpy as np"),
    ([], "total = float(np.sqrt(np.arange(rows) ** 3).sum())\nPath('total.txt').write_text(repr(total))"),
    ([], "print('user', os.getuid(), 'total', total)"),
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The draft of a small notebook."""
    folder = tmp_path_factory.mktemp("boxed")
    (folder / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    cells = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {"tags": tags}, "source": source, "outputs": [],
         "execution_count": None}
        for at, (tags, source) in enumerate(CELLS)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}
    (folder / "boxed.ipynb").write_text(json.dumps(content))
    code = carry_out(["export", str(folder / "boxed.ipynb"), "--draft", "--out", str(folder / "made")])
    assert code == 0
    return next(path for path in (folder / "made").iterdir() if not path.name.startswith("."))


def wheels(package: Path, folder: Path) -> None:
    """All that the build will ask for, fetched before: it has no network itself."""
    backend = tomllib.loads((package / "pyproject.toml").read_text())["build-system"]["requires"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "-d",
        str(folder),
        "-r",
        str(package / "requirements.lock"),
    ]
    done(*command, *backend)


def test_the_container_file_is_clean(package: Path, record: Record) -> None:
    """hadolint finds nothing that it warns of; of a file that is bad it does."""
    hadolint = str(environment("lint") / "hadolint")
    bad = package.parent / "Bad"
    bad.write_text("FROM debian\nRUN pip install numpy\n")

    with record.row("hadolint 2.15", "the Containerfile of a package") as say:
        done(hadolint, "--failure-threshold", "warning", str(package / "Containerfile"))
        assert (
            subprocess.run([hadolint, "--failure-threshold", "warning", str(bad)], capture_output=True).returncode == 1
        )
        say("nothing to warn of")


def test_the_container_builds_and_runs(package: Path, base: Path, storage: Path, record: Record) -> None:
    """Built by buildah, run by podman without a network, as user 10001, and by buildah itself."""
    folder, results, image = storage / "wheels", storage / "results", f"localhost/{package.name}:1"
    wheels(package, folder)
    results.mkdir()
    os.chown(results, 10001, 10001)
    policy = ["--signature-policy", str(storage / "policy.json")]
    with record.row("buildah 1.28", "`buildah bud --build-arg BASE=…` of that package, offline") as say:
        done("tar", "-C", str(base), "-cf", str(storage / "base.tar"), ".")
        (storage / "Base").write_text("FROM scratch\nADD base.tar /\n")
        build = ["buildah", "bud", *policy, "--isolation", "chroot", "--format", "docker", "--pull-never"]
        done(*build, "-t", "localhost/base:1", "-f", str(storage / "Base"), str(storage))
        arguments = ["BASE=localhost/base:1", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"]
        done(*build, "--volume", f"{folder}:/wheels:ro", *(f"--build-arg={each}" for each in arguments), "-t", image,
             "-f", str(package / "Containerfile"), str(package))  # fmt: skip
        user = done("buildah", "inspect", "--format", "{{.OCIv1.Config.User}}", "--type", "image", image).strip()
        assert user == "10001"
        say("built; its user is 10001")
    with record.row("podman 4.3, runc", "`podman run --network=none`, results in a mounted folder") as say:
        run = ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "run", *policy, "--rm", "--network=none",
               "--no-healthcheck", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]  # fmt: skip
        said = done(*run, "--volume", f"{results}:/work", image, "--rows", "5")
        expected = _in_this_python(package, storage / "here")
        assert "user 10001" in said
        assert (results / "total.txt").read_text() == expected
        assert (results / "total.txt").stat().st_uid == 10001
        say("ran as 10001; its file is the one that the package writes outside of a container")
        refused = subprocess.run([*run, image, "--rows", "many"], capture_output=True, text=True)
        assert refused.returncode == 2
        assert "many" in refused.stderr
        say("a bad parameter ends it with 2")


def _in_this_python(package: Path, place: Path) -> str:
    place.mkdir()
    command = [sys.executable, "-m", package.name, "--rows", "5", "--out", str(place)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(package / "src")})
    return (place / "total.txt").read_text()
