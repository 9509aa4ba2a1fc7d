"""Networks answer as they answer by themselves: weights with their module, exported programs, and ONNX."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbproof.errors import ModelRefused
from nbproof.explain.onnx_files import read_graph
from nbproof.records import ContentHash
from nbproof.serve.admission import Pinned, Unasked
from nbproof.serve.app import Ways, served
from nbproof.serve.contents import read_contents
from nbproof.serve.package import Manifest, of_contents, read
from nbproof.serve.signature import Input, Signature
from nbproof.serve.source import Folder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

NAMES = ("a", "b", "c")
BOUNDED = Signature(tuple(Input(name, "number", minimum=-10, maximum=10) for name in NAMES))
ROWS = np.random.default_rng(3).uniform(-3, 3, (20, 3))
MODULE = """
import torch


def make():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1), torch.nn.Sigmoid())
"""


def network() -> Any:
    """The module of `MODULE` with weights of its own."""
    made: dict[str, Any] = {}
    exec(MODULE, made)
    torch.manual_seed(5)
    return made["make"]().eval()


def packaged(folder: Path, file: str, content: bytes, *, module: str = "", signature: Signature = BOUNDED) -> Path:
    """A package of these bytes."""
    folder.mkdir()
    held = {"model": (file, content), "signature": ("signature.json", json.dumps(signature.written()).encode())}
    if module:
        held["module"] = ("module.py", module.encode())
    files = {key: (name, ContentHash.of(each)) for key, (name, each) in held.items()}
    for name, each in held.values():
        (folder / name).write_bytes(each)
    (folder / "manifest.json").write_text(json.dumps(Manifest("net", "1.0.0", files).written()))
    return folder


def exported(module: Any, folder: Path) -> bytes:
    rows = torch.export.Dim("rows")
    program = torch.export.export(module, (torch.zeros(4, 3),), dynamic_shapes=({0: rows},))
    torch.export.save(program, folder / "saved.pt2")
    return (folder / "saved.pt2").read_bytes()


def safetensors(module: Any) -> bytes:
    """Its weights as that format spells them."""
    head, body = {}, b""
    for name, tensor in module.state_dict().items():
        raw = tensor.numpy().tobytes()
        head[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + body


def graph(zipmap: bool = False) -> tuple[Any, bytes]:
    """A forest of scikit-learn in ONNX, and itself."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    fitted = RandomForestClassifier(n_estimators=15, random_state=0).fit(ROWS, ROWS[:, 0] > 0.2)
    made = to_onnx(fitted, ROWS[:1].astype(np.float32), options={"zipmap": zipmap})
    return fitted, made.SerializeToString()


def scores_of(folder: Path, rows: np.ndarray = ROWS) -> list[float]:
    """What the service answers, pinned to these bytes."""
    source = Folder(folder)
    package = of_contents(source.contents())
    with TestClient(
        served(package, source, Pinned(package.contents.digest, "approved by Ana"), Ways(explains=True))
    ) as client:
        answer = client.post("/predict", json={"rows": [dict(zip(NAMES, row, strict=True)) for row in rows.tolist()]})
        assert answer.status_code == 200, answer.text
        assert client.get("/model").json()["approval"]["sentence"].endswith("; when it was built: approved by Ana")
        assert (
            "a network is no sum of trees" in client.post("/explain", json={"rows": [dict.fromkeys(NAMES, 1.0)]}).text
        )
        found: list[float] = answer.json()["scores"]
        return found


def test_networks_answer_over_http_what_they_answer(tmp_path: Path) -> None:
    """The golden rows of a module, of its exported program and of a forest in ONNX; each computes in its own type."""
    module = network()
    with torch.no_grad():
        expected = module(torch.from_numpy(ROWS).float())[:, 0].double().numpy()
    forest, content = graph()

    weights = scores_of(packaged(tmp_path / "weights", "model.safetensors", safetensors(module), module=MODULE))
    program = scores_of(packaged(tmp_path / "program", "model.pt2", exported(module, tmp_path)))
    answered = scores_of(packaged(tmp_path / "onnx", "model.onnx", content))

    assert np.abs(np.array(weights) - expected).max() < 1e-6
    assert np.abs(np.array(program) - expected).max() < 1e-6
    assert np.abs(np.array(answered) - forest.predict_proba(ROWS.astype(np.float32))[:, 1]).max() < 1e-6


