"""A model elsewhere: a container's context that holds what it needs, an MLflow model, a folder of Triton."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from test_serving_networks import BOUNDED, MODULE, NAMES, exported, graph, network, packaged, safetensors
from test_serving_networks import ROWS as GOLDEN

from nbproof.cli.main import carry_out
from nbproof.errors import ModelRefused, NotApproved, OutputTaken, PackageBroken
from nbproof.export.packaging import provenance
from nbproof.export.sbom import Subject, bill, pins_of
from nbproof.records import ContentHash
from nbproof.serve.admission import Grant
from nbproof.serve.bento import Answers
from nbproof.serve.keys import add
from nbproof.serve.package import read
from nbproof.serve.rows import RowsRefused
from nbproof.serve.shipping import ship
from ports import free_port

ROWS = [{"age": 30, "status": 2, "ratio": 0.25}, {"age": 51, "status": -1, "ratio": None}]
APPROVED = Grant("approved by Ana with notebooks/score.ipynb", True, runs_code=True)
# Only what the lock names can be imported, as in an environment that was made of it alone.
ONLY = """
import sys
from importlib.metadata import packages_distributions

allowed = {line.split("==")[0] for line in open(sys.argv[1]) if "==" in line}
of_module = packages_distributions()

class Absent:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        found = {each.lower().replace("_", "-") for each in of_module.get(top, ())}
        if found and not found & allowed and "nbproof" not in found:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Absent())
from nbproof.serve.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def conforms(found: dict[str, Any]) -> None:
    """The bill is what CycloneDX 1.6 says that one is, and each reference leads somewhere."""
    validation = pytest.importorskip("cyclonedx.validation.json")
    from cyclonedx.schema import SchemaVersion

    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(found)) is None
    refs = {found["metadata"]["component"]["bom-ref"], *(each["bom-ref"] for each in found["components"])}
    assert all({each["ref"], *each["dependsOn"]} <= refs for each in found["dependencies"])


