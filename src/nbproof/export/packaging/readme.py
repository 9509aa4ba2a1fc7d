"""What is said of a package to whoever opens its folder: what it is, how to run it, what is proven and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..equivalence.compare import Compared, tally
from ..reading import Reading
from ..shaping.package import Shape
from ..working import Working
from .writing import Described

_NOT_PROVEN = {
    "not steady": "two runs of the notebook itself do not agree on these, so nothing can be said of them",
    "cannot be compared": "these cannot be looked into",
}
_MOST_NAMED = 12


def readme(
    told: Described,
    reading: Reading,
    needed: Working,
    shape: Shape,
    proofs: Sequence[tuple[Mapping[str, Any], Sequence[Compared]]],
) -> str:
    """The text of README.md; `proofs` are the values of the parameters and what was compared with them."""
    parts = [
        f"# {told.title}",
        f"The notebook `{told.notebook}` as a Python package.\n{told.standing}",
        f"Its digest is `{told.digest}`; the notebook itself, without outputs, is in `notebook/`.",
        "## Run it",
        _run(told, reading),
        *_data(told, needed),
        "## What is proven",
        *_proven(proofs, shape),
        f"`nbproof verify {told.name}` repeats the proof anywhere; every row is in `PROVENANCE.json`.",
        *_notes(reading),
        "## Change it",
        "Export the notebook again rather than change the code: what is exported is what was proven.\n"
        "Lines between `# nbproof: keep` and `# nbproof: end` stay when it is exported again.",
        f"Made by {told.generator}.",
    ]
    return "\n\n".join(parts) + "\n"


def _run(told: Described, reading: Reading) -> str:
    contract = reading.contract
    named = [each for each in contract.parameters if not each.is_secret] if contract else []
    example = next((f" --{each.name.replace('_', '-')} {each.default}" for each in named
                    if isinstance(each.default, int | float) and not isinstance(each.default, bool)), "")  # fmt: skip
    return f"""\
```
pip install -r requirements.lock && pip install --no-deps .
python -m {told.name} --help
python -m {told.name}{example} --out results
```

```python
import {told.name}

results = {told.name}.run()
results["…"]  # every value that the notebook leaves behind, by its name
results.displayed, results.figures, results.files
```"""


def _data(told: Described, needed: Working) -> Iterator[str]:
    yield "## Where it works"
    yield (
        "A run works in the current folder: it reads and writes there, as the notebook does in its own.\n"
        f"With `--out DIR`, `python -m {told.name}` works in that folder."
    )
    along = needed.along
    if along:
        yield (
            "Data that came along is put where the notebook looks for it, unless something is there already:\n\n"
            + "\n".join(f"- `{held.path}`, {held.size} bytes" for held in along)
        )
    left = [held for held in (*needed.data, *needed.elsewhere) if held not in along]
    if left:
        yield (
            "This data did not come along and must be there, byte for byte:\n\n"
            + "\n".join(f"- `{held.path}`, {held.size} bytes, sha256 `{held.digest}`" for held in left)
        )
    if needed.folder != ".":
        yield (
            f"The notebook lies in `{needed.folder}` and reads from above it: "
            "`--out DIR` lays all of that out below `DIR`."
        )


def _proven(proofs: Sequence[tuple[Mapping[str, Any], Sequence[Compared]]], shape: Shape) -> Iterator[str]:
    yield (
        "The notebook and this package were run in fresh processes, in folders with nothing but the data above, and\n"
        "everything that the notebook leaves, displays, draws, prints and writes was compared, down to the last bit."
    )
    lines = ["| parameters | " + " | ".join(("equal", "not steady", "cannot be compared")) + " |", "|---|---|---|---|"]
    for values, rows in proofs:
        counts = tally(rows)
        shown = ", ".join(f"`{name}={value!r}`" for name, value in values.items()) or "as in the notebook"
        shown += " (both fail alike)" if any(row.what == "error" for row in rows) else ""
        cells = [str(counts.get(verdict, 0)) for verdict in ("equal", "not steady", "cannot be compared")]
        lines.append(f"| {shown.replace('|', chr(92) + '|')} | {' | '.join(cells)} |")
    yield "\n".join(lines)
    rows = proofs[0][1]
    for verdict, why in _NOT_PROVEN.items():
        named = [f"{row.what} `{row.name}`" for row in rows if row.verdict == verdict]
        if named:
            more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
            yield f"Not proven, for {why}: {', '.join(named[:_MOST_NAMED])}{more}."
    if shape == "one function":
        yield "The notebook stands in one function: as several, it would not give the same."
    if shape == "script":
        yield "The notebook stands in one script, which runs anew each time: as functions, it would not give the same."
    yield (
        "Nothing is proven of other data, other versions than those of `requirements.lock`, or other values of the\n"
        "parameters than those above."
    )


def _notes(reading: Reading) -> Iterator[str]:
    if reading.notes:
        yield "What of the notebook was left out or said otherwise:"
        yield "\n".join(f"- {reading.place(cell)}, line {note.line}: {note.text}" for cell, note in reading.notes)
