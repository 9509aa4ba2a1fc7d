"""Checks of what the code and its packages might do: bandit over the cells, and advisories that lie on this machine."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...extras import is_installed
from ...notebook.syntax import cell_tree
from .findings import Finding, Inspected, NotEvaluated

_PINNED = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;#\\]+)")
_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)")
# What bandit says of a script and what is none of a notebook: `assert` is how a notebook checks itself.
_NOT_OF_NOTEBOOKS = frozenset({"B101"})


def scanned(found: Inspected) -> Iterator[Finding]:
    """Bandit finds nothing of medium or high severity in a code cell."""
    if not found.document.is_python:
        raise NotEvaluated(f"the notebook is in {found.document.language}")
    if not is_installed("bandit"):
        raise NotEvaluated("bandit is not installed (pip install 'nbproof[review]')")
    cells = dict(found.code())
    for number, cell in cells.items():
        try:
            cell_tree(cell.source)
        except SyntaxError:
            raise NotEvaluated(f"cell {number} cannot be read") from None
    for number, line, said in _issues({number: _as_script(cell.source) for number, cell in cells.items()}):
        yield Finding(said, cells[number].id, number, line)


def unpinned(lock: Path) -> Iterator[str]:
    """The lines of a lock that leave it open which version is installed."""
    for line in _logical_lines(lock):
        if _REQUIREMENT.match(line) and not _PINNED.match(line):
            yield line.strip()[:60]


def vulnerable(found: Inspected) -> Iterator[Finding]:
    """No package of the lock has an advisory in the database that the settings name."""
    database, lock = found.settings.review_advisories, found.settings.review_lock
    if database is None:
        raise NotEvaluated("no database of advisories is named ([tool.nbproof.review] advisories)")
    if lock is None or not (found.project / lock).is_file():
        raise NotEvaluated("no lock says which packages are meant ([tool.nbproof.review] lock)")
    packages = dict(pinned(found.project / lock))
    if not packages:
        raise NotEvaluated(f"`{lock}` pins no package")
    count = 0
    for advisory in _advisories(found.project / Path(database).expanduser()):
        count += 1
        for name, fixed in _affected(advisory, packages):
            mended = f"; mended in {fixed}" if fixed else ""
            yield Finding(
                f"{name} {packages[name]}: {advisory['id']}: {str(advisory.get('summary', ''))[:120]}{mended}"
            )
    if not count:
        raise NotEvaluated(f"`{database}` holds no advisory in the OSV format")


def pinned(lock: Path) -> Iterator[tuple[str, str]]:
    """Names and versions of a lock, each name as PyPI normalises it."""
    for line in _logical_lines(lock):
        match = _PINNED.match(line)
        if match:
            yield _normalised(match.group(1)), match.group(2)


def _issues(sources: Mapping[int, str]) -> Iterator[tuple[int, int, str]]:
    with warnings.catch_warnings():
        # Bandit asks its loader of plugins for something that is to go; nothing of ours can avoid it.
        warnings.filterwarnings("ignore", "The verify_requirements argument", DeprecationWarning)
        from bandit.core import config, manager

    with tempfile.TemporaryDirectory(prefix="nbproof-review-") as folder:
        for number, source in sources.items():
            (Path(folder) / f"cell_{number}.py").write_text(source, encoding="utf-8", errors="replace")
        looked = manager.BanditManager(config.BanditConfig(), "file", quiet=True)
        looked.discover_files([folder], recursive=True)
        looked.run_tests()
        issues = looked.get_issue_list(sev_level="MEDIUM", conf_level="MEDIUM")
        told = [(int(Path(one.fname).stem[5:]), one.lineno, f"{one.test_id}: {one.text.splitlines()[0][:160]}")
                for one in issues if one.test_id not in _NOT_OF_NOTEBOOKS]  # fmt: skip
    yield from sorted(told)


def _as_script(source: str) -> str:
    """A cell whose magics are comments, line by line, so that places stay what they are."""
    lines = source.splitlines()
    if lines and lines[0].startswith("%%") and not lines[0].startswith(("%%time", "%%capture")):
        return ""
    return "\n".join(
        f"{line[: len(line) - len(line.lstrip())]}pass" if line.lstrip().startswith(("%", "!", "?")) else line
        for line in lines
    )


def _logical_lines(lock: Path) -> Iterator[str]:
    text = lock.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    yield from (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "-")))


def _advisories(database: Path) -> Iterator[Mapping[str, Any]]:
    """Records in the OSV format: a folder of JSON files, or the ZIP of them that the project publishes."""
    if not database.exists():
        raise NotEvaluated(f"`{database.name}` is not there")
    for content in _contents(database):
        try:
            advisory = json.loads(content)
        except ValueError:
            continue
        if isinstance(advisory, dict) and advisory.get("id") and not advisory.get("withdrawn"):
            yield advisory


def _contents(database: Path) -> Iterator[bytes]:
    if database.is_dir():
        yield from (path.read_bytes() for path in sorted(database.rglob("*.json")))
        return
    try:
        with zipfile.ZipFile(database) as archive:
            yield from (archive.read(name) for name in sorted(archive.namelist()) if name.endswith(".json"))
    except zipfile.BadZipFile:
        raise NotEvaluated(f"`{database.name}` is neither a folder nor a ZIP of advisories") from None


def _affected(advisory: Mapping[str, Any], packages: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The packages of a lock that an advisory is about, each with the version that mends it ("": none)."""
    told = set()
    for one in advisory.get("affected", ()):
        package = one.get("package", {})
        name = _normalised(str(package.get("name", "")))
        if package.get("ecosystem") != "PyPI" or name not in packages or name in told:
            continue
        is_listed = packages[name] in one.get("versions", ())
        mended = [_mended(held.get("events", ()), packages[name]) for held in one.get("ranges", ())
                  if held.get("type") == "ECOSYSTEM"]  # fmt: skip
        hits = [fixed for fixed in mended if fixed is not None]
        if is_listed or hits:
            told.add(name)
            yield name, next(filter(None, hits), "")


def _mended(events: Iterable[Mapping[str, str]], version: str) -> str | None:
    """The version that mends a range ("": none does), or None where the version is not in it."""
    from packaging.version import InvalidVersion, Version

    def at(text: str) -> Version:
        return Version("0a0.dev0" if text == "0" else text)

    try:
        ordered = sorted(((at(value), kind, value) for event in events for kind, value in event.items()),
                         key=lambda event: event[0])  # fmt: skip
        now, inside, fixed = Version(version), False, ""
    except InvalidVersion:
        return None
    for moment, kind, value in ordered:
        if kind == "introduced" and moment <= now:
            inside = True
        elif kind in ("fixed", "limit"):
            if moment <= now:
                inside = False
            elif inside:
                fixed = fixed or value
        elif kind == "last_affected" and moment < now:
            inside = False
    return fixed if inside else None


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