@contextmanager
def answering(command: list[str], url: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process, once it answers at `url`."""
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while True:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                try:
                    if httpx.get(url, trust_env=False).status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield process
        finally:
            os.killpg(process.pid, 15)
            process.communicate(timeout=60)


@pytest.mark.slow
def test_a_container_holds_what_it_needs_and_serves_nothing_else(package_folder: Path, tmp_path: Path) -> None:
    """Its lock is enough, its user is not root, its bill is one, its door is closed, and other bytes are not loaded."""
    package = read(package_folder)
    made = ship(package, APPROVED, tmp_path / "context", "container")
    lines = (made.folder / "Containerfile").read_text().splitlines()
    command = json.loads(next(line for line in lines if line.startswith("CMD "))[4:])
    port = free_port()
    keys = tmp_path / "keys.txt"
    key = {"Authorization": f"Bearer {add(keys, 'app', 'use')}"}

    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]
    assert re.fullmatch(
        r"ARG BASE=python:\d+\.\d+\.\d+-slim", next(line for line in lines if line.startswith("ARG BASE"))
    )
    assert "--unsafe-public-host" not in command
    assert command[command.index("--pinned") + 1] == package.contents.digest.hex
    pins = pins_of((made.folder / "requirements.lock").read_text(), where=made.folder)
    assert {"fastapi", "scikit-learn", "skops", "uvicorn"} <= {name for name, _ in pins}
    assert not {"ploomber", "papermill", "mlflow", "jupyterlab", "torch"} & {name for name, _ in pins}
    told = json.loads((made.folder / "sbom.cdx.json").read_text())
    conforms(told)
    held = {each["name"]: each for each in told["components"]}
    assert held["model/model.skops"]["type"] == "machine-learning-model"
    assert held["model/model.skops"]["hashes"][0]["content"] == package.manifest.files["model"][1].hex
    assert {name for name, _ in pins} <= set(held)

    line = [sys.executable, "-c", ONLY, str(made.folder / "requirements.lock"), str(made.folder / "model"),
            "--port", str(port), *command[command.index("--pinned") :], "--api-keys", str(keys)]  # fmt: skip
    with answering(line, f"http://127.0.0.1:{port}/ready", PYTHONPATH=str(made.folder)):
        assert httpx.post(f"http://127.0.0.1:{port}/predict", json={"rows": ROWS}, trust_env=False).status_code == 401
        answer = httpx.post(f"http://127.0.0.1:{port}/predict", json={"rows": ROWS}, headers=key, trust_env=False)
        about = httpx.get(f"http://127.0.0.1:{port}/model", headers=key, trust_env=False).json()
    assert answer.json()["scores"] == package.load().score(ROWS)
    assert about["approval"]["sentence"].endswith("when it was built: approved by Ana with notebooks/score.ipynb")
    (made.folder / "model/more.txt").write_text("x")
    ended = subprocess.run(line, env={**os.environ, "PYTHONPATH": str(made.folder)}, capture_output=True, text=True)
    assert ended.returncode == 3
    assert "and the service was built for" in ended.stderr


def test_a_bento_answers_only_with_what_was_approved(package_folder: Path, tmp_path: Path) -> None:
    """Its service has one way to an answer, which holds the bytes against the pin; its lock names what scores need."""
    package = read(package_folder)
    made = ship(package, APPROVED, tmp_path / "bento", "bentoml")
    about = yaml.safe_load((made.folder / "bentofile.yaml").read_text())

    answers = Answers(made.folder)
    assert answers.predict(ROWS) == {"model": "toy", "version": "1.2.3", "scores": package.load().score(ROWS)}
    with pytest.raises(RowsRefused):
        answers.predict([{**ROWS[0], "age": "x"}])
    assert about["service"] == "service:Service"
    assert {each.rstrip("/") for each in about["include"]} == {
        each.name for each in made.folder.iterdir() if each.name != "bentofile.yaml"
    }
    pins = {name for name, _ in pins_of((made.folder / "requirements.lock").read_text(), where=made.folder)}
    assert {"scikit-learn", "skops", "numpy", "cryptography"} <= pins
    assert not {"fastapi", "uvicorn", "mlflow"} & pins
    (made.folder / "model/more.txt").write_text("x")
    with pytest.raises(NotApproved, match="and the service was built for"):
        Answers(made.folder)


@pytest.mark.slow
def test_mlflow_serves_the_same_numbers(package_folder: Path, tmp_path: Path) -> None:
    """By its own command; rows that do not fit are refused, and other bytes are not loaded."""
    pytest.importorskip("mlflow")
    made = ship(read(package_folder), APPROVED, tmp_path / "mlflow", "mlflow")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(made.folder), "--env-manager", "local",
               "--host", "127.0.0.1", "-p", str(port), "--workers", "1"]  # fmt: skip
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1"}

    # MLflow starts its server by a shell, which finds it on the path.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    with answering(command, f"http://127.0.0.1:{port}/ping", PATH=path, **quiet):

        def asked(rows: list[dict[str, Any]]) -> httpx.Response:
            url = f"http://127.0.0.1:{port}/invocations"
            return httpx.post(url, json={"dataframe_records": rows}, trust_env=False, timeout=60)

        answer, odd = asked(ROWS), asked([{"age": 7, "status": 2, "ratio": 0.25}])

    assert answer.json()["predictions"] == read(package_folder).load().score(ROWS)
    assert odd.status_code >= 400
    load = ("import sys, nbproof.serve.pyfunc as p; p._load_pyfunc(sys.argv[1])", str(made.folder / "data"))
    assert subprocess.run([sys.executable, "-c", *load], capture_output=True).returncode == 0
    (made.folder / "data/model/more.txt").write_text("x")
    assert (
        "and the service was built for"
        in subprocess.run([sys.executable, "-c", *load], capture_output=True, text=True).stderr
    )


def test_triton_gets_torch_as_it_reads_it(tmp_path: Path) -> None:
    """As TorchScript that answers as the module, bit for bit; one that branches by its numbers is refused."""
    import torch

    made = ship(read(packaged(tmp_path / "one", "model.safetensors", safetensors(network()), module=MODULE)), APPROVED,
                tmp_path / "triton", "triton")  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.load(str(made.folder / "net/1/model.pt"))
    rows = torch.from_numpy(GOLDEN).float()
    told = (made.folder / "net/config.pbtxt").read_text()
    branches = MODULE.replace("def make():", "class Branching(torch.nn.Sequential):\n    def forward(self, x):\n"
                              "        return super().forward(x) if x.sum() > -1e9 else super().forward(x) / 2\n\n\n"
                              "def make():").replace("return torch.nn.Sequential(", "return Branching(")  # fmt: skip

    assert torch.equal(script(rows), network()(rows))
    assert 'platform: "pytorch_libtorch"' in told
    assert '{ name: "INPUT__0" data_type: TYPE_FP32 dims: [ 3 ] }' in told
    assert '{ name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 1 ] }' in told
    with pytest.raises(ModelRefused, match="answers otherwise as TorchScript"):
        ship(read(packaged(tmp_path / "two", "model.safetensors", safetensors(network()), module=branches)), APPROVED,
             tmp_path / "no", "triton")  # fmt: skip


def test_triton_is_told_what_the_graph_takes(package_folder: Path, tmp_path: Path) -> None:
    """Names, types and shapes are the file's own; what no backend of it reads is refused."""
    _, content = graph()
    made = ship(read(packaged(tmp_path / "one", "model.onnx", content)), APPROVED, tmp_path / "triton", "triton")

    assert made.files == ("net/1/model.onnx", "net/config.pbtxt")
    assert (made.folder / "net/1/model.onnx").read_bytes() == content
    told = (made.folder / "net/config.pbtxt").read_text()
    assert 'platform: "onnxruntime_onnx"' in told
    assert '{ name: "X" data_type: TYPE_FP32 dims: [ 3 ] }' in told
    assert '{ name: "probabilities" data_type: TYPE_FP32 dims: [ 2 ] }' in told
    assert "label" not in told
    with pytest.raises(ModelRefused, match="no backend of Triton"):
        ship(read(package_folder), APPROVED, tmp_path / "no", "triton")
    assert not (tmp_path / "no").exists()
    assert [each.name for each in BOUNDED.inputs] == list(NAMES)


def test_a_draft_is_not_pinned_where_it_would_run_code(package_folder: Path, tmp_path: Path) -> None:
    """A pin vouches for the bytes, and nobody has; and what is there is never written over."""
    folder = packaged(tmp_path / "p", "model.pt2", exported(network(), tmp_path))
    with pytest.raises(ModelRefused, match="runs code"):
        ship(read(folder), Grant("a draft", False), tmp_path / "out", "container")
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputTaken):
        ship(read(package_folder), APPROVED, tmp_path / "out", "mlflow")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_bill_of_an_exported_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What its lock pins, and each file with its hash, the same bytes each time; a lock without versions is none."""
    package = tmp_path / "training"
    package.mkdir()
    files = {"requirements.lock": "# what it ran with\nnumpy==2.0.0\nPyYAML==6.0  # a remark\n",
             "pyproject.toml": '[project]\nname = "training"\nversion = "1.2.0"\n'}  # fmt: skip
    for name, text in files.items():
        (package / name).write_text(text)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    (package / provenance.FILE).write_bytes(provenance.spelled({"name": "training", "files": hashes, "kept": {}}))

    assert carry_out(["sbom", str(package)]) == 0
    printed = capsys.readouterr().out
    assert carry_out(["sbom", str(package), "-o", str(tmp_path / "bill.json")]) == 0
    assert (tmp_path / "bill.json").read_text() == printed
    found = json.loads(printed)
    conforms(found)
    assert [each["name"] for each in found["components"]] == ["numpy", "pyyaml", "pyproject.toml", "requirements.lock"]
    assert found["components"][0]["purl"] == "pkg:pypi/numpy@2.0.0"
    assert found["components"][3]["hashes"] == [{"alg": "SHA-256", "content": hashes["requirements.lock"]}]
    assert found["metadata"]["component"]["version"] == "1.2.0"
    assert carry_out(["sbom", str(tmp_path)]) == 3
    with pytest.raises(PackageBroken, match="names no version"):
        pins_of("numpy>=2\n", where=package)


def test_a_bill_tells_who_asks_for_what() -> None:
    """By what is installed here, and nothing of another version than the one that is pinned."""
    from importlib.metadata import version

    found = bill(Subject("s", "1"), [("pandas", version("pandas")), ("numpy", version("numpy")), ("scipy", "0.0.1")])
    needs = {each["ref"].partition("@")[0]: each["dependsOn"] for each in found["dependencies"]}

    assert needs["pkg:pypi/pandas"] == [f"pkg:pypi/numpy@{version('numpy')}"]
    assert needs["pkg:pypi/scipy"] == []
    assert needs["s"] == [f"pkg:pypi/pandas@{version('pandas')}", "pkg:pypi/scipy@0.0.1"]
    assert "licenses" not in next(each for each in found["components"] if each["name"] == "scipy")
    assert ContentHash.of(json.dumps(found).encode()) == ContentHash.of(json.dumps(bill(
        Subject("s", "1"), [("scipy", "0.0.1"), ("numpy", version("numpy")), ("pandas", version("pandas"))]
    )).encode())  # fmt: skip
