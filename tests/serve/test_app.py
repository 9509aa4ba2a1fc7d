"""The service answers what its description promises, and refuses the rest without repeating it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbproof.errors import ModelRefused
from nbproof.run.sources.hashes import content_hash
from nbproof.serve.app import Bounds, application, openapi
from nbproof.serve.package import read

with warnings.catch_warnings():
    # Starlette would rather have the successor of httpx, which few machines have.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

ROW: dict[str, Any] = {"age": 30, "status": 2, "ratio": 0.25}


@pytest.fixture(scope="module")
def client(package_folder: Path) -> Iterator[TestClient]:
    """A started service with narrow bounds."""
    with TestClient(application(package_folder, bounds=Bounds(rows=3, body_bytes=2000))) as started:
        yield started


def test_scores_equal_those_of_the_model(client: TestClient, package_folder: Path) -> None:
    """HTTP changes no score, and the order is that of the rows."""
    rows = [ROW, {"age": 70, "status": -1, "ratio": None}]

    answer = client.post("/predict", json={"rows": rows})

    assert answer.status_code == 200
    assert answer.json() == {"model": "toy", "version": "1.2.3", "scores": read(package_folder).load().score(rows)}


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ([{**ROW, "status": 9}], "body.rows.0.status"),
        ([ROW, {**ROW, "age": 17}], "body.rows.1.age"),
        ([{**ROW, "age": "30"}], "body.rows.0.age"),
        ([{**ROW, "age": None}], "body.rows.0.age"),
        ([{**ROW, "wage": 1}], "body.rows.0.wage"),
        ([{"age": 30, "status": 2}], "body.rows.0.ratio"),
        ([], "body.rows"),
        ([ROW] * 4, "body.rows"),
        ("rows", "body.rows"),
        (None, "body.rows"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_their_place(client: TestClient, rows: Any, where: str) -> None:
    """A refusal says where; nothing is scored."""
    answer = client.post("/predict", json={"rows": rows})

    assert answer.status_code == 422
    assert where in [each["where"] for each in answer.json()["problems"]]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"rows": [{"age": NaN, "status": 2, "ratio": 1}]}'])
def test_a_malformed_body_is_refused(client: TestClient, body: bytes) -> None:
    """What is not JSON of the right shape is 422, never a failure of the service."""
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["problems"]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 1900])
def test_a_hostile_body_is_a_bad_request(client: TestClient, body: bytes) -> None:
    """Bytes that are no text and nesting without end are the client's fault."""
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})

    assert answer.status_code in (400, 422)


def test_a_refusal_repeats_no_value(client: TestClient) -> None:
    """A value in a request may be personal, so it is in no answer."""
    answer = client.post("/predict", json={"rows": [{**ROW, "age": "Ada Lovelace"}]})

    assert "Lovelace" not in answer.text


def test_a_body_too_large_is_413(client: TestClient) -> None:
    """A large body is refused before it is parsed, also when it comes in pieces of unknown number."""
    large = b" " * 2001

    assert client.post("/predict", content=large).status_code == 413
    assert client.post("/predict", content=iter([large[:1000], large[1000:]])).status_code == 413


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/predict", 405)])
def test_unknown_addresses_are_refused(client: TestClient, method: str, path: str, status: int) -> None:
    """An unknown path is 404 and an unknown method 405."""
    assert client.request(method, path).status_code == status


def test_ready_only_while_the_model_is_loaded(package_folder: Path) -> None:
    """Before it starts the service lives and is not ready."""
    app = application(package_folder)
    before = TestClient(app)

    assert before.get("/health").json() == {"status": "alive"}
    assert before.get("/ready").status_code == 503
    assert before.post("/predict", json={"rows": [ROW]}).status_code == 503
    with TestClient(app) as started:
        assert started.get("/ready").json() == {"status": "ready"}


def test_the_model_says_who_it_is(client: TestClient, package_folder: Path) -> None:
    """Name, version and hashes are those of the manifest."""
    files = json.loads((package_folder / "manifest.json").read_text())["files"]

    assert client.get("/model").json() == {
        "name": "toy",
        "version": "1.2.3",
        "hashes": {key: each["sha256"] for key, each in files.items()},
        "digest": str(content_hash(package_folder)).removeprefix("sha256:"),
        "approval": {"sentence": "nobody was asked about an approval", "is_approved": False, "ends": None},
        "explained": "not explained: explanations are off",
        "card": {},
    }


def test_requests_and_scores_are_counted(package_folder: Path) -> None:
    """Metrics count requests by route and status, and keep unknown addresses under one label."""
    with TestClient(application(package_folder)) as client:
        client.post("/predict", json={"rows": [ROW, ROW]})
        client.get("/one")
        client.get("/two")
        answer = client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert 'nbproof_requests_total{path="/predict",status="200"} 1.0' in answer.text
    assert 'nbproof_requests_total{path="other",status="404"} 2.0' in answer.text
    assert "nbproof_score_count 2.0" in answer.text


def test_the_description_names_every_route_and_bound(package_folder: Path) -> None:
    """OpenAPI holds the fields with their bounds, and is the same text twice."""
    described = json.loads(openapi(package_folder))

    assert sorted(described["paths"]) == ["/explain", "/health", "/metrics", "/model", "/predict", "/ready"]
    assert described["components"]["schemas"]["Row"]["properties"]["status"]["enum"] == [-1, 0, 1, 2]
    assert sorted(described["paths"]["/predict"]["post"]["responses"]) == [
        "200", "400", "401", "408", "413", "415", "422", "429", "503"
    ]  # fmt: skip
    assert openapi(package_folder) == openapi(package_folder)


def test_no_page_that_loads_foreign_scripts(client: TestClient) -> None:
    """The documentation pages that fetch scripts from elsewhere are off."""
    assert {client.get(path).status_code for path in ("/docs", "/redoc")} == {404}


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path) -> None:
    """No manifest, no service."""
    with pytest.raises(ModelRefused, match=r"manifest\.json"):
        application(tmp_path)
