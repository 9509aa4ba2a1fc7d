"""The ledger: what was written stays, and every tampering is named by its first line."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import LedgerBroken
from nbproof.review.ledger import Entry, Ledger, head


def add(project: Path, comment: str) -> Entry:
    ledger = Ledger(project)
    with ledger.held() as entries:
        return ledger.append(
            entries, at="2026-03-01T12:00:00Z", kind="requested", notebook="a.ipynb", digest="d", bound="b", by="Bela",
            comment=comment,
        )  # fmt: skip


def add_many(project: Path, name: str, count: int) -> None:
    for number in range(count):
        add(project, f"{name}{number}")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ledger of five entries."""
    project = tmp_path_factory.mktemp("ledger")
    add_many(project, "entry ", 5)
    return Ledger(project).path.read_bytes()


def of(folder: Path, content: bytes) -> Ledger:
    ledger = Ledger(folder)
    ledger.path.parent.mkdir(exist_ok=True)
    ledger.path.write_bytes(content)
    return ledger


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    """Each entry follows the one before it, and a project without a ledger has none."""
    assert Ledger(tmp_path).read() == ()

    added = [add(tmp_path, text) for text in ("one", "zwei — äöü", "three")]

    assert list(Ledger(tmp_path).read()) == added
    assert [entry.previous for entry in added] == [(), (added[0].hash,), (added[1].hash,)]
    assert head(added) == (added[2].hash,)


@settings(max_examples=300)
@given(st.data())
def test_no_bit_can_be_flipped(written: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever bit changes, the ledger is broken, and no later line than the changed one or its next is named."""
    place = data.draw(st.integers(0, len(written) - 1))
    changed = bytearray(written)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    line = written[:place].count(b"\n") + 1

    with pytest.raises(LedgerBroken) as broken:
        of(tmp_path_factory.getbasetemp(), bytes(changed)).read()
    assert broken.value.line == line


@pytest.mark.parametrize("dropped", [0, 1, 2, 3])
def test_a_line_that_is_missing_is_named(written: bytes, tmp_path: Path, dropped: int) -> None:
    """The place where a line was taken out is the first that is wrong."""
    lines = written.splitlines(keepends=True)
    del lines[dropped]

    with pytest.raises(LedgerBroken, match=f"line {dropped + 1}: found an entry whose predecessor"):
        of(tmp_path, b"".join(lines)).read()


def test_lines_in_another_order_are_named(written: bytes, tmp_path: Path) -> None:
    """Two lines that changed places, and one that stands there twice."""
    one, two, three, *rest = written.splitlines(keepends=True)

    for lines in ([one, three, two, *rest], [one, one, two, three, *rest]):
        with pytest.raises(LedgerBroken, match="line 2"):
            of(tmp_path, b"".join(lines)).read()


def test_a_line_with_new_hashes_breaks_the_next(written: bytes, tmp_path: Path) -> None:
    """Who changes a line and its hash breaks the chain at the line after it."""
    lines = written.splitlines(keepends=True)
    second = Ledger(tmp_path)._entry(2, lines[1].rstrip(b"\n"))
    forged = Entry(**{name: getattr(second, name) for name in second.__dataclass_fields__} | {"by": "Somebody"})

    with pytest.raises(LedgerBroken, match="line 3: found an entry whose predecessor"):
        of(tmp_path, b"".join([lines[0], forged.written(), *lines[2:]])).read()


@given(cut=st.integers(1, 400))
@settings(max_examples=30)
def test_a_cut_last_line_is_named(written: bytes, tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """A ledger that ends within a line says so, unless it ends exactly between two."""
    content = written[:-cut]
    ledger = of(tmp_path_factory.getbasetemp(), content)

    if content.endswith(b"\n"):
        assert len(ledger.read()) < 5
        return
    with pytest.raises(LedgerBroken, match="a line that was cut short") as broken:
        ledger.read()
    assert broken.value.line == content.count(b"\n") + 1


def test_nothing_is_added_to_a_broken_ledger(written: bytes, tmp_path: Path) -> None:
    """A further line would hide where it broke."""
    ledger = of(tmp_path, written[:-3])

    with pytest.raises(LedgerBroken):
        add(tmp_path, "more")
    assert ledger.path.read_bytes() == written[:-3]


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    """Processes that write at the same time wait for one another."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_many, args=(tmp_path, name, 15)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    entries = Ledger(tmp_path).read()

    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sorted(entry.comment for entry in entries) == sorted(f"{n}{i}" for n in "ab" for i in range(15))
