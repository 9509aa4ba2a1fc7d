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
    "NBP010", "lock", "the environment is locked, each package to one version",
    'name the file in [tool.nbproof.review]: lock = "constraints.txt"', "note",
)  # fmt: skip
SAFETY = Check(
    "NBP011", "safety", "bandit finds nothing of medium or high severity in the code",
    "mend the cell; what is meant is marked `# nosec` with a reason", "warning",
)  # fmt: skip
ADVISORIES = Check(
    "NBP012", "advisories", "no locked package has a known vulnerability",
    'take a version that mends it; the database is [tool.nbproof.review] advisories = "osv.zip"', "error",
)  # fmt: skip
FINGERPRINTS = Check(
    "NBP013", "fingerprints", "each source of the data is recorded with the hash that its file has",
    "nbproof run; the product `data_catalog` names sources with `file` and `sha256`", "error",
)  # fmt: skip
VALIDATION = Check(
    "NBP014", "validation", "the data keeps its schema",
    "see the product `schema`, and what the data audit says of these columns", "error",
)  # fmt: skip
REQUIREMENTS = Check(
    "NBP015", "requirements", "every metric keeps its limit of the scoping phase, with its interval",
    "compare the products `metrics` and `requirements`", "error",
)  # fmt: skip
EXPLANATION = Check(
    "NBP016", "explanation", "no line of the explanation's audit failed",
    "see the audit in the product `explanation`", "error",
)  # fmt: skip
FAIRNESS = Check(
    "NBP017", "fairness", "every comparison of groups keeps its limit of the scoping phase",
    "compare the products `metrics` and `requirements`", "error",
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

ALL = (
    CONTRACT, SYNTAX, ORDER, PATHS, INSTALLS, SECRETS, LINT, OWED, NAMES, LOCK, SAFETY, ADVISORIES, FINGERPRINTS,
    VALIDATION, REQUIREMENTS, EXPLANATION, FAIRNESS, RERUN, OUTPUTS, DETERMINISM, METRICS,
)  # fmt: skip
