"""Products: one content, one spelling."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.notebook.products import as_json, leave, leave_json, place

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_json_comes_back_as_it_was(value: object) -> None:
    """Nothing is lost, and the order of keys does not matter."""
    assert json.loads(as_json(value)) == value


def test_what_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    """No NaN reaches a product, and no half of one is left."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        leave_json(tmp_path / "metrics.json", {"auc": float("nan")})

    assert list(tmp_path.iterdir()) == []


def test_a_product_gets_its_folder_and_keeps_its_bytes(tmp_path: Path) -> None:
    """Line ends stay what they are on every system."""
    leave(tmp_path / "build/a/text.txt", "one\ntwo\r\n")
    leave(place(tmp_path / "build/b/raw.bin"), b"\x00\xff")

    assert (tmp_path / "build/a/text.txt").read_bytes() == b"one\ntwo\r\n"
    assert (tmp_path / "build/b/raw.bin").read_bytes() == b"\x00\xff"
