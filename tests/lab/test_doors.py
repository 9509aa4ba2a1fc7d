"""The doors of the Jupyter server: closed to strangers, and no door changes anything when it is only looked through."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lab_server import ANSWER_S, Lab, jupyter_lab

from nbproof.lab.doors import NAMESPACE
from nbproof.lab.extension import routes

PATHS = [route.path for route in routes()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyter_lab(tmp_path_factory.mktemp("doors")) as server:
        yield server


def ask(
    lab: Lab, path: str, *, method: str = "GET", body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """The status of a request with exactly these headers, and what it said."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(lab.address).netloc, timeout=ANSWER_S)
    try:
        connection.request(method, f"/{NAMESPACE}/{path}", body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        said = answer.read()
        is_json = said and answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(said) if is_json else said
    finally:
        connection.close()


def session_cookie(lab: Lab) -> dict[str, str]:
    """The cookies of a browser that has logged in, its XSRF cookie among them."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(lab.address).netloc, timeout=ANSWER_S)
    connection.request("GET", f"/lab?token={lab.token}")
    answer = connection.getresponse()
    answer.read()
    cookies = [value.split(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    connection.close()
    return dict(cookie.split("=", 1) for cookie in cookies)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_no_door_opens_without_a_token(lab: Lab, path: str, method: str) -> None:
    """Whoever shows none is turned away, whatever the door and whatever is asked."""
    status, said = ask(lab, path, method=method, headers={"Content-Length": "0"})

    # A method that no door has is refused before anybody is asked who they are; OPTIONS is answered with nothing.
    assert status == 403 or (method not in ("GET", "POST") and status in (204, 405))
    assert "version" not in str(said)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_changed_without_the_cookie_against_forgery(lab: Lab, path: str) -> None:
    """A page elsewhere can make a browser post with its cookies; it cannot read the one that must be repeated."""
    cookies = session_cookie(lab)
    assert any(name == "_xsrf" for name in cookies)
    header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}

    status, said = ask(lab, path, method="POST", body="{}", headers=header)

    assert status == 403
    assert "_xsrf" in str(said)


def test_a_token_opens(lab: Lab) -> None:
    """The page learns which nbproof answers, and for which project."""
    status, said = ask(lab, "about", headers={"Authorization": f"token {lab.token}"})

    assert (status, set(said)) == (200, {"version", "project", "experiment"})


@pytest.mark.parametrize("path", ["../secret.ipynb", "/../../etc/passwd", "a/../../b.ipynb", "link/b.ipynb"])
def test_no_file_outside_of_the_root(lab: Lab, path: str, tmp_path: Path) -> None:
    """A path that leads out, by dots or by a link, is refused in one line with what to do."""
    if not (lab.root / "link").is_symlink():
        (lab.root / "link").symlink_to(tmp_path)

    status, said = ask(
        lab, f"about?{urllib.parse.urlencode({'path': path})}", headers={"Authorization": f"token {lab.token}"}
    )

    assert status == 409
    assert said["error"] == "PathRefused"
    assert said["hint"] == "start the server further up"
