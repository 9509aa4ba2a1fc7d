"""The memory of what was derived from files: kept by content, and never believed when it is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbproof.run.pipeline.loading import load
from nbproof.run.sources import environment
from nbproof.run.sources.memory import Memory, key_of

if TYPE_CHECKING:
    from conftest import Workspace


def saved(file: Path) -> str:
    """The key of the one value in `file`."""
    key = key_of("text", b"content")
    memory = Memory(file, "maker")
    memory.keep(key, ["value"])
    memory.save()
    return key


def test_what_was_kept_is_recalled(tmp_path: Path) -> None:
    """By the hash of the content and its kind."""
    key = saved(tmp_path / "memory")

    memory = Memory(tmp_path / "memory", "maker")

    assert memory.recall(key) == ["value"]
    assert memory.recall(key_of("text", b"other content")) is None
    assert memory.recall(key_of("other", b"content")) is None


def test_another_maker_recalls_nothing(tmp_path: Path) -> None:
    """Other code, or another environment, may derive something else from the same content."""
    key = saved(tmp_path / "memory")

    assert Memory(tmp_path / "memory", "another").recall(key) is None


@pytest.mark.parametrize("place", range(0, 140, 7))
def test_a_damaged_memory_is_forgotten(tmp_path: Path, place: int) -> None:
    """One changed byte, wherever it is, and nothing of it is believed."""
    key = saved(tmp_path / "memory")
    content = bytearray((tmp_path / "memory").read_bytes())
    content[place % len(content)] ^= 1
    (tmp_path / "memory").write_bytes(bytes(content))

    assert Memory(tmp_path / "memory", "maker").recall(key) is None


def test_what_nobody_asks_for_is_dropped(tmp_path: Path) -> None:
    """A notebook that was edited a hundred times leaves one entry, not a hundred."""
    old = saved(tmp_path / "memory")
    memory = Memory(tmp_path / "memory", "maker")
    memory.keep("new", 1)
    memory.save()

    assert Memory(tmp_path / "memory", "maker").recall(old) is None
    assert Memory(tmp_path / "memory", "maker").recall("new") == 1


def test_a_disk_that_takes_nothing_is_no_error(tmp_path: Path) -> None:
    """Remembering saves time; not being able to is no reason to fail."""
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "memory", "maker")
    memory.keep("key", 1)

    memory.save()

    assert memory.recall("key") == 1


def test_the_maker_is_the_source_and_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An edited module of ours makes another maker, and so does another version of a package."""
    here = environment.maker()
    assert environment.maker() == here

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "module.py").write_text("")
    monkeypatch.setattr(environment, "PACKAGE", tmp_path)
    there = environment.maker()
    (tmp_path / "run" / "module.py").write_text("edited = True\n")

    assert len({here, there, environment.maker()}) == 3


def test_edits_are_seen_through_the_memory(tiny: Workspace) -> None:
    """A changed notebook, a changed module, and both as they were: each is what it is, remembered or not."""
    file = tiny.root / "pipeline.yaml"

    def code() -> list[object]:
        loaded = load(file, tiny.root)
        said = [notebook.said for notebook in loaded.notebooks.values()]
        loaded.memory.save()
        return [(found.code, found.contract, found.imports) for found in said]

    first = code()
    tiny.edit("make.py", "* rows", "* rows * 2")
    second = code()
    tiny.edit("make.py", "* rows * 2", "* rows")

    assert first[0] != second[0]
    assert first[1:] == second[1:]
    assert code() == first
