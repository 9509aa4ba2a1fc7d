"""The reviewer's report, built: the shipped notebook run by Papermill, converted, checked, and read again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ReportRefused
from ..files import write_atomically
from . import converting, purity
from .document import Document, Missing, Owed
from .evidence import Evidence
from .verifying import Verified, read_page, verified

NOTEBOOK = Path(__file__).parent / "reviewers_report.ipynb"
KERNEL = "python3"
KERNEL_HINT = f"the kernel `{KERNEL}` is not of this environment: python -m ipykernel install --sys-prefix"
LONGEST_S = 600
MOST_BYTES = 5_000_000

Products = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Built:
    """A report that was written: what it still owes and lacks, and how many values were read again."""

    path: Path
    bytes: int
    verified: Verified
    owed: tuple[Owed, ...]
    missing: tuple[Missing, ...]


def build(products: Products, out: Path, *, root: Path | None = None, notebook: Path | None = None) -> Built:
    """Write the report over `products` (paths from `root`, else from the current folder) to `out`.

    `notebook` is where the executed notebook is kept, if anywhere. Nothing is written where a product cannot be read,
    a value is not found again in its source, or the page holds what no page of ours does: raises `ReportRefused`.
    """
    root = (root or Path.cwd()).resolve()
    out = out.absolute()
    executed = _executed(products, root)
    evidence = Evidence(products, root)
    document = converting.document_of(executed)
    untraced = evidence.untraced(document)
    if untraced:
        raise ReportRefused("the report", untraced[:5])
    page = converting.converted(executed, evidence)
    purity.check(page)
    content = page.encode("utf-8", "replace")
    if len(content) > MOST_BYTES:
        raise ReportRefused("the report", [f"it has {len(content)} bytes; expected at most {MOST_BYTES}"])
    found = verified(read_page(page), root)
    if found.problems:
        raise ReportRefused("the report", found.problems[:5])
    write_atomically(out, content)
    if notebook is not None:
        write_atomically(notebook, _as_file(executed))
    return Built(out, len(content), found, document.owed, _missing(document))


def _executed(products: Products, root: Path) -> Any:
    """The shipped notebook as it was run over the products."""
    import tempfile

    import papermill
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    given = {"products": {phase: dict(of) for phase, of in products.items()}}
    with tempfile.TemporaryDirectory(prefix="nbproof-report-") as scratch:
        try:
            return papermill.execute_notebook(
                NOTEBOOK, Path(scratch) / "report.ipynb", parameters=given, cwd=root,
                kernel_name=KERNEL, progress_bar=False, log_output=False, execution_timeout=LONGEST_S,
            )  # fmt: skip
        except PapermillExecutionError as error:
            # What was refused on purpose says so in its own words.
            said = error.evalue if error.ename == ReportRefused.__name__ else f"{error.ename}: {error.evalue}"
            hint = KERNEL_HINT if error.ename == "ModuleNotFoundError" else None
            raise ReportRefused("the report", [said], hint=hint) from None


def _missing(document: Document) -> tuple[Missing, ...]:
    return tuple(entry for entry in document.entries if isinstance(entry, Missing))


def _as_file(notebook: Any) -> bytes:
    import nbformat

    return str(nbformat.writes(notebook)).encode()
