"""Deletion, infidelity, randomisation and manipulation: planted models and explainers whose answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nbproof.explain.metrics import deletion, infidelity, manipulation, randomisation, ranking

Array = NDArray[np.float64]
WEIGHTS = np.array([4.0, -3.0, 2.0, -1.0, 0.5, 0.0, 0.0, 0.0])


def normal(rows: int, seed: int, features: int = len(WEIGHTS)) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, features))


def linear(points: Array) -> Array:
    return points @ WEIGHTS[:, None]


def shapley(rows: Array, background: Array) -> Array:
    """The exact Shapley values of `linear`, (rows, features, 1)."""
    return ((rows - background.mean(axis=0)) * WEIGHTS)[:, :, None]


def test_the_areas_of_a_linear_model_are_sums_of_its_shares() -> None:
    """Deleting the first k features moves a linear model by their shares, inserting them leaves the others'."""
    rows, background = normal(5, 0), normal(10, 1)
    values = shapley(rows, background)
    ordered = np.take_along_axis(values[:, :, 0], ranking.order(values[:, :, 0]), axis=1)
    gone = np.cumsum(ordered, axis=1)

    found = deletion.measure(linear, rows, values, background, seed=0)

    assert found.deleted.area == pytest.approx(np.abs(gone).mean(), abs=1e-12)
    assert found.inserted.area == pytest.approx(np.abs(gone[:, -1:] - gone).mean(), abs=1e-12)


def test_exact_values_beat_random_orders() -> None:
    """The exact Shapley values of a linear model are told from chance by many standard errors, both ways."""
    rows, background = normal(100, 0), normal(50, 1)

    found = deletion.measure(linear, rows, shapley(rows, background), background, seed=0)

    assert found.deleted.area > 1.2 * found.deleted.random
    assert found.inserted.area < 0.8 * found.inserted.random
    assert min(found.deleted.sigma or 0, found.inserted.sigma or 0) > 5


def test_random_values_do_not_beat_random_orders() -> None:
    """Of forty explainers that draw their values none is told from chance by three standard errors."""
    rows, background = normal(60, 0), normal(50, 1)

    found = [
        deletion.measure(linear, rows, normal(60, 100 + seed)[:, :, None], background, seed=seed).deleted.sigma
        for seed in range(40)
    ]

    assert max(each or 0.0 for each in found) < 3


def test_a_model_that_never_changes_cannot_be_judged_by_deletion() -> None:
    """Where the order makes no difference there is no sigma, rather than a number made of rounding."""
    rows, background = normal(20, 0), normal(10, 1)

    found = deletion.measure(
        lambda points: np.ones((len(points), 1)), rows, shapley(rows, background), background, seed=0
    )

    assert (found.deleted.sigma, found.inserted.sigma) == (None, None)


