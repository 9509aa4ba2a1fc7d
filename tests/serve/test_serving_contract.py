"""What is generated from the service's own description, and what means it ill, gets an answer of the description."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from nbproof.serve.options import Options
from nbproof.serve.process import Service, running

ROW: dict[str, Any] = {"age": 30, "status": 2, "ratio": 0.25}
JSON = {"content-type": "application/json"}
EACH = 75


@pytest.fixture(scope="module")
def service(package_folder: Path) -> Iterator[Service]:
    """A service that explains, with a second for a body to arrive."""
    options = Options(model=str(package_folder), explains=True, body_s=1.0, body_bytes=200_000)
    with running(package_folder, options=options.written()) as found:
        yield found


def spells_whole_numbers_as_fractions(body: Any) -> bool:
    """`96.0` is whole to JSON Schema; to the service it is no integer."""
    rows = body.get("rows") if isinstance(body, dict) else None
    return isinstance(rows, list) and any(
        isinstance(row, dict) and any(isinstance(row.get(name), float) for name in ("age", "status")) for row in rows
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_generated_requests_get_described_answers(service: Service, path: str, mode: GenerationMode) -> None:
    """None is 5xx; what fits the description is answered, and what does not is refused with the status it names."""
    schema = schemathesis.openapi.from_url(f"{service.base_url}/openapi.json")
    operation = schema[path]["POST"]
    paths = httpx.get(f"{service.base_url}/openapi.json", trust_env=False).json()["paths"]
    described = set(paths[path]["post"]["responses"])
    found: Counter[tuple[str, int]] = Counter()

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EACH, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    def asked(case: schemathesis.Case) -> None:
        answer = case.call()
        found[str(case.media_type), answer.status_code] += 1
        assert answer.status_code < 500
        assert str(answer.status_code) in described
        if case.media_type == "application/json" and not spells_whole_numbers_as_fractions(case.body):
            assert (answer.status_code == 200) == (mode is GenerationMode.POSITIVE)

    asked()

    assert sum(found.values()) >= EACH / 2


def test_what_means_it_ill_is_refused_and_leaves_nothing_behind(service: Service) -> None:
    """Huge, deep, wide and endless bodies are 4xx, within the limits; the memory of the service stays as it was."""
    good = json.dumps({"rows": [ROW]}).encode()
    bodies = [
        b" " * 300_000,
        b"[" * 100_000,
        b'{"rows":' * 20_000,
        json.dumps({"rows": [{f"c{at}": 1 for at in range(10_000)}]}).encode(),
        json.dumps({"rows": [ROW] * 3000}).encode(),
        b'{"rows":[{"age":1e999,"status":2,"ratio":Infinity}]}',
        b'{"rows":[{"age":' + b"9" * 5000 + b',"status":2,"ratio":1}]}',
        b"\xff" * 1000,
        b'{"rows":[{"age":30,"status":2,"ratio":NaN}]}',
        b'{"rows":[{"age":30,"status":2,"ratio":-Infinity}]}',
        *(
            json.dumps({"rows": [{**ROW, **odd}]}).encode()
            for odd in (
                {"age": "30"},
                {"age": True},
                {"age": None},
                {"age": [30]},
                {"status": 7},
                {"more": 1},
                {"age": 1e30},
            )
        ),
        json.dumps({"rows": [ROW], "more": 1}).encode(),
        json.dumps([ROW]).encode(),
        b"null",
        b"",
    ]
    process = psutil.Process(service.pid)
    with httpx.Client(base_url=service.base_url, trust_env=False, timeout=30) as client:

        def hostile() -> set[int]:
            return {client.post("/predict", content=body, headers=JSON).status_code for body in bodies}

        assert hostile() <= {400, 413, 422}
        before = process.memory_info().rss
        for _ in range(15):
            hostile()
        grown = process.memory_info().rss - before
        assert client.post("/predict", content=good, headers=JSON).status_code == 200

    assert grown < 20_000_000


def test_a_client_that_is_slow_is_sent_away(service: Service) -> None:
    """A body that does not arrive is 408, and its connection is closed; others are answered meanwhile."""
    address = service.base_url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
        answer = httpx.post(f"{service.base_url}/predict", json={"rows": [ROW]}, trust_env=False)
        assert answer.status_code == 200
        slow.settimeout(30)
        said = b""
        while part := slow.recv(4096):
            said += part

    assert said.startswith(b"HTTP/1.1 408")


@pytest.mark.slow
def test_connections_without_a_request_are_closed(service: Service) -> None:
    """Half a head is no request."""
    address = service.base_url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as silent:
        silent.sendall(b"POST /pre")
        silent.settimeout(60)
        began = time.monotonic()
        assert silent.recv(4096) == b""

    assert time.monotonic() - began > 5
