"""Every check by its code: the only list of them."""

from __future__ import annotations

from .findings import Check

CONTRACT = Check(
    "NBP001", "contract", "the contract is complete, and every parameter has a default",
    "declare typed parameters with defaults in the cell tagged `parameters`", "error",
)  # fmt: skip
SYNTAX = Check("NBP002", "syntax", "every code cell can be read", "mend the cell", "error")
ORDER = Check(
    "NBP003", "hidden-state", "the stored outputs are of one run from top to bottom",
    "restart the kernel and run all cells, then save; or clear all outputs", "error",
)  # fmt: skip
PATHS = Check(
    "NBP004", "absolute-path", "no path leads to one machine's folders",
    "take the path as a parameter, relative to the pipeline's folder", "error",
)  # fmt: skip
INSTALLS = Check(
    "NBP005", "install", "no cell installs anything",
    "put the package into the project's environment, where it is locked", "error",
)  # fmt: skip
SECRETS = Check(
    "NBP006", "secret", "neither source nor outputs hold a secret",
    'declare it in the contract (`token: Secret = "env:TOKEN"`), and withdraw what was shown', "error",
)  # fmt: skip
LINT = Check("NBP007", "lint", "the linter finds nothing", "ruff check NOTEBOOK", "warning")
OWED = Check(
    "NBP008", "owed", "nobody still owes words to the model card or the data sheet",
    "write what the document shows as owed", "warning",
)  # fmt: skip
NAMES = Check(
    "NBP009", "undefined-name", "every name is bound before it is read",
    "define it above; a kernel that still knows it hides that it is gone", "error",
)  # fmt: skip
LOCK = Check(
    "NBP010", "lock", "the environment is locked",
    'name the file in [tool.nbproof.review]: lock = "constraints.txt"', "note",
)  # fmt: skip
RERUN = Check("NBP101", "rerun", "it runs from top to bottom in a new kernel", "nbproof run NOTEBOOK", "error", True)
OUTPUTS = Check(
    "NBP102", "outputs", "the stored outputs are what the code gives",
    "run all cells and save; or clear all outputs", "error", True,
)  # fmt: skip
DETERMINISM = Check(
    "NBP103", "determinism", "two runs give the same, but for times, addresses and temporary paths",
    "seed what draws, sort what has no order; tag a cell `varies` whose output may differ", "error", True,
)  # fmt: skip
METRICS = Check(
    "NBP104", "metrics", "the metrics meet their thresholds",
    "see [tool.nbproof.review.thresholds] in pyproject.toml", "error", True,
)  # fmt: skip

ALL = (CONTRACT, SYNTAX, ORDER, PATHS, INSTALLS, SECRETS, LINT, OWED, NAMES, LOCK, RERUN, OUTPUTS, DETERMINISM, METRICS)
