"""Whether an exported package is ever silently wrong: small notebooks of a grammar, exported and held against IPython.

    python -m benchmarks.export_fuzz                      # 2000 notebooks; writes results/export_fuzz.json
    python -m benchmarks.export_fuzz --seeds 17 18        # one of them, with what differs
    python -m benchmarks.export_fuzz --shows all          # each cell shows all its values; writes nothing

The grammar and the oracle are those of `tests/export`. The oracle runs the cells in an IPython shell and the package
twice in another process, and compares every value, displayed value, printed text, figure and file by its structure,
without any code of the exporter. A seed gives one notebook for ever.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .machine import machine

TESTS = Path(__file__).parents[1] / "tests" / "export"
RESULTS = Path(__file__).parent / "results" / "export_fuzz.json"
SEEDS = (0, 2000)
# What nobody can export stands in some of the notebooks, to be refused.
MUST_BE_REFUSED = re.compile(r"memory of earlier|`(eval|exec|globals|locals|input)`|IPython's shell|runs a program"
                             r"|runs another program|`%%capture`")  # fmt: skip


def judged(seeds: range, until: float, lines: Path | None, shows: str | None) -> list[dict[str, Any]]:
    """Try each notebook; stop when the time is over."""
    sys.path.insert(0, str(TESTS))
    from fuzzing_grammar import MadeCell, made
    from fuzzing_trial import Trials

    found = []
    setting = f"%config InteractiveShell.ast_node_interactivity = {shows!r}"
    first = (MadeCell("code", setting),) if shows else ()
    with Trials() as trials:
        for seed in seeds:
            if time.time() > until:
                break
            notebook = made(seed)
            trial = trials.judge((*first, *notebook.cells))
            row = {"seed": seed, "verdict": trial.verdict, "shape": trial.shape, "pieces": notebook.pieces,
                   "words": trial.words[:3]}  # fmt: skip
            found.append(row)
            if lines is not None:
                with lines.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The table: verdicts, shapes, reasons, and the share that is right of those that can be."""
    verdicts = Counter(row["verdict"] for row in rows)
    refused = [row for row in rows if row["verdict"] == "refused"]
    rightly = [row for row in refused if any(MUST_BE_REFUSED.search(word) for word in row["words"])]
    can_be_right = len(rows) - len(rightly) - verdicts["no notebook"]
    return {
        "notebooks": len(rows),
        "verdicts": dict(verdicts.most_common()),
        "shapes": dict(Counter(row["shape"] for row in rows if row["verdict"] == "equal").most_common()),
        "refused, as it has to be": len(rightly),
        "equal, of those that can be": round(verdicts["equal"] / can_be_right, 4) if can_be_right else None,
        "reasons": dict(Counter(_reason(row) for row in refused).most_common(40)),
        "different": [row for row in rows if row["verdict"] in ("different", "failed")],
    }


def _reason(row: dict[str, Any]) -> str:
    text = str(row["words"][-1] if row["words"] else "")
    text = re.sub(r"cell \d+, line \d+:? |cell \d+:? |0x[0-9a-f]+", "", text)
    return re.sub(r"\d+ of \d+ differ, first the (\w+) `[^`]*`.*", r"the \1 differs", text, flags=re.DOTALL)[:110]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", nargs=2, type=int, default=SEEDS, metavar=("FIRST", "END"))
    parser.add_argument("--seconds", type=float, default=7200.0, help="stop after as many")
    parser.add_argument("--lines", type=Path, help="where each verdict is written as soon as there is one")
    parser.add_argument("--collect", nargs="*", type=Path, help="make the table of such files instead")
    parser.add_argument("--shows", choices=("all", "last", "last_expr_or_assign", "none"),
                        help="what IPython is told that cells show")  # fmt: skip
    given = parser.parse_args()
    if given.collect:
        rows = [json.loads(line) for path in given.collect for line in path.read_text(encoding="utf-8").splitlines()]
    else:
        rows = judged(range(*given.seeds), time.time() + given.seconds, given.lines, given.shows)
    table = summary(rows)
    print(json.dumps(table, indent=1, ensure_ascii=False))
    if given.collect or (tuple(given.seeds) == SEEDS and not given.shows):
        versions = {name: version(name) for name in ("ipython", "numpy", "pandas", "matplotlib")}
        found = {"machine": machine(), "versions": versions, **table}
        RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
