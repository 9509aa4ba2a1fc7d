"""A kernelspec is found where jupyter_client finds it, with or without jupyter_client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nbproof.run.sources import kernelspecs

ARGV = ["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
PLAIN: dict[str, Any] = {"argv": ARGV, "display_name": "ours", "language": "python"}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two folders in which Jupyter looks first, the first before the second."""
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setenv("JUPYTER_PATH", f"{first}:{second}")
    monkeypatch.delenv("JUPYTER_DEFAULT_PROVISIONER_NAME", raising=False)
    return first / "kernels", second / "kernels"


def write(folder: Path, content: object) -> None:
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        {**PLAIN, "env": {"A": "1"}, "metadata": {"debugger": True}, "interrupt_mode": "message"},
        {**PLAIN, "argv": ["python", "-m", "ipykernel_launcher"]},
    ],
)
def test_a_plain_kernel_is_found_without_jupyter(folders: tuple[Path, Path], content: dict[str, Any]) -> None:
    """The same interpreter and the same variables, by a name in any case, in the first folder that has it."""
    write(folders[0] / "Ours", content)
    write(folders[1] / "ours", {**PLAIN, "argv": ["/elsewhere"]})

    found = kernelspecs._found_quickly("OURS")

    assert found == kernelspecs._found_by_jupyter("OURS")
    assert found == kernelspecs.Spec("python", content["argv"][0], content.get("env", {}))


def test_the_native_kernel_is_found_alike() -> None:
    """`python3`, as it is installed here."""
    assert kernelspecs.find("python3") == kernelspecs._found_by_jupyter("python3")


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        {**PLAIN, "language": "R"},
        {**PLAIN, "metadata": {"kernel_provisioner": {"provisioner_name": "other"}}},
        {**PLAIN, "argv": []},
        {**PLAIN, "unknown": 1},
        {**PLAIN, "env": ["A=1"]},
    ],
)
def test_any_other_kernel_is_for_jupyter(folders: tuple[Path, Path], content: object) -> None:
    """Another language, a provisioner of others, a file that is damaged: nothing is guessed."""
    write(folders[0] / "ours", content)

    assert kernelspecs._found_quickly("ours") is None


def test_a_provisioner_by_default_is_for_jupyter(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not be available, and then no kernel is."""
    write(folders[0] / "ours", PLAIN)
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "other")

    assert kernelspecs._found_quickly("ours") is None