def test_deletion_does_not_depend_on_how_rows_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Laid out row by row or all at once, the areas are the same."""
    rows, background = normal(7, 0), normal(10, 1)
    values = shapley(rows, background)
    at_once = deletion.measure(linear, rows, values, background, seed=3)

    monkeypatch.setattr(deletion, "HELD", 1)
    by_row = deletion.measure(linear, rows, values, background, seed=3)

    assert by_row.deleted.area == pytest.approx(at_once.deleted.area, abs=1e-12)
    assert by_row.inserted.random == pytest.approx(at_once.inserted.random, abs=1e-12)


def test_each_output_has_its_own_order() -> None:
    """Two outputs that use different features: the mean area is that of the two explained apart."""
    rows, background = normal(20, 0, 4), normal(10, 1, 4)
    first, second = np.array([3.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 3.0])
    both = np.stack([first, second], axis=1)

    def area(weights: Array) -> float:
        values = (rows - background.mean(axis=0))[:, :, None] * weights
        return deletion.measure(lambda points: points @ weights, rows, values, background, seed=0).deleted.area

    assert area(both) == pytest.approx((area(first[:, None]) + area(second[:, None])) / 2)


def test_wide_tables_take_no_more_steps() -> None:
    """With 200 features a path has 24 steps, so that the model is asked about a bounded number of rows."""
    asked = []

    def counting(points: Array) -> Array:
        asked.append(len(points))
        return points.sum(axis=1, keepdims=True)

    rows, background = normal(3, 0, 200), normal(10, 1, 200)
    deletion.measure(counting, rows, rows[:, :, None], background, seed=0)

    assert sum(asked) == 3 + 4 * 2 * 3 * 24 * 10


def test_exact_values_against_one_row_foretell_a_linear_model() -> None:
    """Against a background of one row the shares of a linear model foretell every change: infidelity 0."""
    rows, background = normal(30, 0), normal(1, 1)

    found = infidelity.measure(linear, rows, shapley(rows, background), background, seed=0)

    assert found.value == pytest.approx(0.0, abs=1e-20)
    assert found.ratio == pytest.approx(0.0, abs=1e-20)


def test_a_row_at_the_mean_of_the_background_has_nothing_to_tell() -> None:
    """Its shares are zero, so what single background rows change, 0.3 Σ w² in the mean, stays untold: ratio 1."""
    rows, background = np.zeros((40, len(WEIGHTS))), normal(4000, 1)

    found = infidelity.measure(linear, rows, shapley(rows, background), background, seed=0, draws=400)

    assert found.empty == pytest.approx(0.3 * (WEIGHTS**2).sum(), rel=0.05)
    assert found.ratio == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0])
def test_random_values_are_worse_than_saying_nothing(scale: float) -> None:
    """Noise of any size foretells nothing: the ratio is 1 or more, and never better by three standard errors."""
    rows, background = normal(100, 0), normal(50, 1)

    found = infidelity.measure(linear, rows, scale * normal(100, 9)[:, :, None], background, seed=0)

    assert found.ratio is not None
    assert found.ratio > 0.99
    assert (found.sigma or 0.0) < 3


def test_nothing_said_is_exactly_the_empty_explanation() -> None:
    """An explanation of zeros has a ratio of 1 and no gain."""
    rows, background = normal(20, 0), normal(50, 1)

    found = infidelity.measure(linear, rows, np.zeros((20, len(WEIGHTS), 1)), background, seed=0)

    assert (found.ratio, found.sigma) == (1.0, None)


def test_a_model_that_never_changes_has_no_infidelity() -> None:
    """Where no answer ever changes there is no empty explanation to compare with."""
    rows, background = normal(20, 0), normal(50, 1)

    found = infidelity.measure(
        lambda points: np.ones((len(points), 1)), rows, shapley(rows, background), background, seed=0
    )

    assert found.ratio is None


def network() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(7)
        return torch.nn.Sequential(
            torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Linear(16, 1)
        ).eval()


def gradients(module: torch.nn.Module, rows: Array) -> Array:
    """Gradient times input: an explanation that depends on every weight."""
    points = torch.tensor(rows, dtype=torch.float32, requires_grad=True)
    (found,) = torch.autograd.grad(module(points).sum(), points)
    return (found * points).detach().double().numpy()


def test_a_fresh_network_shares_nothing_with_the_user_s() -> None:
    """The copy has other weights, the module and torch's global generator stay bit for bit as they were."""
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.random.get_rng_state()

    fresh = randomisation.reinitialised(module, 1)

    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.equal(fresh[0].weight, module[0].weight)
    assert fresh[0].weight.data_ptr() != module[0].weight.data_ptr()
    assert not fresh.training


def test_a_fresh_network_follows_from_its_seed() -> None:
    """The same seed draws the same weights, another seed others."""
    first, again, other = (randomisation.reinitialised(network(), seed)[0].weight for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_network_on_two_devices_is_not_drawn_anew() -> None:
    """Where it is not known on which device the copy belongs, none is made."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1, device="meta"))

    with pytest.raises(RuntimeError, match="on 2 devices"):
        randomisation.reinitialised(module, 0)


def test_a_double_network_stays_double() -> None:
    """The copy has the module's own precision."""
    assert randomisation.reinitialised(network().double(), 1)[0].weight.dtype == torch.float64


def test_a_parameter_of_no_known_layer_is_drawn_anew() -> None:
    """A bare parameter, which no layer knows how to draw, does not keep what it has learnt."""

    class Bare(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.arange(6.0))

        def forward(self, points: torch.Tensor) -> torch.Tensor:
            return points @ self.weight

    fresh = randomisation.reinitialised(Bare(), 1)

    assert not torch.isclose(fresh.weight, torch.arange(6.0)).any()


def test_an_explainer_of_the_weights_changes_with_them() -> None:
    """A network that has learnt to look at one feature is told from fresh ones."""
    module, rows = network(), normal(100, 0, 6)
    with torch.no_grad():
        module[0].weight[:, 1:] *= 0.01
    others = [gradients(randomisation.reinitialised(module, seed), rows) for seed in range(3)]

    found = randomisation.measure(gradients(module, rows), others)

    assert found.spearman is not None
    assert found.spearman < 0.5


def test_an_explainer_that_looks_at_the_rows_alone_does_not_change() -> None:
    """An explanation that is the row itself stays the same whatever the network has learnt."""
    rows = normal(20, 0, 6)

    assert randomisation.measure(rows, [rows, rows]) == randomisation.Randomisation(2, pytest.approx(1.0))


def correlated(rows: int, seed: int) -> Array:
    """Real rows: four features that all follow one another, so that probes that draw each alone fall off them."""
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 1)) + 0.1 * random.normal(size=(rows, 4))


