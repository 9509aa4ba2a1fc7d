"""A model as teams run it elsewhere: the context of a container, an MLflow model, a bento, a repository of Triton.

Each holds the very bytes that were admitted and is pinned to their hash, where it runs by us: what lies there later and
is something else is not loaded. Whether the approval still holds nobody can ask in such a place.
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from ..errors import ExtraMissing, ModelRefused
from ..explain.keras_files import KERAS
from ..explain.onnx_files import ONNX, read_graph
from ..explain.torch_files import EXPORTED, SAFETENSORS, floats_of
from ..export.sbom import FILE, LOCK, Subject, asked_by, bill
from ..files import written_whole
from ..notebook.products import as_json
from ..records import ContentHash
from ..run.sources.distributions import normalised
from .admission import Grant
from .boosted import XGBOOST
from .network import SUFFIXES as NETWORKS
from .network import torch_module
from .package import Model, Package, probes

Kind = Literal["bentoml", "container", "mlflow", "triton"]
PINNED = "pinned.json"
# What a service imports whatever it serves; the extra `serve` names the same and is what people install.
CORE = ("fastapi", "httpx", "numpy", "pandas", "prometheus-client", "pydantic", "scikit-learn", "skops",
        "typing-extensions", "uvicorn")  # fmt: skip
# What scoring imports without a service of ours, and what verifies the signatures of an approval.
SCORES = ("cryptography", "numpy", "pandas", "pydantic", "pyyaml", "scikit-learn", "skops", "typing-extensions")
EXPLAINED = ("joblib", "pyarrow", "scipy", "shap")
# What a kind of file needs beside that: of each, the first of these names that is installed.
OF_SUFFIX: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(XGBOOST, (("xgboost-cpu", "xgboost"),)), ONNX: (("onnxruntime",),),
    **dict.fromkeys((EXPORTED, SAFETENSORS), (("torch",),)), KERAS: (("keras",), ("torch",)),
}  # fmt: skip
USER, PORT = 10001, 8000


@dataclass(frozen=True, slots=True)
class Shipped:
    """What was written: the files by their names, below the folder."""

    folder: Path
    files: tuple[str, ...]


def ship(package: Package, grant: Grant, folder: Path, kind: Kind, *, explains: bool = True) -> Shipped:
    """Write a model that was admitted to a folder that is not there yet, all of it or nothing.

    Raises `OutputTaken`, `ModelRefused` for a kind that cannot take it, and `ExtraMissing` for what is not installed.
    """
    # A pin vouches for the bytes, and so for what they do: nobody has vouched for those of a draft.
    if package.is_code and not grant.runs_code:
        raise ModelRefused(package.folder, "a model that runs code when it is loaded", "an approval of its content")
    writers: Mapping[Kind, Callable[[Path], None]] = {
        "container": lambda place: _container(package, grant, place, explains=explains),
        "mlflow": lambda place: _mlflow(package, grant, place),
        "bentoml": lambda place: _bento(package, grant, place),
        "triton": lambda place: _triton(package, place, runs_code=grant.runs_code),
    }
    with written_whole(folder) as unfinished:
        writers[kind](unfinished)
    return Shipped(
        folder, tuple(sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()))
    )


def pins(package: Package, *, explains: bool) -> list[tuple[str, str]]:
    """The distributions that a service of this model needs, with all that they need, as they are installed here."""
    suffix = Path(package.manifest.files["model"][0]).suffix.lower()
    roots = [*CORE, *(EXPLAINED if explains and suffix not in NETWORKS else ())]
    for choices in OF_SUFFIX.get(suffix, ()):
        roots.append(next(filter(_is_installed, choices), choices[0]))
    return closure(roots)


def closure(roots: Iterable[str]) -> list[tuple[str, str]]:
    """Distributions with all that they ask for in turn, each in the version that is installed."""
    found: dict[str, str] = {}
    left = list(roots)
    while left:
        name = normalised(left.pop())
        if name in found:
            continue
        try:
            held = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise ExtraMissing(name, "serve") from None
        # The part after `+` says who built it; other builds of the same version count as the same.
        found[name] = held.version.partition("+")[0]
        left += asked_by(held)
    return sorted(found.items())


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _container(package: Package, grant: Grant, place: Path, *, explains: bool) -> None:
    manifest = package.manifest
    pinned = pins(package, explains=explains)
    _write_package(package, place / "model")
    _write_code(place / "nbproof")
    lock = f"# What {manifest.name} {manifest.version} is served with: pip install -r {LOCK}\n"
    (place / LOCK).write_text(lock + "".join(f"{name}=={version}\n" for name, version in pinned))
    model = f"model/{manifest.files['model'][0]}"
    files = {f"model/{name}": ContentHash.of(content).hex for name, content in package.contents.files.items()}
    subject = Subject(manifest.name, manifest.version, files=files, models=frozenset({model}))
    listed = [*pinned, ("nbproof", metadata.version("nbproof"))]
    (place / FILE).write_text(as_json(bill(subject, listed)))
    (place / "Containerfile").write_text(_containerfile(package, grant))
    (place / ".dockerignore").write_text("**/__pycache__\n")


def _containerfile(package: Package, grant: Grant) -> str:
    python = platform.python_version()
    name, version = package.manifest.name, package.manifest.version
    # Inside a container the port is opened by whoever runs it, so the service listens on every address there.
    command = ["python", "-m", "nbproof.serve", "/service/model", "--host", "0.0.0.0", "--port", str(PORT),  # noqa: S104
               "--api-keys", "/keys/keys.txt", "--pinned", package.contents.digest.hex]  # fmt: skip
    words = ["--pinned-words", grant.sentence]
    spelled = ", ".join(_quoted(each) for each in [*command, *words])
    return f"""\
