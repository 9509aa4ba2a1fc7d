"""Whether a task must run again, decided by content, and why, in words.

A fingerprint holds everything that decides a task's products: its normalised code, the source of the local modules it
imports, its parameters, the content of what it reads, and its environment. After a task has run, its fingerprint and
the content hash of each product are recorded; a task is fresh when both still hold.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..files import write_atomically
from .sources.hashes import canonical_json

Hashes = Mapping[str, str | None]
# How many changes of one kind are named.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What decides the products of a task. `code` has one hash a cell; the others map names to hashes or values."""

    code: tuple[str, ...]
    modules: Hashes
    parameters: Mapping[str, Any]
    upstream: Hashes
    data: Hashes
    environment: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it was left: `content` is the hash of its bytes, `meaning` what its readers depend on."""

    path: str
    content: str
    meaning: str


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What is remembered of the last time that a task succeeded."""

    fingerprint: Fingerprint
    products: Mapping[str, Product]
    run_id: str
    at: float

    def to_json(self) -> bytes:
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, content: bytes) -> TaskRecord:
        """Raises ValueError, KeyError or TypeError on anything that is not a whole record."""
        found = json.loads(content)
        fingerprint = {**found["fingerprint"], "code": tuple(found["fingerprint"]["code"])}
        products = {key: Product(**product) for key, product in found["products"].items()}
        return cls(Fingerprint(**fingerprint), products, found["run_id"], found["at"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether `task` is fresh, stale, or waits for a stale upstream; `reasons` say why it is not fresh."""

    task: str
    state: Literal["fresh", "stale", "waits"]
    reasons: tuple[str, ...] = ()

    @property
    def is_fresh(self) -> bool:
        return self.state == "fresh"


class TaskRecords:
    """The records of one pipeline, a file each, so that a damaged one costs one task."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, task: str) -> Path:
        return self.folder / f"{task}.json"

    def read(self, task: str) -> TaskRecord | str:
        """The record, or in words why there is none."""
        try:
            return TaskRecord.from_json(self._path(task).read_bytes())
        except FileNotFoundError:
            return "it has not run yet"
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return f"its record `{self._path(task).name}` cannot be read"

    def write(self, task: str, record: TaskRecord) -> None:
        write_atomically(self._path(task), record.to_json())

    def forget(self, task: str) -> None:
        self._path(task).unlink(missing_ok=True)


class Environments:
    """The packages behind each environment hash, kept so that a change can be told in words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remember(self, lock: str, packages: Mapping[str, str]) -> None:
        path = self.folder / f"{lock}.json"
        if not path.exists():
            write_atomically(path, canonical_json(dict(packages)))

    def packages(self, lock: str) -> Mapping[str, str]:
        try:
            found: dict[str, str] = json.loads((self.folder / f"{lock}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found


def verdict(
    task: str,
    record: TaskRecord | str,
    now: Fingerprint,
    contents: Hashes,
    packages: Callable[[str], Mapping[str, str]],
) -> Verdict:
    """Compare what is recorded with what is: `now` the present fingerprint, `contents` the products' present hashes."""
    if isinstance(record, str):
        return Verdict(task, "stale", (record,))
    reasons = (*differences(record.fingerprint, now, packages), *_touched(record.products, contents))
    return Verdict(task, "stale" if reasons else "fresh", reasons)


def differences(then: Fingerprint, now: Fingerprint, packages: Callable[[str], Mapping[str, str]]) -> Iterator[str]:
    """How two fingerprints differ, in words; nothing where they are equal."""
    if then.code != now.code:
        yield _code_difference(then.code, now.code)
    yield from _changes(then.modules, now.modules, "`{}`, which it imports,")
    yield from _value_changes(then.parameters, now.parameters)
    yield from _changes(then.upstream, now.upstream, "upstream product `{}`")
    yield from _changes(then.data, now.data, "declared data `{}`")
    if then.environment != now.environment:
        yield _environment_difference(packages(then.environment), packages(now.environment))


def _code_difference(then: tuple[str, ...], now: tuple[str, ...]) -> str:
    if len(then) != len(now):
        return f"its code has {len(now)} cells instead of {len(then)}"
    changed = [str(number) for number, (old, new) in enumerate(zip(then, now, strict=True), 1) if old != new]
    return f"code cell {', '.join(changed)} changed"


def _changes(then: Hashes, now: Hashes, subject: str) -> Iterator[str]:
    """One reason a name; of many names the first few and how many more, for a reason is read by people."""
    told = []
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        if old == new and (name in then) == (name in now):
            continue
        if name not in then:
            verb = "is new"
        elif name not in now:
            verb = "is no longer read"
        else:
            verb = "is missing" if new is None else "appeared" if old is None else "changed"
        told.append(f"{subject.format(name)} {verb}")
    yield from told[:NAMED]
    if len(told) > NAMED:
        yield f"and {len(told) - NAMED} more like these"


def _value_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        if name not in then:
            yield f"parameter `{name}` is new"
        elif name not in now:
            yield f"parameter `{name}` is gone"
        elif canonical_json(then[name]) != canonical_json(now[name]):
            yield f"parameter `{name}` changed from {then[name]!r} to {now[name]!r}"


def _environment_difference(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    changed = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    if not then or not now or not changed:
        return "the environment changed"
    told = [f"{name} {then.get(name, 'absent')} → {now.get(name, 'absent')}" for name in changed[:NAMED]]
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    return f"the environment changed: {', '.join(told)}{more}"


def _touched(products: Mapping[str, Product], contents: Hashes) -> Iterator[str]:
    for key in sorted({*products, *contents}):
        if key not in products:
            yield f"product `{key}` is newly declared"
        elif key not in contents:
            yield f"product `{key}` is no longer declared"
        elif contents[key] is None:
            yield f"product `{key}` is missing"
        elif contents[key] != products[key].content:
            yield f"product `{key}` was changed since it was made"


def new_record(fingerprint: Fingerprint, products: Mapping[str, Product], run_id: str) -> TaskRecord:
    return TaskRecord(fingerprint, products, run_id, time.time())
