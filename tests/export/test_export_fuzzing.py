"""No package of a made notebook is silently wrong: a sample of what `python -m benchmarks.export_fuzz` tries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fuzzing_grammar import BLIND, HEAVY, LIGHT, PIECES, MadeCell, made
from fuzzing_trial import Trials

SEEDS = range(40)


@pytest.fixture(scope="module")
def trials() -> Iterator[Trials]:
    with Trials() as trying:
        yield trying


@pytest.mark.parametrize("seed", SEEDS)
def test_a_made_notebook_is_exported_equal_or_refused(trials: Trials, seed: int) -> None:
    """An IPython shell runs its cells, its package runs twice, and nothing that they leave is another."""
    trial = trials.judge(made(seed).cells)

    assert trial.verdict in ("equal", "refused", "no notebook"), trial.words


def test_the_oracle_sees_what_the_exporter_overlooks(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that calls everything equal is caught."""
    from nbproof.export.equivalence.compare import Equivalence

    monkeypatch.setattr(Equivalence, "holds", property(lambda _: True))
    cells = (
        MadeCell("code", "class A:\n    pass\nname = A.__module__"),
        MadeCell("markdown", "# More"),
        MadeCell("code", "name"),
    )

    trial = trials.judge(cells)

    assert trial.verdict == "different"
    assert "values `name`" in trial.words[0]


def test_one_seed_is_one_notebook() -> None:
    """A notebook that was found wrong can be made again."""
    assert made(7) == made(7)
    assert made(7) != made(8)


def test_every_piece_of_the_grammar_grows() -> None:
    """In two thousand notebooks each of them stands somewhere."""
    assert {piece for seed in range(2000) for piece in made(seed).pieces} == PIECES.keys()
    assert PIECES.keys() == {*LIGHT, *HEAVY, *BLIND}
