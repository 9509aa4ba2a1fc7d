"""The hash of a fitted object's state follows from what it holds, and from nothing else."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from nbproof.explain.fitted_state import hash_of_state


def test_what_shares_memory_does_not_matter() -> None:
    """One list held twice and two equal lists are the same content."""
    shared = [1.0, "a"]

    assert hash_of_state([shared, shared]) == hash_of_state([[1.0, "a"], [1.0, "a"]])
    assert hash_of_state({"a": 1, "b": 2}) == hash_of_state({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "other",
    [[1, 2], [1.0, 2.5], (1.0, 2.0), [[1.0, 2.0]], [1.0, 2.0, None], np.array([1.0, 2.0]), {1.0, 2.0}, ["1.0", 2.0]],
)
def test_other_content_has_another_hash(other: Any) -> None:
    """Another type, another number, another nesting: none is taken for the other."""
    assert hash_of_state(other) not in (None, hash_of_state([1.0, 2.0]))


def test_arrays_count_by_their_numbers() -> None:
    """A view, a transposed copy and gaps between the fields of a record do not matter; dtype and shape do."""
    array = np.arange(6.0).reshape(2, 3)
    gapped = np.zeros(2, dtype=np.dtype([("a", "u1"), ("b", "f8")], align=True))
    filled = np.frombuffer(b"\xff" * 32, dtype=gapped.dtype).copy()
    filled["a"] = filled["b"] = 0

    assert hash_of_state(np.asfortranarray(array)) == hash_of_state(array)
    assert hash_of_state(array.ravel()) != hash_of_state(array)
    assert hash_of_state(array.astype(np.float32)) != hash_of_state(array)
    assert hash_of_state(gapped) == hash_of_state(filled)


def test_a_ring_comes_to_its_end() -> None:
    """What holds itself has a hash, too."""
    ring: list[Any] = [1]
    ring.append(ring)

    assert hash_of_state(ring) is not None


def test_code_without_a_name_is_not_known() -> None:
    """A lambda says nothing of what it does, so nothing is claimed of what holds one."""
    assert hash_of_state([lambda: 1]) is None
    assert hash_of_state(value for value in ()) is None
    assert hash_of_state([np.abs, len]) is not None


@pytest.mark.parametrize(
    "name", ["RandomForestClassifier", "HistGradientBoostingClassifier", "GradientBoostingClassifier"]
)
def test_an_estimator_keeps_its_hash_through_a_pickle(name: str) -> None:
    """Copied through bytes, a fitted estimator is the same content; fitted on other rows it is another."""
    import sklearn.ensemble

    rows = np.random.default_rng(0).normal(size=(60, 3))
    kind = getattr(sklearn.ensemble, name)
    fitted = kind(random_state=0).fit(rows, rows[:, 0] > 0)

    assert hash_of_state(fitted) is not None
    assert hash_of_state(pickle.loads(pickle.dumps(fitted))) == hash_of_state(fitted)
    assert hash_of_state(kind(random_state=0).fit(rows, rows[:, 1] > 0)) != hash_of_state(fitted)
