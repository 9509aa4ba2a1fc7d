"""The doors to a review, on a real server: what is signed is what lies on its disk, with its own key."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_server import ANSWER_S, Lab, jupyter_lab, wait_until

sys.path.append(str(Path(__file__).parents[1] / "review"))

from reviewed import BELA, CELLS, key, write_key, write_notebook, write_project

from nbproof.review.deciding import request
from nbproof.review.standing import standing

ANA = '[tool.nbproof.review]\nname = "Ana"\nkey = "../keys/ana"\n'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyter_lab(tmp_path_factory.mktemp("reviewing"), panels=False) as server:
        (server.root / "keys").mkdir()
        write_key(server.root / "keys/ana", 1)
        yield server


def ask(lab: Lab, door: str, content: dict[str, Any] | None = None, **arguments: str) -> tuple[int, Any]:
    """The status of a request below `/nbproof/`, and what it said."""
    query = f"?{urllib.parse.urlencode(arguments)}" if arguments else ""
    request = urllib.request.Request(
        f"{lab.address}/nbproof/{door}{query}",
        data=None if content is None else json.dumps(content).encode(),
        headers={"Authorization": f"token {lab.token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.fixture
def notebook(lab: Lab, request: pytest.FixtureRequest) -> Path:
    """A project below the server's folder, for which the server signs as Ana."""
    name = "".join(letter for letter in request.node.name if letter.isalnum())
    return write_project(lab.root / name, table=ANA)


def path_of(lab: Lab, notebook: Path) -> str:
    return notebook.relative_to(lab.root).as_posix()


def look(lab: Lab, notebook: Path) -> Any:
    status, said = ask(lab, "review", path=path_of(lab, notebook))
    assert status == 200, said
    return said


def test_looking_changes_nothing(lab: Lab, notebook: Path) -> None:
    """The state is told with the checks and with who would decide; no file is written for it."""
    before = sorted(notebook.parents[1].rglob("*"))

    found = look(lab, notebook)

    assert (found["state"], found["approved"], found["signer"]["name"]) == ("never asked", False, "Ana")
    assert {check["code"]: check["verdict"] for check in found["checks"]}["NBP101"] == "not evaluated"
    assert ask(lab, "review/diff", path=path_of(lab, notebook)) == (200, {"difference": None, "since": None})
    after = [path for path in notebook.parents[1].rglob("*") if ".nbproof" not in path.parts]
    assert sorted(after) == before


def test_from_a_request_to_an_end(lab: Lab, notebook: Path) -> None:
    """Somebody asks, the server signs for its owner, and a changed cell ends it, with the lines that differ."""
    path, project = path_of(lab, notebook), notebook.parents[1]
    request(project, notebook, key=BELA)
    seen = look(lab, notebook)
    content = {"path": path, "bound": seen["bound"], "conditions": [{"text": "watch it", "due": "2999-01-31"}]}

    status, said = ask(lab, "review/approve", {**content, "comment": "fine"})

    assert (status, said["state"], said["decisions"][0]["reviewer"]) == (200, "approved with conditions", "Ana")
    assert standing(project, notebook).state == "approved with conditions"
    notebook.write_text(notebook.read_text().replace("print(value)", "print(-value)"))
    ended = look(lab, notebook)
    assert (ended["state"], [change["kind"] for change in ended["changes"]]) == ("ended", ["notebook"])
    (change,) = ask(lab, "review/diff", path=path)[1]["difference"]["cells"]
    assert (change["fate"], change["lines"][1:]) == ("changed", ["- print(value)", "+ print(-value)"])


def test_what_was_not_seen_is_not_signed(lab: Lab, notebook: Path) -> None:
    """When the file changed after the page was drawn, or the page does not say what it saw, nothing is signed."""
    path, project = path_of(lab, notebook), notebook.parents[1]
    seen = look(lab, notebook)["bound"]
    write_notebook(notebook, [*CELLS, ("more", [], "print(limit)")])
    request(project, notebook, key=BELA)

    for door in ("approve", "reject"):
        status, said = ask(lab, f"review/{door}", {"path": path, "bound": seen})
        assert (status, said["error"]) == (409, "ReviewRefused")
        assert "it has changed meanwhile" in said["message"]
        assert ask(lab, f"review/{door}", {"path": path, "bound": ""})[0] == 400
        assert ask(lab, f"review/{door}", {"path": path})[0] == 400
    assert list((project / "approvals").glob("*-approved-*.dsse.json")) == []


def test_nobody_approves_their_own_request_here(lab: Lab, notebook: Path) -> None:
    """The server asks in the name of its owner, who then cannot approve."""
    path = path_of(lab, notebook)
    bound = look(lab, notebook)["bound"]

    status, said = ask(lab, "review/request", {"path": path, "bound": bound, "comment": "please"})
    refused, why = ask(lab, "review/approve", {"path": path, "bound": bound})

    assert (status, said["asked"]["by"], said["asked"]["comment"]) == (200, "Ana", "please")
    assert (refused, "nobody approves their own request" in why["message"]) == (409, True)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("", "you are anonymous to this server"),
        ('[tool.nbproof.review]\nkey = "../keys/ana"\n', "you are anonymous to this server"),
        ('[tool.nbproof.review]\nname = "Ben"\nkey = "../keys/ana"\n', "the key is Ana's, and you are Ben"),
        ('[tool.nbproof.review]\nname = "Ana"\n', "found no key"),
        ('[tool.nbproof.review]\nname = "Ana"\nkey = "../keys/none"\n', "cannot be read"),
    ],
)
def test_who_cannot_sign_here_is_told_why(lab: Lab, notebook: Path, table: str, reason: str) -> None:
    """Without a name, with another's key, or without a key: the panel says it, and the door stays closed."""
    write_project(notebook.parents[1], table=table)
    request(notebook.parents[1], notebook, key=BELA)

    found = look(lab, notebook)
    status, said = ask(lab, "review/approve", {"path": path_of(lab, notebook), "bound": found["bound"]})

    assert reason in found["signer"]["reason"]
    assert status in (400, 409)
    assert reason in said["message"]


