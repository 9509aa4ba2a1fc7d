"""The folder of a package appears whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbproof.errors import HandEdited, Unwritable
from nbproof.export.packaging.folder import kept, put_in_place, staged, without_kept
from nbproof.export.packaging.provenance import FILE, spelled
from nbproof.records import ContentHash

_DIES = """
import os, signal, sys
from pathlib import Path
from nbproof.export.packaging import folder

target = Path(sys.argv[1])
with folder.staged(target) as place:
    (place / "a.txt").write_text("new")
    if sys.argv[2] == "while placing":
        rename = Path.rename
        folder._exchange = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        folder.put_in_place(place, target)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def package(folder: Path, **texts: str) -> Path:
    """A folder as an export leaves it, of a few texts."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    files = {f"{name}.py": ContentHash.of(text.encode()).hex for name, text in texts.items()}
    (folder / FILE).write_bytes(spelled({"name": "p", "files": files, "kept": {}}))
    return folder


def test_a_finished_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """All of the new, nothing of the old, and nothing beside."""
    target = package(tmp_path / "p", a="old\n", b="old\n")

    with staged(target) as place:
        (place / "a.py").write_text("new\n")
        put_in_place(place, target)

    assert {path.name: path.read_text() for path in target.iterdir()} == {"a.py": "new\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_where_the_system_cannot_swap_names_the_folder_is_whole_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old folder is moved aside, and goes."""
    monkeypatch.setattr("nbproof.export.packaging.folder._exchange", lambda *_: False)
    target = package(tmp_path / "p", a="old\n")

    with staged(target) as place:
        (place / "a.py").write_text("new\n")
        put_in_place(place, target)

    assert (target / "a.py").read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize("when", ["while writing", "while placing"])
def test_whoever_is_killed_leaves_the_old_folder(tmp_path: Path, when: str) -> None:
    """The old package is whole; what was begun is hidden, and goes with the next export."""
    target = package(tmp_path / "p", a="old\n")

    ended = subprocess.run([sys.executable, "-c", _DIES, str(target), when])
    left = sorted(path.name for path in tmp_path.iterdir())
    with staged(target):
        pass

    assert ended.returncode == -signal.SIGKILL
    assert (target / "a.py").read_text() == "old\n"
    assert (len(left), left[-1], left[0].endswith(".unfinished")) == (2, "p", True)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_what_another_writer_has_begun_is_left_alone(tmp_path: Path) -> None:
    """Two exports at one time do not remove each other's files."""
    target = tmp_path / "p"

    with staged(target) as one:
        (one / "a.py").write_text("one")
        with staged(target) as two:
            assert one.is_dir()
            assert two != one

        assert (one / "a.py").is_file()


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """No folder, no half of one."""

    def fails() -> None:
        with staged(tmp_path / "p") as place:
            (place / "a.py").write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_folder(tmp_path: Path) -> None:
    """It is told as what it is."""
    (tmp_path / "file").write_text("")

    with pytest.raises(Unwritable), staged(tmp_path / "file/p"):
        pass


def test_marked_places_stand_after_the_line_that_they_stood_after(tmp_path: Path) -> None:
    """Also two of them, also at the top, and whatever else has changed around."""
    old = "import os\n\na = 1\nb = 2\n"
    target = package(tmp_path / "p", a=old)
    top, inner = "# nbproof: keep\n# top\n# nbproof: end\n", "    # nbproof: keep\n    inner = 1\n    # nbproof: end\n"
    (target / "a.py").write_text(f"{top}import os\n\na = 1\n{inner}b = 2\n")

    merged = kept(target, {"a.py": b"import os\nimport sys\n\na = 1\nc = 3\n"})

    assert merged["a.py"].decode() == f"{top}import os\nimport sys\n\na = 1\n{inner}c = 3\n"


@pytest.mark.parametrize("new", ["import os\n\nb = 2\n", "a = 1\nx = 0\na = 1\n"])
def test_a_marked_place_whose_neighbour_is_gone_is_not_lost(tmp_path: Path, new: str) -> None:
    """Nobody guesses where it belongs now."""
    target = package(tmp_path / "p", a="a = 1\nb = 2\n")
    (target / "a.py").write_text("a = 1\n# nbproof: keep\n# mine\n# nbproof: end\nb = 2\n")

    with pytest.raises(HandEdited, match="the line before a marked place is gone"):
        kept(target, {"a.py": new.encode()})


def test_a_file_of_ones_own_is_marked_in_its_first_line(tmp_path: Path) -> None:
    """Then it goes over to the next package; without the mark it is refused."""
    target = package(tmp_path / "p", a="a = 1\n")
    (target / "mine.py").write_text("# nbproof: keep\nmine = 1\n")
    (target / "other.py").write_text("other = 1\n")

    with pytest.raises(HandEdited, match=r"other\.py was added") as refused:
        kept(target, {"a.py": b"a = 2\n"})
    (target / "other.py").unlink()

    assert "mine.py" not in str(refused.value)
    assert kept(target, {"a.py": b"a = 2\n"}) == {"a.py": b"a = 2\n", "mine.py": b"# nbproof: keep\nmine = 1\n"}


def test_a_file_that_was_removed_by_hand_is_told(tmp_path: Path) -> None:
    """To remove is to change, too."""
    target = package(tmp_path / "p", a="a = 1\n", b="b = 1\n")
    (target / "b.py").unlink()

    with pytest.raises(HandEdited, match=r"b\.py is gone"):
        kept(target, {"a.py": b"a = 1\n"})


def test_a_text_without_its_marked_places() -> None:
    """A place that never ends goes to the end of the text."""
    assert without_kept("a\n# nbproof: keep\nb\n# nbproof: end\nc\n# nbproof: keep\nd\n") == "a\nc\n"
