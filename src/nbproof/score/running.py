"""The process in which an exported package scores: `python -m nbproof.score.running ASKED`."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import NbproofError
from ..jobs.on_gpu import VARIABLE, accelerate, crossed, default_device, precision


def main() -> int:
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    name = told["name"]
    try:
        for each in told.get("accelerate", ()):
            accelerate(each)
        device = default_device(name, os.environ.get(VARIABLE, "auto"))
        package = importlib.import_module(name)
        values = _read(name, told["parameters"])
        settings = [f"--{key}={text}" for key, text in told["parameters"].items()]
        with crossed(device), precision(name, device, settings):
            for number, (rows, scores) in enumerate(told["pairs"]):
                folder = Path(told["work"]) / f"run-{number}"
                folder.mkdir()
                os.chdir(folder)
                results = package.run(**{**values, **_read(name, {told["rows"]: rows})})
                _leave(results, told["take"], told["column"], Path(scores))
    except NbproofError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except Exception as error:
        # Whatever a notebook raises, one line of it goes on.
        sys.stderr.write(f"error: {type(error).__name__}: {' '.join(str(error).split())}\n")
        return 1
    return 0


def _read(name: str, texts: dict[str, str]) -> dict[str, Any]:
    """Values of texts, as the package's own contract reads them; it refuses by itself what it does not take."""
    command = importlib.import_module(f"{name}._command")
    try:
        contract = importlib.import_module(f"{name}._contract")
    except ModuleNotFoundError:
        raise ValueError(f"{name} takes no parameters, and so no file of rows") from None
    types = {each.name: each.type for each in contract.PARAMETERS}
    unknown = [each for each in texts if each not in types]
    if unknown:
        raise ValueError(f"{name} has no parameter `{unknown[0]}`; it has {', '.join(types)}")
    return {key: command.read(types[key], text) for key, text in texts.items()}


def _leave(results: Any, take: str, column: str, path: Path) -> None:
    """Write what the package left under a name: a frame, a series, an array, or a tensor, a row for each row."""
    import pyarrow
    import pyarrow.parquet

    if take not in results:
        raise ValueError(f"it leaves no `{take}`; it leaves {', '.join(map(str, results))}")
    value = results[take]
    if hasattr(value, "detach"):
        value = value.detach().cpu().float() if str(value.dtype) == "torch.bfloat16" else value.detach().cpu()
        value = value.numpy()
    if hasattr(value, "columns") and hasattr(value, "to_parquet"):
        table = pyarrow.Table.from_pandas(value, preserve_index=False)
    else:
        table = _of_numbers(value, column)
    pyarrow.parquet.write_table(table.replace_schema_metadata(None), path)


def _of_numbers(value: Any, column: str) -> Any:
    import numpy as np
    import pyarrow

    found = np.asarray(value)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim not in (1, 2) or found.dtype.kind not in "fiubUO":
        raise ValueError(f"what it leaves has the shape {found.shape}, expected a value, or several, for each row")
    columns = {column: found} if found.ndim == 1 else {f"{column}_{at}": found[:, at] for at in range(found.shape[1])}
    return pyarrow.table({name: pyarrow.array(np.ascontiguousarray(each)) for name, each in columns.items()})


if __name__ == "__main__":
    sys.exit(main())
