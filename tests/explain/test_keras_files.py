"""Files of Keras: what is read answers as what was saved, whatever it was saved with; code and other files stay out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_networks import FEATURES, keras, network, saved, with_layer, with_part
from nbproof.errors import ModelUnusable
from nbproof.explain import loading
from nbproof.explain.keras_files import read_keras, read_network
from nbproof.explain.model import hash_of, read
from nbproof.explain.question import ask
from nbproof.explain.shapley.dispatch import explain

ROWS = np.random.default_rng(3).uniform(-3, 3, (40, FEATURES))
# A functional network with a normalization, batch statistics and dropout, trained and saved by Keras with TensorFlow,
# and what TensorFlow answered.
OF_TENSORFLOW = Path(__file__).parent / "saved_by_tensorflow.keras"
ASKED = np.array([[0.5, 1.0, -1.0], [-2.0, 0.0, 2.0], [1.5, -0.5, 0.25]])
ANSWERED = [0.06479354947805405, 0.27692458033561707, 0.09810999035835266]


def test_a_loaded_network_answers_as_the_saved_one(tmp_path: Path) -> None:
    """The same answers, bit by bit, in the same unit, under the same hash; another layer or number is another hash."""
    model = network()
    saved(model, tmp_path)

    before, after = read(model), read(loading.model(tmp_path / "saved.keras"))

    assert (after.family, after.features, after.units) == ("network", FEATURES, ("probability",)) == (
        before.family, before.features, before.units
    )  # fmt: skip
    assert np.array_equal(before.answers[0].ask(ROWS), after.answers[0].ask(ROWS))
    assert hash_of(before) == hash_of(after)
    others = [network(activation="relu"), network(seed=6)]
    assert len({hash_of(before), *(hash_of(read(each)) for each in others)}) == 3
    assert read(network(last="linear")).units == ("raw",)


def test_a_network_of_somebodys_own_class_is_explained_where_it_is() -> None:
    """It cannot be read from a file, and in a notebook it is asked as a module of torch."""

    class Mine(keras().Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = keras().layers.Dense(1, kernel_initializer="ones")

        def call(self, rows: Any) -> Any:
            return self.inner(rows)

    model = Mine()
    model(ROWS[:1].astype(np.float32))

    found = read(model)

    assert (found.family, found.units) == ("network", ("raw",))
    assert found.answers[0].ask(ROWS)[:, 0] == pytest.approx(ROWS.sum(1), abs=1e-5)
    assert hash_of(found) is not None


def test_what_tensorflow_saved_is_answered_with_torch() -> None:
    """A `.keras` file belongs to no backend: answers differ by what single precision leaves open."""
    found = read_network(OF_TENSORFLOW.read_bytes(), "m")

    assert (found.width, found.dtype) == (3, np.dtype("float32"))
    assert found.ask(ASKED.astype(found.dtype))[:, 0] == pytest.approx(ANSWERED, abs=1e-6)
    assert read(loading.model(OF_TENSORFLOW)).answers[0].ask(ASKED)[:, 0] == pytest.approx(ANSWERED, abs=1e-6)


def test_shares_add_up_to_the_answer() -> None:
    """Exactly by coalitions; by gradients as well as a smooth network is integrated."""
    model = read_keras(OF_TENSORFLOW.read_bytes(), "m")
    question = ask(model, ASKED, background=ROWS)

    exact, found = explain(question), explain(question, method="gradients")

    assert (exact.method, exact.unit) == ("enumerated", "probability")
    assert exact.total()[:, 0] == pytest.approx(ANSWERED, abs=1e-6)
    assert found.total()[:, 0] == pytest.approx(ANSWERED, abs=5e-3)


def test_a_folder_that_mlflow_wrote_is_read(tmp_path: Path) -> None:
    """Of MLflow's flavour `keras` the file is taken, never MLflow's loader."""
    flavours = {"keras": {"data": "data", "keras_backend": "torch"}, "python_function": {}}
    (tmp_path / "MLmodel").write_text(json.dumps({"flavors": flavours}))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/model.keras").write_bytes(OF_TENSORFLOW.read_bytes())

    assert read(loading.model(tmp_path)).answers[0].ask(ASKED)[:, 0] == pytest.approx(ANSWERED, abs=1e-6)


def linked(held: bytes) -> bytes:
    """Numbers in another file of HDF5."""
    import h5py

    made = io.BytesIO(held)
    with h5py.File(made, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink("other.h5", "numbers")
    return made.getvalue()


def outside(held: bytes) -> bytes:
    """Numbers that are bytes of any file."""
    import h5py

    made = io.BytesIO(held)
    with h5py.File(made, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset(
            "0", shape=(FEATURES, 4), dtype="f4", external=[("/etc/passwd", 0, FEATURES * 16)]
        )
    return made.getvalue()


def custom() -> dict[str, Any]:
    """How a layer of somebody's own is written down."""
    return {"module": "mine.layers", "class_name": "Scaled", "config": {}, "registered_name": "mine>Scaled"}


