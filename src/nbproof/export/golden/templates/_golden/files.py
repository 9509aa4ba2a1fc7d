"""Described values in typed files: JSON, `.npy` and `.bin` for what is long, Parquet for frames."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .values import Describer

# Shorter arrays stand in the JSON itself, where a reader sees them.
SHORT = 24


class Folder:
    """A folder of typed files. Files are named after their content, so that equal ones are one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, name: str, told: Any) -> None:
        """Write a described value as `name`.json, and what is long beside it."""
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self._small(told), indent=1, ensure_ascii=False, allow_nan=False)
        (self.path / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    def load(self, name: str) -> Any:
        """Read what `save` wrote."""
        return self._whole(json.loads((self.path / f"{name}.json").read_text(encoding="utf-8")))

    def _small(self, told: Any) -> Any:
        if isinstance(told, list):
            return [self._small(each) for each in told]
        if isinstance(told, Mapping):
            if told.get("is") == "frame":
                kept = self._frame(told)
                if kept is not None:
                    return kept
            return {name: self._small(each) for name, each in told.items()}
        if hasattr(told, "dtype"):
            return self._array(told)
        return self._bytes(told) if isinstance(told, bytes) else told

    def _bytes(self, content: bytes) -> Any:
        if len(content) <= SHORT:
            return {"is": "hex", "value": content.hex()}
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.bin"
        (self.path / name).write_bytes(content)
        return {"is": "bin", "file": name}

    def _array(self, array: Any) -> Any:
        numpy = sys.modules["numpy"]
        # JSON knows no numbers that are wider than its own.
        is_known = array.dtype.kind == "f" and array.dtype.itemsize <= 8 and bool(numpy.isfinite(array).all())
        is_plain = array.dtype.kind in "biuU" or is_known
        if array.size <= SHORT and is_plain:
            return {"is": "short", "dtype": array.dtype.str, "values": array.tolist()}
        name = f"{hashlib.sha256(array.dtype.str.encode() + array.tobytes()).hexdigest()[:16]}.npy"
        if not (self.path / name).exists():
            numpy.save(self.path / name, array, allow_pickle=False)
        return {"is": "npy", "file": name}

    def _frame(self, told: Mapping[str, Any]) -> Any:
        """Write a frame as Parquet, if what is read back is the very same."""
        if not told["shape"][0] or "pyarrow" not in sys.modules:
            return None
        from .comparing import differences
        from .values import Rebuilder

        try:
            frame = Rebuilder("{here}", lambda _: False).make_frame(told, Rebuilder("", bool)._place())
            content = frame.to_parquet()
        except Exception:
            # Parquet does not know every type that a column may have.
            return None
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
        (self.path / name).write_bytes(content)
        if any(differences(told, self._read_frame(name), "")):
            (self.path / name).unlink()
            return None
        return {"is": "parquet", "file": name}

    def _read_frame(self, name: str) -> Any:
        import pandas

        return Describer(longest=sys.maxsize).of(pandas.read_parquet(self.path / name))

    def _whole(self, told: Any) -> Any:
        if isinstance(told, list):
            return [self._whole(each) for each in told]
        if not isinstance(told, Mapping):
            return told
        if told.get("is") in ("short", "npy"):
            import numpy

            if told["is"] == "short":
                return numpy.array(told["values"], told["dtype"])
            return numpy.load(self.path / told["file"], allow_pickle=False)
        if told.get("is") in ("hex", "bin"):
            return bytes.fromhex(told["value"]) if told["is"] == "hex" else (self.path / told["file"]).read_bytes()
        if told.get("is") == "parquet":
            return self._read_frame(told["file"])
        return {name: self._whole(each) for name, each in told.items()}