def test_a_page_names_no_key_and_no_reviewer(lab: Lab, notebook: Path, tmp_path: Path) -> None:
    """What a request says of keys, names, decisions or files elsewhere is not looked at."""
    write_project(notebook.parents[1], table="", people=(("Ana", 2),))
    request(notebook.parents[1], notebook, key=BELA)
    bound = look(lab, notebook)["bound"]
    mine = write_key(tmp_path / "mine", 2)

    status, _ = ask(
        lab, "review/approve",
        {"path": path_of(lab, notebook), "bound": bound, "key": str(mine), "reviewer": "Ana", "name": "Ana"},
    )  # fmt: skip

    assert status == 409
    assert key(2).public.fingerprint not in str(look(lab, notebook)["decisions"])


@pytest.mark.parametrize("conditions", ["x", [1], [{"text": ""}], [{"text": "a", "due": "soon"}], [{}] * 51])
def test_conditions_are_words_with_dates(lab: Lab, notebook: Path, conditions: Any) -> None:
    """Anything else is refused before anything is read."""
    body = {"path": path_of(lab, notebook), "bound": "0" * 64, "conditions": conditions}

    assert ask(lab, "review/approve", body)[0] == 400


def test_a_notebook_that_fails_its_checks_is_not_asked_about(lab: Lab, notebook: Path) -> None:
    """What a check finds stands in the way, and the answer names it."""
    write_notebook(notebook, [CELLS[0], ("a", [], "open('/mnt/share/x.csv')")])
    found = look(lab, notebook)

    status, said = ask(lab, "review/request", {"path": path_of(lab, notebook), "bound": found["bound"]})

    assert (status, "NBP004" in said["message"]) == (409, True)
    assert [check["findings"][0]["cell"] for check in found["checks"] if check["code"] == "NBP004"] == ["a"]


@pytest.mark.slow
def test_the_notebook_is_run_for_its_review(lab: Lab, notebook: Path) -> None:
    """The checks that run are started by a request and read when they are done; a second start is refused."""
    path = path_of(lab, notebook)

    assert ask(lab, "review/check", {"path": path}) == (200, {"started": True})
    assert ask(lab, "review/check", {"path": path})[0] == 409
    assert look(lab, notebook)["checking"] is True
    wait_until(lambda: not look(lab, notebook)["checking"], "the checks are done", 300)

    verdicts = {check["code"]: check["verdict"] for check in look(lab, notebook)["checks"]}
    assert {code: verdicts[code] for code in ("NBP101", "NBP102", "NBP103")} == {
        "NBP101": "passed", "NBP102": "not evaluated", "NBP103": "passed",
    }  # fmt: skip


@pytest.mark.slow
def test_what_is_approved_becomes_a_package_and_a_job(lab: Lab, notebook: Path) -> None:
    """Before, both are refused; the package lies in the project, and the job is listed until it is done."""
    path = path_of(lab, notebook)
    request(notebook.parents[1], notebook, key=BELA)
    assert ask(lab, "review/submit", {"path": path, "target": "local"})[0] == 409
    assert ask(lab, "review/export", {"path": path}) == (200, {"started": True})
    wait_until(lambda: not look(lab, notebook)["checking"], "the export is refused", 300)
    assert look(lab, notebook)["package"] is None
    assert ask(lab, "review/approve", {"path": path, "bound": look(lab, notebook)["bound"]})[0] == 200

    assert ask(lab, "review/export", {"path": path}) == (200, {"started": True})
    wait_until(lambda: look(lab, notebook)["package"] == "score", "the package is there", 300)
    wait_until(lambda: not look(lab, notebook)["checking"], "the export is done", 300)
    status, said = ask(lab, "review/submit", {"path": path, "target": "local"})

    assert status == 200
    assert (notebook.parents[1] / "exports/score/PROVENANCE.json").is_file()
    wait_until(lambda: ask(lab, "jobs", path=path)[1][0]["state"] == "done", "the job is done", 120)
    (job,) = ask(lab, "jobs", path=path)[1]
    assert (job["id"], job["target"], job["done"], job["size"]) == (said["id"], "local", 1, 1)
    assert ask(lab, "review/submit", {"path": path, "target": "nowhere"})[0] == 400


@pytest.mark.parametrize("door", ["review", "review/diff"])
def test_what_is_no_notebook_is_an_answer_in_words(lab: Lab, door: str) -> None:
    """A file that is not there, or none that lies in the server's folder."""
    status, said = ask(lab, door, path="missing.ipynb")
    outside, _ = ask(lab, door, path="../x.ipynb")

    assert status == 400 or said.get("state") == "never asked" or said == {"difference": None, "since": None}
    assert outside == 409
