"""The word to whoever wants to hear how a tick has ended: a webhook, a mail, or a command."""

from __future__ import annotations

import json
import os
import shlex
import smtplib
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import NbproofError, ScheduleInvalid, SettingsInvalid
from ..notebook.secrets import is_reference, reveal
from ..settings import Settings
from ..settings import load as load_settings
from .definition import Schedule, tick_name
from .ledger import Entry, Ledger

TRIES, WAIT_S, ANSWER_S = 3, 2.0, 30.0
EXPECTED = "webhook:URL, mail:ADDRESS or command:WORDS"


def checked(hook: str, settings: Settings) -> str:
    """A hook that could be told of something; raises `ScheduleInvalid`."""
    kind, sign, to = hook.partition(":")
    if not sign or not to.strip() or kind not in _WAYS:
        raise ScheduleInvalid("a hook", repr(hook), EXPECTED)
    if kind == "webhook" and not is_reference(to):
        _address(to)
    if kind == "mail":
        if "@" not in to or any(each.isspace() for each in to):
            raise ScheduleInvalid("a hook", repr(hook), "mail:NAME@HOST")
        if settings.schedule_smtp is None or settings.schedule_mail_from is None:
            raise ScheduleInvalid(
                "a hook", f"{hook!r}, and no server that sends it",
                "the settings `smtp` and `mail_from` in [tool.nbproof.schedule]",
                hint="see docs/reference/settings.md for every setting",
            )  # fmt: skip
    return hook


def tell(ledger: Ledger, schedule: Schedule, entry: Entry, hooks: Sequence[str], *, wait_s: float = WAIT_S) -> str:
    """Tell everybody of the end of a tick, each a few times where it fails; what became of it, in words."""
    facts = {
        "schedule": schedule.name,
        "work": schedule.work.path,
        "tick": entry.tick,
        "at": tick_name(entry.at),
        "state": entry.state,
        "reason": entry.reason,
        "cause": entry.cause,
        "attempts": entry.attempt,
        "run": entry.run,
        "log": str(ledger.log(entry)),
    }
    return "; ".join(_told(ledger.project, hook, facts, wait_s) for hook in hooks)


def _told(project: Path, hook: str, facts: Mapping[str, Any], wait_s: float) -> str:
    kind, _, to = hook.partition(":")
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(wait_s * attempt)
        try:
            _WAYS[kind](project, to, facts)
            return f"{kind} told"
        except (NbproofError, OSError, ValueError, subprocess.SubprocessError, smtplib.SMTPException) as error:
            problem = str(error) or type(error).__name__
    return f"{kind} not told: {problem}"


def _webhook(project: Path, to: str, facts: Mapping[str, Any]) -> None:
    address = _address(reveal(to) if is_reference(to) else to)
    request = urllib.request.Request(  # noqa: S310 (the scheme is checked)
        address, data=json.dumps(facts).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=ANSWER_S):  # noqa: S310
        pass


def _address(to: str) -> str:
    if urlsplit(to).scheme not in ("http", "https") or not urlsplit(to).hostname:
        raise ScheduleInvalid("a hook", "a webhook that is no address", "webhook:https://… or webhook:env:NAME")
    return to


def _mail(project: Path, to: str, facts: Mapping[str, Any]) -> None:
    settings = load_settings(project, os.environ)
    if settings.schedule_smtp is None or settings.schedule_mail_from is None:
        raise SettingsInvalid("[tool.nbproof.schedule]", "no mail server", "`smtp` and `mail_from`")
    message = EmailMessage()
    message["From"], message["To"] = settings.schedule_mail_from, to
    message["Subject"] = f"nbproof: {facts['schedule']} {facts['state']} ({facts['at']})"
    message.set_content("\n".join(f"{name}: {value}" for name, value in facts.items() if value not in (None, "")))
    server = urlsplit(settings.schedule_smtp)
    kind = smtplib.SMTP_SSL if server.scheme == "smtps" else smtplib.SMTP
    with kind(server.hostname or "localhost", server.port or 0, timeout=ANSWER_S) as connection:
        if server.scheme == "smtp" and connection.has_extn("starttls"):
            connection.starttls()
        if server.username is not None and settings.schedule_smtp_password is not None:
            connection.login(server.username, reveal(settings.schedule_smtp_password))
        connection.send_message(message)


def _command(project: Path, to: str, facts: Mapping[str, Any]) -> None:
    subprocess.run(
        shlex.split(to), cwd=project, input=json.dumps(facts), text=True, timeout=ANSWER_S, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


_WAYS: Mapping[str, Callable[[Path, str, Mapping[str, Any]], None]] = {
    "webhook": _webhook,
    "mail": _mail,
    "command": _command,
}
