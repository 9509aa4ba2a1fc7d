"""Numbers that cross between numpy and a device of its own: on the processor's own path, and on a GPU where one is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from nbproof.errors import GpuDiffers
from nbproof.jobs.crossing import Crossing

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def crossing(request: pytest.FixtureRequest) -> Iterator[Crossing]:
    """A device whose tensors are copies: a GPU, or the processor treated as one."""
    torch.set_default_device(request.param)
    yield Crossing(torch.device(request.param))
    torch.set_default_device(None)


def draws() -> list[torch.Tensor]:
    """Random numbers in the ways in which notebooks ask for them."""
    torch.manual_seed(3)
    layer = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.3))
    loader = DataLoader(TensorDataset(torch.arange(10)), batch_size=3, shuffle=True)
    return [
        torch.randn(3), torch.rand(size=(2,)), torch.randint(0, 9, (4,)), torch.randperm(7),
        torch.normal(0.0, 1.0, (3,)), torch.normal(torch.zeros(2), torch.ones(2)), torch.randn_like(torch.zeros(5)),
        torch.bernoulli(torch.full((9,), 0.4)), torch.multinomial(torch.ones(5), 3),
        torch.zeros(4).uniform_(-1, 1), torch.nn.init.xavier_normal_(torch.empty(3, 3)),
        torch.randn(3, generator=torch.Generator().manual_seed(5)), functional.dropout(torch.ones(20), 0.5),
        layer(torch.ones(2, 4)), *(batch for (batch,) in loader),
    ]  # fmt: skip


def test_a_seed_means_what_it_means_on_the_processor(crossing: Crossing) -> None:
    """Every draw is the one that the processor makes without us."""
    torch.set_default_device(None)
    expected = [each.detach().clone() for each in draws()]
    torch.set_default_device(crossing.device)

    with crossing.crossed():
        found = [each.detach().cpu() for each in draws()]

    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert not crossing.drew_there


def test_layers_are_initialised_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch hands the functions of `torch.nn.init` their tensor by name, and asks nobody about what they call."""
    found = []
    filled = Crossing._filled

    def noted(self: Crossing, func: Any, args: Any, told: Any) -> torch.Tensor:
        found.append(func.__name__)
        return filled(self, func, args, told)

    monkeypatch.setattr(Crossing, "_filled", noted)
    with Crossing(torch.device("cpu")).crossed():
        torch.nn.Linear(3, 2)
        torch.nn.Embedding(4, 2)
        torch.nn.init.orthogonal_(torch.zeros(3, 3))

    assert found == ["kaiming_uniform_", "uniform_", "normal_", "normal_"]


def trained() -> np.ndarray:
    """A network as a notebook trains it, with no word of a device; what comes back was read from it."""
    torch.manual_seed(0)
    given = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32)
    wanted = given.sum(1, keepdims=True) ** 2
    x, y = torch.from_numpy(given), torch.tensor(wanted)
    network = torch.nn.Sequential(
        torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 1)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        for rows, labels in DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = functional.mse_loss(network(rows), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    network.eval()
    with torch.no_grad():
        answers = network(x).numpy()
    return np.concatenate([answers.ravel(), losses, np.asarray(network[0].weight.detach()).ravel()])


def test_a_notebook_of_the_processor_trains_there_unedited(crossing: Crossing) -> None:
    """Its numbers are those of the processor, but for rounding."""
    torch.set_default_device(None)
    expected = trained()
    torch.set_default_device(crossing.device)

    with crossing.crossed():
        found = trained()

    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def array_changed() -> None:
    given = np.zeros(3)
    tensor = torch.from_numpy(given)
    given[0] = 1.0
    assert tensor is not None


def array_filled_later() -> torch.Tensor:
    given = np.zeros(3)
    tensor = torch.from_numpy(given)
    given[:] = 1.0
    del given
    return tensor + 1


def part_of_it_lives() -> None:
    given = np.zeros((4, 3))
    part = torch.from_numpy(given[1:])[0]
    given += 1.0
    assert part is not None


def tensor_changed() -> None:
    given = np.zeros(3)
    torch.from_numpy(given).add_(1.0)
    assert given is not None


def tensor_set() -> None:
    given = np.zeros(3)
    torch.as_tensor(given)[0] = 5.0
    assert given is not None


def weights_read_before_training() -> None:
    layer = torch.nn.Linear(2, 1)
    before = layer.weight.detach().numpy()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    assert before is not None


def weights_fetched_before_training() -> None:
    layer = torch.nn.Linear(2, 1)
    before = layer.weight.detach().cpu()
    with torch.no_grad():
        layer.weight.data.add_(1.0)
    assert before is not None


@pytest.mark.parametrize(
    "done",
    [array_changed, array_filled_later, part_of_it_lives, tensor_changed, tensor_set, weights_read_before_training],
)
def test_a_copy_that_should_be_the_same_memory_is_refused(crossing: Crossing, done: Callable[[], object]) -> None:
    """On the processor the other of the two would have changed with it."""
    with pytest.raises(GpuDiffers, match="expected the GPU to give what the processor gives"), crossing.crossed():
        done()


def test_what_is_read_cannot_be_written(crossing: Crossing) -> None:
    """The tensor would not know."""
    with crossing.crossed(), pytest.raises(ValueError, match="read-only"):
        torch.zeros(3).numpy()[0] = 1.0


@pytest.mark.skipif("cuda" not in DEVICES, reason="on the processor a tensor asked there is itself")
def test_weights_fetched_before_training_are_refused() -> None:
    """They would have been the weights themselves."""
    torch.set_default_device("cuda")
    try:
        with pytest.raises(GpuDiffers), Crossing(torch.device("cuda")).crossed():
            weights_fetched_before_training()
    finally:
        torch.set_default_device(None)


def test_what_nobody_can_see_is_let_pass(crossing: Crossing) -> None:
    """Buffers that are filled again, temporaries that are changed, copies: nothing of it could be told apart."""
    with crossing.crossed():
        buffer = np.zeros(4)
        for at in range(600):
            buffer[:] = at
            assert torch.from_numpy(buffer).sum().item() == 4 * at
        torch.from_numpy(np.zeros(3)).add_(1.0)
        weights = torch.zeros(2)
        before = weights.numpy().copy()
        weights.add_(1.0)
        assert before.sum() == 0.0