REFUSED: dict[str, tuple[Any, str]] = {
    "a lambda": (lambda whole: with_layer(whole, 1, class_name="Lambda"), "`Lambda`, which carries code"),
    "a module of torch": (
        lambda whole: with_layer(whole, 1, class_name="TorchModuleWrapper", module="keras.layers"),
        "`TorchModuleWrapper`, which carries code",
    ),
    "a layer of somebody's own": (lambda whole: with_layer(whole, 1, **custom()), "`mine>Scaled`, which is none"),
    "a module that would be imported": (
        lambda whole: with_layer(whole, 1, class_name="Popen", module="subprocess", registered_name=None),
        r"`subprocess\.Popen`, which is none of Keras",
    ),
    "a function that is no layer": (
        lambda whole: with_layer(whole, 1, class_name="get_file", module="keras.utils", registered_name=None),
        r"`keras\.utils\.get_file`, which is none of Keras",
    ),
    "a list of words": (
        lambda whole: with_layer(whole, 1, class_name="StringLookup", registered_name=None), "by a list of words"
    ),
    "a file within": (lambda whole: with_part(whole, "assets/words.txt", lambda _: b"x"), "`assets/words.txt` in it"),
    "a link": (lambda whole: with_part(whole, "model.weights.h5", linked), "a link in place of the numbers"),
    "numbers of another file": (lambda whole: with_part(whole, "model.weights.h5", outside), "lie in other files"),
    "numbers that are none": (lambda whole: with_part(whole, "model.weights.h5", lambda _: b"x"), "no Keras model"),
    "another shape": (lambda whole: with_layer(whole, 1, build_config={"input_shape": [None, 9]}), "no Keras model"),
    "another file": (lambda whole: b"hello", "no Keras model that can be read"),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return saved(network(), tmp_path_factory.mktemp("keras"))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_brings_code_or_other_files_is_refused(whole: bytes, kind: str) -> None:
    """In one line, before Keras looks at it; also where the process has told Keras to allow it."""
    change, words = REFUSED[kind]
    content = change(whole)

    def unsafely() -> None:
        keras().config.enable_unsafe_deserialization()
        read_network(content, "m")

    # Keras keeps that for each thread.
    with ThreadPoolExecutor(1) as thread, pytest.raises(ModelUnusable, match=words) as raised:
        thread.submit(unsafely).result()

    assert "\n" not in str(raised.value)
    assert read_network(whole, "m").width == FEATURES


def test_code_that_keras_would_write_down_is_never_run(tmp_path: Path) -> None:
    """A lambda as Keras itself saves it."""
    ran = tmp_path / "ran"
    leaves = eval(f"lambda x: [x, __import__('pathlib').Path({os.fspath(ran)!r}).touch()][0]")
    content = saved(network(more=keras().layers.Lambda(leaves)), tmp_path)
    ran.unlink()

    with pytest.raises(ModelUnusable, match="`Lambda`, which carries code"):
        read_keras(content, "m")

    assert not ran.exists()


def test_other_inputs_than_rows_of_numbers_are_refused(tmp_path: Path) -> None:
    """Pictures, several inputs and several outputs: what asks it has rows."""
    layers = keras().layers
    one, two = keras().Input((3,)), keras().Input((2,))
    picture = keras().Sequential([keras().Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)])
    both = keras().Model([one, two], layers.Dense(1)(layers.Concatenate()([one, two])))
    wide = keras().Model(one, [layers.Dense(1)(one), layers.Dense(2)(one)])

    for model, words in ((picture, r"inputs of the shapes \(None, 4, 4, 1\)"),
                         (both, r"inputs of the shapes \(None, 3\), \(None, 2\)"),
                         (wide, r"outputs of the shapes \(None, 1\), \(None, 2\)")):  # fmt: skip
        with pytest.raises(ModelUnusable, match=words):
            read_keras(saved(model, tmp_path), "m")


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras has one for the whole process, and it was chosen."""
    monkeypatch.setattr(keras().backend, "backend", lambda: "jax")

    with pytest.raises(ModelUnusable, match="found Keras with the backend jax, expected torch"):
        read_network(OF_TENSORFLOW.read_bytes(), "m")


@pytest.mark.slow
@pytest.mark.parametrize(("first", "said"), [
    ("", "it reads 3 columns; KERAS_BACKEND stays jax"),
    ("try: import keras\nexcept ImportError: pass", "expected one with the backend torch"),
])  # fmt: skip
def test_keras_is_imported_with_torch(first: str, said: str) -> None:
    """Whatever is set; unless somebody has begun to import it with a backend that is not there."""
    code = f"""
{first}
import os, pathlib, sys
from nbproof.errors import NbproofError
from nbproof.explain.keras_files import read_network
try:
    found = read_network(pathlib.Path(sys.argv[1]).read_bytes(), "m")
    print("it reads", found.width, "columns; KERAS_BACKEND stays", os.environ["KERAS_BACKEND"])
except NbproofError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(OF_TENSORFLOW)], capture_output=True, text=True, check=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )  # fmt: skip

    assert said in ran.stdout


@pytest.mark.slow
def test_what_mlflow_logged_is_read(tmp_path: Path) -> None:
    """MLflow's own `mlflow.keras.save_model` writes what the test above takes for granted."""
    mlflow = pytest.importorskip("mlflow")
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.keras.save_model(model, str(tmp_path / "model"), pip_requirements=["keras"])

    assert hash_of(read(loading.model(tmp_path / "model"))) == hash_of(read(model))