def alone(real: Array, seed: int) -> Array:
    """Probes as LIME draws them: each feature for itself."""
    random = np.random.default_rng(seed)
    return np.stack([random.permutation(column) for column in real.T], axis=1)


def biased(points: Array) -> Array:
    return (points[:, :1] > 0).astype(float)


def gamed(points: Array) -> Array:
    """Biased on real rows, innocent off them (Slack et al.): it sees by the spread of a row that it is a probe."""
    return np.where(np.ptp(points, axis=1, keepdims=True) < 0.6, biased(points), (points[:, 3:] % 0.5 > 0.25) * 1.0)


def test_a_gamed_model_is_found_out() -> None:
    """Probes are told from real rows, and the answers to them say nothing of the answers to real rows."""
    real = correlated(600, 0)
    probes = alone(real, 1)

    found = manipulation.measure(real, probes, gamed(real), gamed(probes), seed=0)

    assert found.auc > 0.9
    assert found.known is not None
    assert found.known > 0.9
    assert found.acts_apart


@pytest.mark.parametrize(
    "honest",
    [
        pytest.param(lambda points: points[:, :1] - points[:, 1:2], id="difference"),
        pytest.param(lambda points: points[:, :1] / (np.abs(points[:, 1:2]) + 0.1), id="ratio"),
        pytest.param(lambda points: points[:, :1] * points[:, 1:2], id="product"),
    ],
)
def test_an_honest_model_of_other_scale_off_the_rows_is_not_accused(honest: Callable[[Array], Array]) -> None:
    """Differences, ratios and products of columns that follow one another reach far beyond on probes: no game."""
    real = correlated(600, 0)
    probes = alone(real, 1)

    found = manipulation.measure(real, probes, honest(real), honest(probes), seed=0)

    assert found.auc > 0.9
    assert not found.acts_apart


def test_a_model_that_is_innocent_by_saying_always_the_same_is_found_out() -> None:
    """To probes it gives one answer: they tell nothing."""
    real = correlated(600, 0)
    probes = alone(real, 1)

    found = manipulation.measure(real, probes, biased(real), np.ones((len(probes), 1)), seed=0)

    assert found.told == 0.0

    assert found.acts_apart


def test_an_honest_model_could_be_gamed_and_is_not() -> None:
    """The same probes are told from the same rows as well, but the model treats both alike."""
    real = correlated(600, 0)
    probes = alone(real, 1)

    found = manipulation.measure(real, probes, biased(real), biased(probes), seed=0)

    assert found.auc > 0.9
    assert not found.acts_apart


def test_probes_that_are_rows_cannot_be_told() -> None:
    """Where probes come from where the rows come from, the area under the curve is a half."""
    found = manipulation.measure(
        correlated(600, 0), correlated(600, 1), biased(correlated(600, 0)), biased(correlated(600, 1)), seed=0
    )

    assert found.auc == pytest.approx(0.5, abs=0.06)
    assert not found.acts_apart


def test_a_model_of_which_nobody_knows_anything_is_not_accused() -> None:
    """Answers that no forest can foretell say nothing about gaming."""
    real, random = correlated(300, 0), np.random.default_rng(5)

    found = manipulation.measure(
        real, alone(real, 1), random.normal(size=(300, 1)), random.normal(size=(300, 1)), seed=0
    )

    assert not found.acts_apart


def test_manipulation_follows_from_its_seed() -> None:
    """The same seed gives the same numbers, bit for bit."""
    real = correlated(200, 0)
    probes = alone(real, 1)

    first, again = (manipulation.measure(real, probes, biased(real), biased(probes), seed=4) for _ in range(2))

    assert first == again
