"""What the panel finds in a notebook's namespace, and what goes with what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from alive import alive
from lightgbm import LGBMClassifier

from nbproof.explain.panel.namespace import look, model_of, table_of


def test_models_and_tables_are_found_and_nothing_else() -> None:
    """Models of all libraries, and tables of two dimensions; neither transformers nor text, and nothing hidden."""
    found = look({**alive(), "_hidden": alive()["forest"], "words": ["a"], "vector": np.zeros(3), "number": 3})

    assert [(each.name, each.library) for each in found.models] == [
        ("forest", "sklearn"), ("boosted", "xgboost"), ("line", "sklearn"), ("pipeline", "sklearn"),
        ("network", "torch"), ("unfitted", "sklearn"),
    ]  # fmt: skip
    assert [each.name for each in found.tables] == ["frame", "wide", "mixed", "matrix", "tensor"]


def test_what_goes_together_is_told() -> None:
    """A table fits a model as it stands, by a part of its columns, or not at all."""
    found = look(alive())

    fits = {each["name"]: each["fits"] for each in found.written()["tables"]}

    assert fits["frame"] == dict.fromkeys(("forest", "boosted", "line", "pipeline", "network", "unfitted"), "all")
    assert fits["wide"] == {"forest": "part", "boosted": "part", "line": "part", "unfitted": "all"}
    assert fits["matrix"]["boosted"] == "all"


def test_a_model_that_is_not_fitted_says_so() -> None:
    """It is listed, with the reason why it cannot be explained."""
    (unfitted,) = [each for each in look(alive()).models if each.name == "unfitted"]

    assert unfitted.problem == "Ridge: found a model that is not fitted, expected a fitted model"


def test_a_network_in_training_mode_says_so() -> None:
    """Its answers change, until somebody calls eval()."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Dropout())

    found = model_of("net", module)
    told = model_of("net", module.eval())

    assert found is not None
    assert "call net.eval() first" in found.problem
    assert told is not None
    assert (told.problem, told.features) == ("", 3)


def test_looking_runs_no_code_of_the_user() -> None:
    """Neither properties nor methods of strange objects are called, nor functions that might be models."""

    class Trap:
        @property
        def predict(self) -> Any:
            raise AssertionError("looked at")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

        def __len__(self) -> int:
            raise AssertionError("counted")

    def function(rows: Any) -> Any:
        raise AssertionError("called")

    function.__module__ = "__main__"

    found = look({"trap": Trap(), "function": function, "kind": Trap, "module": np})

    assert [(each.name, each.library) for each in found.models] == [("trap", "other"), ("function", "function")]
    assert found.models[0].problem == ""


def test_a_function_of_other_arguments_is_no_model() -> None:
    """Only what can be called with the rows alone is offered."""

    def nothing() -> None: ...
    def two(rows: Any, more: Any) -> None: ...

    for function in (nothing, two):
        function.__module__ = "__main__"

    assert look({"nothing": nothing, "two": two}).models == []


def test_names_that_lightgbm_spells_otherwise_still_fit() -> None:
    """It keeps `a b` as `a_b`; the frame's own labels are what is explained."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a b", "c"])
    model = LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(frame, frame["c"] > 0)
    found, table = model_of("model", model), table_of("more", frame.assign(z=1.0))
    assert found is not None
    assert table is not None

    fit = table.fit(found)

    assert fit is not None
    assert fit.columns == ("a b", "c")


def test_sparse_matrices_are_tables_and_empty_ones_are_none() -> None:
    """There is nothing to explain in a table without rows."""
    assert table_of("sparse", scipy.sparse.csr_matrix(np.eye(3))) is not None
    assert table_of("empty", pd.DataFrame({"a": []})) is None
    assert table_of("flat", np.zeros((0, 3))) is None