# {name} {version}: `podman build -t {name}:{version} .` in this folder, then
# `podman run --read-only --network=… -v ./keys.txt:/keys/keys.txt:ro -p {PORT}:{PORT} {name}:{version}`.
# Any image with this Python will do, also where nothing can be pulled: --build-arg BASE=IMAGE
ARG BASE=python:{python}-slim
FROM ${{BASE}}

# Where wheels come from, for whoever builds without a network or from an index of his own.
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PATH=/environment/bin:$PATH PYTHONPATH=/service PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
RUN useradd --no-create-home --uid {USER} --shell /usr/sbin/nologin service \\
    && python{".".join(python.split(".")[:2])} -m venv /environment
COPY {LOCK} /service/
RUN pip install --no-cache-dir -r /service/{LOCK}
COPY nbproof /service/nbproof
COPY model /service/model
COPY {FILE} /service/

USER {USER}
EXPOSE {PORT}
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \\
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/ready', timeout=2)"]
# Without a file of keys it does not start: whoever runs it decides who may ask (`nbproof serve-key keys.txt NAME`).
CMD [{spelled}]
"""


def _quoted(text: str) -> str:
    import json

    # A line of such a file takes no other breaks, and dollars are none of ours.
    return json.dumps(text, ensure_ascii=False).replace("$", "")


def _mlflow(package: Package, grant: Grant, place: Path) -> None:
    import json
    import uuid

    import yaml

    _write_package(package, place / "data/model")
    (place / "data" / PINNED).write_text(as_json({"digest": package.contents.digest.hex, "words": grant.sentence}))
    _write_code(place / "code/nbproof")
    kinds = {"integer": "long", "number": "double", "string": "string", "boolean": "boolean"}
    # MLflow has no whole numbers that may be missing.
    inputs = [
        {"type": "double" if each.nullable and each.type == "integer" else kinds[each.type], "name": each.name,
         "required": True} for each in package.signature.inputs
    ]  # fmt: skip
    listed = [f"{name}=={version}" for name, version in [*pins(package, explains=False), *_own("mlflow")]]
    python = platform.python_version()
    (place / "requirements.txt").write_text("".join(f"{line}\n" for line in listed))
    environment = {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
    (place / "python_env.yaml").write_text(yaml.safe_dump(environment, sort_keys=False))
    about = {
        "flavors": {"python_function": {
            "loader_module": f"{__package__}.pyfunc", "data": "data", "code": "code", "python_version": python,
            "env": {"virtualenv": "python_env.yaml"},
        }},
        "metadata": {"name": package.manifest.name, "version": package.manifest.version,
                     "digest": package.contents.digest.hex, "approval": grant.sentence},
        "model_uuid": uuid.UUID(bytes=bytes.fromhex(package.contents.digest.hex)[:16], version=4).hex,
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps([{"type": "double", "required": True}]),
                      "params": None},
    }  # fmt: skip
    (place / "MLmodel").write_text(yaml.safe_dump(about, sort_keys=True))


def _bento(package: Package, grant: Grant, place: Path) -> None:
    import yaml

    manifest = package.manifest
    _write_package(package, place / "model")
    _write_code(place / "nbproof")
    (place / PINNED).write_text(as_json({"digest": package.contents.digest.hex, "words": grant.sentence}))
    suffix = Path(manifest.files["model"][0]).suffix.lower()
    # What scores depend on; the web server is BentoML's own, which asks for other versions of what that needs.
    libraries = [next(filter(_is_installed, choices), choices[0]) for choices in OF_SUFFIX.get(suffix, ())]
    listed = closure([*SCORES, *libraries])
    (place / LOCK).write_text("".join(f"{name}=={version}\n" for name, version in listed))
    about = {
        "service": "service:Service",
        "name": re.sub(r"[^a-z0-9._-]", "-", manifest.name.lower()),
        "labels": {"version": manifest.version, "digest": package.contents.digest.hex[:63]},
        "include": ["service.py", PINNED, LOCK, "model/", "nbproof/"],
        "python": {"requirements_txt": LOCK, "lock_packages": False},
        "envs": [{"name": "BENTOML_DO_NOT_TRACK", "value": "True"}, {"name": "OMP_NUM_THREADS", "value": "1"}],
    }
    (place / "bentofile.yaml").write_text(yaml.safe_dump(about, sort_keys=False))
    (place / "service.py").write_text(_BENTO)


_BENTO = '''\
"""An approved model as a bento: `bentoml serve` in this folder, or `bentoml build`; it loads nothing else."""

from pathlib import Path
from typing import Any

import bentoml

from nbproof.serve.bento import Answers
from nbproof.serve.rows import RowsRefused
from nbproof.serve.stage import NotReady


@bentoml.service(workers=1, traffic={"timeout": 30})
class Service:
    def __init__(self) -> None:
        self.answers = Answers(Path(__file__).resolve().parent)

    @bentoml.api
    def predict(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        try:
            return self.answers.predict(rows)
        except RowsRefused as refused:
            raise bentoml.exceptions.InvalidArgument(
                "; ".join(f"{where}: {what}" for where, what in refused.problems)
            ) from None
        except NotReady as error:
            raise bentoml.exceptions.ServiceUnavailable(str(error)) from None

    async def __is_ready__(self) -> bool:
        return self.answers.is_ready
'''


def _own(name: str) -> list[tuple[str, str]]:
    return [(name, metadata.version(name))] if _is_installed(name) else []


@dataclass(frozen=True, slots=True)
class _Tensor:
    """An input or output as Triton is told of it; `shape` is that of one row."""

    name: str
    kind: str
    shape: tuple[int, ...]

    @property
    def line(self) -> str:
        # Of a vector Triton is told that each row has one number, and no further axis.
        more = "" if self.shape else " reshape: { shape: [ ] }"
        listed = ", ".join(map(str, self.shape or (1,)))
        return f'  {{ name: "{self.name}" data_type: {self.kind} dims: [ {listed} ]{more} }}'


def _triton(package: Package, place: Path, *, runs_code: bool) -> None:
    """A repository of one model; Triton asks nobody about an approval, so its own access rules are what guards it."""
    file = package.manifest.files["model"][0]
    suffix, name = Path(file).suffix.lower(), package.manifest.name
    if suffix not in (ONNX, EXPORTED, SAFETENSORS):
        raise ModelRefused(package.folder, f"`{file}`, which no backend of Triton reads as it is", "ONNX, or torch's")
    # What does not answer as its signature says is not shipped.
    model = package.load(runs_code=runs_code)
    if suffix == ONNX:
        platform_, stored, content = "onnxruntime_onnx", "model.onnx", package.contents.of(file)
        inputs, outputs = _tensors_of_graph(content, name)
    else:
        platform_, stored = "pytorch_libtorch", "model.pt"
        content, inputs, outputs = _traced(package, model)
    folder = place / name
    (folder / "1").mkdir(parents=True)
    (folder / "1" / stored).write_bytes(content)
    listed = {"input": inputs, "output": outputs}
    blocks = [f"{key} [\n" + ",\n".join(each.line for each in held) + "\n]\n" for key, held in listed.items()]
    (folder / "config.pbtxt").write_text(
        f'name: "{name}"\nplatform: "{platform_}"\nmax_batch_size: 256\n{"".join(blocks)}dynamic_batching {{ }}\n'
        'version_policy: { specific: { versions: [ 1 ] } }\n'
        f'parameters: {{ key: "digest" value: {{ string_value: "{package.contents.digest.hex}" }} }}\n'
    )  # fmt: skip


def _tensors_of_graph(content: bytes, name: str) -> tuple[list[_Tensor], list[_Tensor]]:
    graph = read_graph(content, name, threads=1)
    kinds = {"tensor(float)": "TYPE_FP32", "tensor(double)": "TYPE_FP64", "tensor(float16)": "TYPE_FP16"}

    def told(each: Any) -> _Tensor:
        shape = tuple(size if isinstance(size, int) else -1 for size in each.shape[1:])
        return _Tensor(each.name, kinds[each.type], shape)

    outputs = [told(each) for each in graph.session.get_outputs() if each.name == graph.output]
    return [told(each) for each in graph.session.get_inputs()], outputs


def _traced(package: Package, model: Model) -> tuple[bytes, list[_Tensor], list[_Tensor]]:
    """A module as TorchScript, which is what Triton's backend reads; it must answer as the model does, bit for bit."""
    import io
    import warnings

    import numpy as np
    import torch

    manifest = package.manifest
    code = package.contents.of(manifest.files["module"][0]) if "module" in manifest.files else None
    file = manifest.files["model"][0]
    module = torch_module(package.contents.of(file), Path(file).suffix.lower(), code, where=package.folder)
    block = probes(model.signature)
    kind = floats_of(module)
    rows = torch.from_numpy(block).to(kind)
    buffer = io.BytesIO()
    with warnings.catch_warnings(record=True) as heard, torch.inference_mode():
        # Torch would rather have another format; Triton reads this one.
        warnings.simplefilter("always")
        torch.jit.save(torch.jit.trace(module, rows[:5], check_trace=False), buffer)  # type: ignore[no-untyped-call]
        found = torch.jit.load(io.BytesIO(buffer.getvalue()))(rows).float().numpy().astype(np.float64)  # type: ignore[no-untyped-call]
    # A trace keeps the one way that it has gone, whatever other rows would lead to.
    is_branching = any(each.category.__name__ == "TracerWarning" for each in heard)
    asked = np.asarray(model.estimator.ask(block.astype(model.estimator.dtype)), dtype=np.float64)
    if is_branching or not np.array_equal(found, asked):
        raise ModelRefused(package.folder, "a module that answers otherwise as TorchScript", "one that does not branch "
                           "by its numbers")  # fmt: skip
    spelled = {"torch.float64": "TYPE_FP64", "torch.float16": "TYPE_FP16", "torch.bfloat16": "TYPE_BF16"}
    told = spelled.get(str(kind), "TYPE_FP32")
    return (
        buffer.getvalue(),
        [_Tensor("INPUT__0", told, (block.shape[1],))],
        [_Tensor("OUTPUT__0", told, tuple(found.shape[1:]))],
    )


def _write_package(package: Package, place: Path) -> None:
    for name, content in package.contents.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)


def _write_code(place: Path) -> None:
    """This very nbproof, as it is: what serves there is what served here."""
    shutil.copytree(Path(__file__).parents[1], place, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
