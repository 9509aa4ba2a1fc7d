"""What is sent back: a status and a body, as JSON or as Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .rows import ARROW

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from starlette.types import Send

JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a request."""

    status: int
    body: bytes
    media: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Send it, with further headers."""
        own = [(b"content-type", self.media), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": [*own, *self.headers, *headers]})
        await send({"type": "http.response.body", "body": self.body})


def of_json(value: Any, status: int = 200) -> Reply:
    """An answer in JSON."""
    return Reply(status, json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())


def problems(status: int, found: Iterable[tuple[str, str]], headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    """Why a request was refused: every problem, and where it is."""
    told = [{"where": where, "what": what} for where, what in found]
    return Reply(status, json.dumps({"problems": told}).encode(), JSON, headers)


def of_arrow(columns: Mapping[str, NDArray[np.float64]], about: Mapping[str, str]) -> Reply:
    """An answer as an Arrow stream of one batch; `about` goes with its schema."""
    import pyarrow as pa

    batch = pa.record_batch({name: pa.array(values) for name, values in columns.items()})
    schema = batch.schema.with_metadata({name: value.encode() for name, value in about.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(batch.replace_schema_metadata(schema.metadata))
    return Reply(200, sink.getvalue().to_pybytes(), ARROW.encode())
