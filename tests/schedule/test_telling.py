"""Who wants to hear of the end of a tick hears of it: by a webhook, a mail, a command."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nbproof.errors import ScheduleInvalid
from nbproof.schedule.definition import Hook, Schedule, Trigger, Work
from nbproof.schedule.ledger import Entry, Ledger
from nbproof.schedule.telling import checked, tell
from nbproof.settings import Settings

HEARD: list[Any] = []
SCHEDULE = Schedule(name="nightly", work=Work(kind="pipeline", path="pipelines/credit"), trigger=Trigger())
ENTRY = Entry(
    schedule="nightly", tick="2026-03-29T01:00:00Z", at=1774746000.0, is_late=False, state="failed",
    reason="features: ValueError: no rows", cause="", noted_at=0.0, token="t", starts=1, attempt=2, began_at=1.0,
    ended_at=2.0, next_try_at=None, wants_end=None, run="20260329-1", told=None,
)  # fmt: skip


class Webhook(BaseHTTPRequestHandler):
    """Refuses the first time, as servers do that are being started."""

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"]))
        HEARD.append((self.headers["Content-Type"], json.loads(said)))
        self.send_response(503 if len(HEARD) == 1 else 204)
        self.end_headers()

    def log_message(self, *said: Any) -> None:
        pass


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as one message needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    text += line
                HEARD.append(text.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 yes\r\n")
            if word == b"QUIT":
                return


@contextlib.contextmanager
def served(server: socketserver.BaseServer) -> Iterator[int]:
    HEARD.clear()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_webhook_is_told_again_when_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent one object of JSON; its address may be a secret of the environment."""
    ledger = Ledger(tmp_path)
    with served(HTTPServer(("127.0.0.1", 0), Webhook)) as port:
        monkeypatch.setenv("PAGER", f"http://127.0.0.1:{port}/page?token=abc")
        told = tell(ledger, SCHEDULE, ENTRY, ["webhook:env:PAGER"], wait_s=0.01)

    assert told == "webhook told"
    assert HEARD[1] == (
        "application/json",
        {
            "schedule": "nightly", "work": "pipelines/credit", "tick": "2026-03-29T01:00:00Z",
            "at": "2026-03-29T01:00:00Z", "state": "failed", "reason": "features: ValueError: no rows", "cause": "",
            "attempts": 2, "run": "20260329-1", "log": str(ledger.log(ENTRY)),
        },
    )  # fmt: skip


def test_a_mail_names_schedule_and_reason(tmp_path: Path) -> None:
    """It goes through the server that the settings name."""
    with served(socketserver.TCPServer(("127.0.0.1", 0), Mail)) as port:
        (tmp_path / "pyproject.toml").write_text(
            f'[tool.nbproof.schedule]\nsmtp = "smtp://127.0.0.1:{port}"\nmail_from = "nbproof@bank.example"\n'
        )
        told = tell(Ledger(tmp_path), SCHEDULE, ENTRY, ["mail:risk@bank.example"], wait_s=0.01)

    assert told == "mail told"
    assert "Subject: nbproof: nightly failed (2026-03-29T01:00:00Z)" in HEARD[0]
    assert "To: risk@bank.example" in HEARD[0]
    assert "reason: features: ValueError: no rows" in HEARD[0]


def test_a_command_reads_the_facts(tmp_path: Path) -> None:
    """It runs in the project and is given the same object on stdin."""
    told = tell(Ledger(tmp_path), SCHEDULE, ENTRY, ["command:tee told.json"], wait_s=0.01)

    assert told == "command told"
    assert json.loads((tmp_path / "told.json").read_text())["reason"] == "features: ValueError: no rows"


def test_who_cannot_be_told_is_named(tmp_path: Path) -> None:
    """One that does not answer hinders no other, and is in the ledger with the reason."""
    told = tell(Ledger(tmp_path), SCHEDULE, ENTRY, ["webhook:http://127.0.0.1:9/", "command:false", "command:true"],
                wait_s=0.01)  # fmt: skip

    assert told.startswith("webhook not told: ")
    assert "command not told: " in told
    assert told.endswith("; command told")


@pytest.mark.parametrize(
    ("hook", "expected"),
    [("page", "webhook:URL, mail:ADDRESS or command:WORDS"), ("sms:1", "webhook:URL"), ("webhook:", "webhook:URL"),
     ("webhook:file:/x", None), ("webhook:ftp://host/", "webhook:https://"), ("mail:nobody", "mail:NAME@HOST"),
     ("mail:a@b", "the settings `smtp` and `mail_from`")],
)  # fmt: skip
def test_a_hook_that_tells_nobody_is_refused(hook: str, expected: str | None) -> None:
    """When the schedule is added, not when it has failed in the night."""
    if expected is None:
        assert checked(hook, Settings(experiment="e")) == hook
        return
    with pytest.raises(ScheduleInvalid, match=expected):
        checked(hook, Settings(experiment="e"))


def test_hooks_travel_with_the_schedule() -> None:
    """A failure and a success may have different hearers."""
    hooks = (Hook("failure", "command:false"), Hook("success", "command:true"))
    assert Schedule(name="a", work=SCHEDULE.work, trigger=Trigger(), hooks=hooks).hooks == hooks
