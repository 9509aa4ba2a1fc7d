"""Torch modules: read without running code where that can be, asked in order, refused where they are not steady."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows_and_models import FEATURES, approve, project, read, scored, table, written

from nbproof.errors import ModelUnsteady, ModelUnusable, ScoreRefused
from nbproof.explain.torch_files import filled, is_weights, weights
from nbproof.score.device import CPU, Transfers, choose
from nbproof.score.network import Network
from nbproof.score.scorer import refuse_unsteady

torch = pytest.importorskip("torch")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with rows to score."""
    made = project(tmp_path / "project")
    written(made / "rows.parquet", table(90), 40)
    return made


def module(kind: Any = None) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).to(kind or torch.float32)


def rows() -> Any:
    return torch.tensor(np.stack([table(90)[name] for name in FEATURES], 1))


def test_an_exported_program_scores_once_it_is_approved(place: Path) -> None:
    """Reading one can run code: a bypass is refused, an approval of its bytes is not."""
    made = module().eval()
    some = torch.export.Dim("rows")
    program = torch.export.export(made, (torch.zeros(4, 3),), dynamic_shapes=({0: some},))
    torch.export.save(program, place / "model.pt2")
    with pytest.raises(ScoreRefused, match="can run any code"):
        scored(place, place / "rows.parquet", model="model.pt2", features=FEATURES)
    approve(place, place / "model.pt2")

    with pytest.raises(ModelUnusable, match="no names of its features"):
        scored(place, place / "rows.parquet", model="model.pt2", unsafe=None)
    scored(place, place / "rows.parquet", model="model.pt2", features=FEATURES, unsafe=None)
    scored(place, place / "rows.parquet", "all", model="model.pt2", features=("*",), unsafe=None)

    with torch.no_grad():
        expected = made(rows().float())[:, 0].numpy()
    found = read(place / "scores")
    np.testing.assert_allclose(found["prediction"], expected, rtol=1e-5, atol=1e-7)
    assert str(found.schema.field("prediction").type) == "float"
    assert read(place / "all").to_pydict() == found.to_pydict()


def test_torchscript_scores_once_it_is_approved(place: Path) -> None:
    """So does TorchScript; it is set to answer, not to train."""
    made = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.5)).train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(made).save(place / "model.pt")
    approve(place, place / "model.pt")

    scored(place, place / "rows.parquet", model="model.pt", features=FEATURES, unsafe=None)

    with torch.no_grad():
        expected = made[0](rows().float()).numpy()
    found = read(place / "scores")
    assert found.column_names == ["id", "prediction_0", "prediction_1"]
    np.testing.assert_allclose(np.stack([found["prediction_0"], found["prediction_1"]], 1), expected, rtol=1e-5)


def safetensors(path: Path, held: dict[str, Any]) -> Path:
    """Tensors as that format spells them."""
    head, body = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in held.items():
        content = tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        kind = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16"}[tensor.dtype]
        head[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    said = json.dumps(head).encode()
    path.write_bytes(len(said).to_bytes(8, "little") + said + body)
    return path


@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16"])
def test_weights_are_read_without_running_code(tmp_path: Path, kind: str) -> None:
    """Safetensors and a state dict give the same module, in the precision that they were written in."""
    made = module(getattr(torch, kind))
    torch.save(made.state_dict(), tmp_path / "weights.pt")
    safetensors(tmp_path / "weights.safetensors", made.state_dict())

    for name in ("weights.pt", "weights.safetensors"):
        assert is_weights(tmp_path / name)
        found = filled(module, weights(tmp_path / name, name), name)
        assert {name: each.dtype for name, each in found.state_dict().items()} == {
            name: each.dtype for name, each in made.state_dict().items()
        }
        assert all(torch.equal(each, made.state_dict()[name]) for name, each in found.state_dict().items())


def test_weights_of_another_module_are_refused(tmp_path: Path) -> None:
    """Also a file that is cut short, one with a place outside of it, and a state dict that is none."""
    path = safetensors(tmp_path / "weights.safetensors", {"0.weight": torch.zeros(2, 2)})
    with pytest.raises(ModelUnusable, match="weights of another module"):
        filled(module, weights(path, "w"), "w")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ModelUnusable, match="no weights that can be read"):
        weights(path, "w")
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(ModelUnusable, match="no weights that can be read"):
        weights(path, "w")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ModelUnusable, match="a list"):
        weights(tmp_path / "list.pt", "w")


def test_a_module_whose_answers_hang_together_is_refused() -> None:
    """Dropout left on changes its mind; batch statistics look at the rows beside."""
    given = rows().float().numpy()
    unsteady = Network(torch.nn.Dropout(0.5).train(), FEATURES, CPU, name="p", model="m")
    beside = Network(torch.nn.BatchNorm1d(3, track_running_stats=False), FEATURES, CPU, name="p", model="m")
    fine = Network(module().eval(), FEATURES, CPU, name="p", model="m")

    with pytest.raises(ModelUnsteady):
        refuse_unsteady(unsteady, given, "m")
    with pytest.raises(ScoreRefused, match="when the same rows come in two batches"):
        refuse_unsteady(beside, given, "m")
    refuse_unsteady(fine, given, "m")


def test_a_module_that_takes_other_rows_is_refused() -> None:
    """The number of features is known before a row is read."""
    with pytest.raises(ModelUnusable, match="that it takes no rows of 2 features"):
        Network(module(), ("a", "b"), CPU, name="p", model="m")
    with pytest.raises(ModelUnusable, match="a tuple as its answer"):
        Network(torch.nn.GRU(3, 2), FEATURES, CPU, name="p", model="m")


def carried(device: Any) -> None:
    """Batches that are written into the same memory again and again come back as they went."""
    transfers = Transfers(device)
    memory = [transfers.memory((50, 3), torch.float32) for _ in range(2)]
    waiting = []
    for at in range(20):
        rows = memory[at % 2]
        if len(waiting) == 2:
            number, pending = waiting.pop(0)
            assert (pending.wait() == number).all()
        rows[:] = at
        waiting.append((at, transfers.to_host(transfers.to_device(rows) + 0)))
    assert [int(pending.wait()[0, 0]) for _, pending in waiting] == [18, 19]


def test_batches_travel_and_come_back() -> None:
    """The path of a GPU, on the processor."""
    carried(CPU)


def test_batches_travel_to_a_gpu_and_come_back() -> None:
    """The same path, with pinned memory and a stream of its own; and a module answers there as it does here."""
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU on this machine")
    device = choose("cuda")
    carried(device)
    given = rows().float().numpy()
    made = module().eval()
    here = Network(made, FEATURES, CPU, name="p", model="m").begin(given).wait().copy()

    there = Network(made, FEATURES, device, name="p", model="m").begin(given).wait()

    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-6)
