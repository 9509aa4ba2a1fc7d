"""The quick search of distributions says what `importlib.metadata` says, or nothing."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.metadata import MetadataPathFinder
from pathlib import Path

import pytest

from nbproof.run.sources import distributions

GOOD = "Metadata-Version: 2.1\nName: Some_Lib\nVersion: 1.0\nSummary: x\n\nName: body\n"


@pytest.fixture(autouse=True)
def _searched_by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own search, which the backport of `importlib.metadata` takes away wherever it is imported."""
    monkeypatch.setattr(PathFinder, "find_distributions", MetadataPathFinder.find_distributions, raising=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole search path, searched by nobody but Python itself."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [found for found in sys.meta_path if distributions._is_own(found)])
    return tmp_path


def write(site: Path, entry: str, text: str) -> None:
    path = site / entry
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_this_environment_is_told_quickly_and_rightly(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is installed here, with the versions that `importlib.metadata` reads."""
    monkeypatch.setattr(sys, "meta_path", [found for found in sys.meta_path if distributions._is_own(found)])
    quickly = distributions._found_quickly()

    assert quickly is not None
    assert dict(quickly) == dict(distributions._found_in_full())


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("some_lib-1.0.dist-info/METADATA", GOOD),
        ("some_lib-1.0.dist-info/METADATA", GOOD.replace("\n", "\r\n")),
        ("some_lib-9.dist-info/METADATA", GOOD),
        ("some_lib-1.0.dist-info/METADATA", GOOD.replace("Version: 1.0\nSummary: x", "Summary: x\n y\nVersion: 1.0")),
        ("some_lib-1.0.dist-info/METADATA", GOOD.replace("Name", "name").replace("Version: 1", "VERSION:  1")),
        ("some_lib-1.0.dist-info/METADATA", GOOD.replace("Summary: x", "Version: 2.0")),
        ("Some_Lib-1.0.egg-info/PKG-INFO", GOOD),
        ("some_lib-1.0-py3.11.egg-info", GOOD),
        ("some_lib-1.0.dist-info/PKG-INFO", GOOD),
    ],
)
def test_what_is_read_quickly_is_read_rightly(site: Path, entry: str, text: str) -> None:
    """Whatever the folder is called: what its metadata says counts."""
    write(site, entry, text)

    assert distributions._found_quickly() == [("some-lib", "1.0")]
    assert dict(distributions._found_in_full()) == {"some-lib": "1.0"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing of the kind\n",
        GOOD.replace("Version: 1.0\n", ""),
        GOOD.replace("Version: 1.0\n", "Version: 1.0\n more\n"),
        GOOD.replace("Name: Some_Lib", "Name: Some Lib"),
        GOOD.replace("Metadata-Version: 2.1\n", "no header\n"),
    ],
)
def test_what_is_not_plainly_there_is_for_the_full_search(site: Path, text: str) -> None:
    """Nothing is guessed."""
    write(site, "some_lib-1.0.dist-info/METADATA", text)

    assert distributions._found_quickly() is None


def test_two_versions_of_one_distribution_are_for_the_full_search(site: Path) -> None:
    """It knows which one comes last."""
    write(site, "some_lib-1.0.dist-info/METADATA", GOOD)
    write(site, "some_lib-2.0.dist-info/METADATA", GOOD.replace("1.0", "2.0"))

    assert distributions._found_quickly() is None
    assert distributions.installed() == dict(distributions._found_in_full())


def test_archives_are_for_the_full_search(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file on the search path may hold distributions, and so may an egg."""
    (tmp_path / "archive.zip").write_bytes(b"PK\5\6" + bytes(18))
    for entry in ("archive.zip", "some.egg"):
        (tmp_path / "some.egg").mkdir(exist_ok=True)
        monkeypatch.setattr(sys, "path", [str(tmp_path / entry)])
        assert distributions._found_quickly() is None


def test_a_finder_of_others_is_asked(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds distributions elsewhere is heard through the full search."""

    class Finder:
        @staticmethod
        def find_distributions(context: object = None) -> list[object]:
            return []

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])

    assert distributions._found_quickly() is None


def test_a_version_that_is_edited_in_place_is_seen(site: Path) -> None:
    """Nothing is remembered from one time to the next."""
    write(site, "some_lib-1.0.dist-info/METADATA", GOOD)
    assert distributions.installed() == {"some-lib": "1.0"}

    write(site, "some_lib-1.0.dist-info/METADATA", GOOD.replace("Version: 1.0", "Version: 2.0"))

    assert distributions.installed() == {"some-lib": "2.0"}