def test_onnx_takes_one_input_for_each_column(tmp_path: Path) -> None:
    """As converters of pipelines make them; then its names must be those of the signature."""
    from onnx import TensorProto, helper

    kinds = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in NAMES]
    nodes = [helper.make_node("Sum", list(NAMES), ["s"]), helper.make_node("Sigmoid", ["s"], ["y"])]
    inner = helper.make_graph(nodes, "g", kinds, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])])
    content = helper.make_model(inner, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

    found = scores_of(packaged(tmp_path / "one", "model.onnx", content))
    assert np.abs(np.array(found) - 1 / (1 + np.exp(-ROWS.astype(np.float32).sum(1)))).max() < 1e-6
    other = Signature(tuple(Input(name, "number", minimum=-1, maximum=1) for name in ("a", "c", "b")))
    with pytest.raises(ModelRefused, match="a signature with other fields than the model"):
        read(packaged(tmp_path / "two", "model.onnx", content, signature=other)).load()


@pytest.mark.parametrize("kind", ["program", "weights"])
def test_code_is_run_only_where_somebody_vouches_for_it(tmp_path: Path, kind: str) -> None:
    """Not for a folder that nobody was asked about, and not for other bytes than those that were pinned."""
    mark = tmp_path / "ran"
    if kind == "program":
        folder = packaged(tmp_path / "p", "model.pt2", exported(network(), tmp_path))
    else:
        code = f"import pathlib\npathlib.Path({os.fspath(mark)!r}).touch()\n{MODULE}"
        folder = packaged(tmp_path / "p", "model.safetensors", safetensors(network()), module=code)
    source, package = Folder(folder), read(folder)
    with (
        pytest.raises(ModelRefused, match="runs code when it is loaded"),
        TestClient(served(package, source, Unasked(), Ways())),
    ):
        pass
    with (
        pytest.raises(Exception, match="was built for"),
        TestClient(served(package, source, Pinned(ContentHash("0" * 64)), Ways())),
    ):
        pass
    assert not mark.exists()


def test_what_is_no_probability_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    """Logits, dropout left on, fields that may be null, text, a module that is missing: before anybody asks."""
    logits = torch.nn.Sequential(torch.nn.Linear(3, 1)).eval()
    noisy = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Dropout(0.5), torch.nn.Sigmoid()).train()
    null = Signature(tuple(Input(name, "number", nullable=True, minimum=-1, maximum=1) for name in NAMES))
    text = Signature((*BOUNDED.inputs[:2], Input("c", "string")))
    wide = Signature(tuple(Input(name, "number", minimum=-1e300, maximum=1e300) for name in NAMES))
    whole = safetensors(network())
    trained = MODULE.replace("torch.nn.Sigmoid())", "torch.nn.Sigmoid(), torch.nn.Linear(1, 1))")
    cases = [
        ("logits", "model.pt2", exported(logits, tmp_path), {}, "no probabilities"),
        ("noisy", "model.pt2", exported(noisy, tmp_path), {}, "in two batches"),
        ("null", "model.safetensors", whole, {"module": MODULE, "signature": null}, "no probabilities"),
        ("text", "model.safetensors", whole, {"module": MODULE, "signature": text}, "a signature with text"),
        ("wide", "model.safetensors", whole, {"module": MODULE, "signature": wide}, "too large for float32"),
        ("alone", "model.safetensors", whole, {}, "do not tell what to compute"),
        ("other", "model.safetensors", whole, {"module": trained}, "weights of another module"),
        ("unmade", "model.safetensors", whole, {"module": "x = 1"}, "no `make`"),
        ("broken", "model.safetensors", whole, {"module": "1 / 0"}, "ZeroDivisionError"),
        ("short", "model.pt2", b"hello", {}, "no module that can be read"),
        ("cut", "model.safetensors", whole[:30], {"module": MODULE}, "no weights that can be read"),
    ]
    for name, file, content, more, words in cases:
        with pytest.raises(ModelRefused, match=words):
            read(packaged(tmp_path / name, file, content, **more)).load(runs_code=True)


def test_a_number_that_its_type_cannot_hold_is_refused(tmp_path: Path) -> None:
    """422 and no 500, and no score of infinity: where the signature has no bounds, the type of the model has."""
    open_ended = Signature(tuple(Input(name, "number") for name in NAMES))
    _, content = graph()
    folder = packaged(tmp_path / "open", "model.onnx", content, signature=open_ended)
    source = Folder(folder)
    with TestClient(served(read(folder), source, Unasked(), Ways())) as client:
        answer = client.post("/predict", json={"rows": [{"a": 1e300, "b": 0, "c": 0}]})

    assert answer.status_code == 422
    assert "too large for float32" in answer.text


def test_onnx_that_cannot_be_answered_is_refused(tmp_path: Path) -> None:
    """Other bytes, maps in place of numbers, and numbers that lie in files which nobody approved."""
    from onnx import TensorProto, helper

    held = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 1], data_location=TensorProto.EXTERNAL)
    held.external_data.add(key="location", value="weights.bin")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])]
    inner = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])], [held]
    )
    outside = helper.make_model(inner, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    constant = helper.make_node("Constant", [], ["w"], value=held)
    deeper = helper.make_graph([constant, *nodes], "g", inputs, list(inner.output))
    within = helper.make_model(deeper, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

    # A field of a kind that readers skip must hide nothing behind it.
    hidden = bytes([15 << 3 | 3, 15 << 3 | 4]) + outside
    cases = {"hello": b"hello", "zipmap": graph(zipmap=True)[1], "outside": outside, "within": within, "hidden": hidden}
    said = {"zipmap": "the outputs", "outside": "lie in other files", "within": "lie in other files"}
    for name, content in cases.items():
        with pytest.raises(ModelRefused, match=said.get(name, "no ONNX that can be read")):
            read(packaged(tmp_path / name, "model.onnx", content)).load()
    assert read_graph(graph()[1], "m").width == 3


def test_every_file_of_a_network_is_approved_with_it(tmp_path: Path) -> None:
    """Another code of the module is another content, and one that the manifest does not name is none."""
    folder = packaged(tmp_path / "p", "model.safetensors", safetensors(network()), module=MODULE)
    before = read_contents(folder).digest
    (folder / "module.py").write_text(MODULE + "\n")

    assert read_contents(folder).digest != before
    with pytest.raises(ModelRefused, match=r"`module\.py` with"):
        read(folder).load(runs_code=True)
