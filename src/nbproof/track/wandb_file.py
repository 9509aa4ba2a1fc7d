"""The one file of a run of Weights & Biases: a log of LevelDB whose entries are messages of its client's protocol."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32 * 1024
_FILE_HEADER, _HEADER = 7, 7
_WHOLE, _LAST = 1, 4


def records(folder: Path) -> Iterator[Any]:
    """The records of the run in a folder, as far as they are whole.

    Source: the log format of LevelDB, https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    wandb_internal_pb2: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    (file,) = folder.glob("*.wandb")
    content, at, entry = file.read_bytes(), _FILE_HEADER, b""
    while at + _HEADER <= len(content):
        if _BLOCK - at % _BLOCK < _HEADER:
            at += _BLOCK - at % _BLOCK
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        if at + _HEADER + length > len(content):
            return
        entry += content[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
        if kind in (_WHOLE, _LAST):
            yield wandb_internal_pb2.Record.FromString(entry)
            entry = b""


def missing(folder: Path, steps: int) -> str:
    """What the run in a folder lacks, in words: steps, or its end; nothing where it is whole."""
    kinds = [record.WhichOneof("record_type") for record in records(folder)]
    if kinds.count("history") != steps:
        return f"it holds {kinds.count('history')} of {steps} steps"
    return "" if "exit" in kinds else "it has no end"
