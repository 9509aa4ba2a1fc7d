"""Secrets planted in 200 forms, and public notebooks without any: what the check NBP006 finds of each.

    python -m benchmarks.review_secrets                              # the planted ones: seconds
    python -m benchmarks.review_secrets --public FOLDER [--most N]   # and how often it cries over other people's work

No secret stands in this file: each is drawn anew, in the shape that its issuer gives it. A form is a secret of one kind
at one place of a notebook: in code, in a text, in what a cell printed. It is found when the check names its cell.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import string
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nbproof.errors import NbproofError
from nbproof.notebook.document import read
from nbproof.review.checks.findings import Inspected
from nbproof.review.checks.stored import secrets
from nbproof.settings import Settings

from .machine import machine

RESULTS = Path(__file__).parent / "results" / "review_secrets.json"
FOUND_BOUND, ALARM_BOUND = 0.98, 0.01
SETTINGS = Settings(experiment="x")
DRAWN = random.Random(20261126)
LETTERS = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits


def drawn(length: int, letters: str = LETTERS) -> str:
    """A random word with each sort of its letters, as issuers make them."""
    while True:
        word = "".join(DRAWN.choice(letters) for _ in range(length))
        if len(set(word)) > min(length, len(set(letters))) // 3:
            return word


def hexed(length: int) -> str:
    return drawn(length, "0123456789abcdef")


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt() -> str:
    return f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment({'sub': drawn(10), 'iat': 1516239022})}.{drawn(43)}"


def pem(kind: str) -> str:
    body = "\n".join(base64.b64encode(DRAWN.randbytes(48)).decode() for _ in range(6))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"


def password() -> str:
    return drawn(5, string.ascii_letters) + DRAWN.choice("!#%&*") + drawn(7)


# The shape that each issuer gives; what names nobody else knows needs the name in front of it.
ISSUED: dict[str, Callable[[], str]] = {
    "AWS access key": lambda: "AKIA" + drawn(16, UPPER),
    "AWS temporary key": lambda: "ASIA" + drawn(16, UPPER),
    "GitHub token": lambda: "ghp_" + drawn(36),
    "GitHub server token": lambda: "ghs_" + drawn(36),
    "GitHub fine-grained token": lambda: f"github_pat_{drawn(22)}_{drawn(59)}",
    "GitLab token": lambda: "glpat-" + drawn(20),
    "Slack bot token": lambda: f"xoxb-{drawn(12, string.digits)}-{drawn(12, string.digits)}-{drawn(24)}",
    "Slack webhook": lambda: f"https://hooks.slack.com/services/T{drawn(8, UPPER)}/B{drawn(8, UPPER)}/{drawn(24)}",
    "Stripe key": lambda: "sk_live_" + drawn(24),
    "Stripe restricted key": lambda: "rk_live_" + drawn(24),
    "Google API key": lambda: "AIza" + drawn(35),
    "Google OAuth secret": lambda: "GOCSPX-" + drawn(28),
    "Google OAuth token": lambda: "ya29." + drawn(68),
    "OpenAI key": lambda: "sk-" + drawn(20) + "T3BlbkFJ" + drawn(20),
    "OpenAI project key": lambda: "sk-proj-" + drawn(64),
    "Anthropic key": lambda: "sk-ant-api03-" + drawn(80),
    "Hugging Face token": lambda: "hf_" + drawn(34, string.ascii_letters),
    "Databricks token": lambda: "dapi" + hexed(32),
    "npm token": lambda: "npm_" + drawn(36),
    "PyPI token": lambda: "pypi-AgEIcHlwaS5vcmc" + drawn(80),
    "SendGrid key": lambda: f"SG.{drawn(22)}.{drawn(43)}",
    "Twilio key": lambda: "SK" + hexed(32),
    "Mailchimp key": lambda: hexed(32) + "-us12",
    "Mailgun key": lambda: "key-" + hexed(32),
    "Telegram bot token": lambda: f"{drawn(10, '123456789')}:AA{drawn(33)}",
    "Discord bot token": lambda: f"M{drawn(23)}.{drawn(6)}.{drawn(27)}",
    "JSON web token": jwt,
    "Docker token": lambda: "dckr_pat_" + drawn(27),
    "DigitalOcean token": lambda: "dop_v1_" + hexed(64),
    "Shopify token": lambda: "shpat_" + hexed(32),
    "Square token": lambda: "sq0csp-" + drawn(43),
    "Linear key": lambda: "lin_api_" + drawn(40),
    "Notion token": lambda: "ntn_" + drawn(46),
    "Vault token": lambda: "hvs." + drawn(90),
    "Grafana token": lambda: f"glsa_{drawn(32)}_{hexed(8)}",
    "New Relic key": lambda: "NRAK-" + drawn(27, UPPER),
    "Sentry token": lambda: "sntrys_" + drawn(60),
    "PlanetScale password": lambda: "pscale_pw_" + drawn(43),
    "Alibaba key": lambda: "LTAI" + drawn(20),
    "Age key": lambda: "AGE-SECRET-KEY-1" + drawn(58, UPPER),
    "Replicate token": lambda: "r8_" + drawn(37),
    "Groq key": lambda: "gsk_" + drawn(52),
    "Postman key": lambda: f"PMAK-{hexed(24)}-{hexed(34)}",
    "Azure storage key": lambda: f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={drawn(86)}==",
    "Azure SAS": lambda: f"https://x.blob.core.windows.net/c?sv=2022-11-02&sig={drawn(43)}%3D",
    "Postgres address": lambda: f"postgresql://ana:{drawn(12)}@db.bank:5432/risk",
    "MySQL address": lambda: f"mysql+pymysql://ana:{drawn(12)}@db.bank/risk",
    "MongoDB address": lambda: f"mongodb+srv://ana:{drawn(14)}@cluster0.mongodb.net/x",
    "Redis address": lambda: f"redis://:{drawn(16)}@cache.bank:6379/0",
    "address with a password": lambda: f"https://ana:{drawn(14)}@artifacts.bank/simple",
}
KEYS: dict[str, Callable[[], str]] = {
    kind: (lambda kind=kind: pem(kind))  # type: ignore[misc]
    for kind in ("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
                 "PGP PRIVATE KEY BLOCK")
}  # fmt: skip
# What only its name gives away.
NAMED: dict[str, Callable[[], str]] = {
    "password": lambda: f"password = '{password()}'",
    "db_password": lambda: f'DB_PASSWORD = "{password()}"',
    "passwd": lambda: f"passwd='{password()}'",
    "pwd": lambda: f"pwd = '{password()}'",
    "api_key": lambda: f"api_key = '{drawn(32)}'",
    "apikey, hex": lambda: f"APIKEY='{hexed(32)}'",
    "secret_key": lambda: f"secret_key = '{drawn(40)}'",
    "client_secret": lambda: f"client_secret = '{drawn(32)}'",
    "aws_secret_access_key": lambda: f"aws_secret_access_key='{drawn(40)}'",
    "access_token": lambda: f"access_token = '{drawn(48)}'",
    "auth_token": lambda: f"auth_token = '{hexed(40)}'",
    "annotated": lambda: f"token: str = '{drawn(40)}'",
    "attribute": lambda: f"client.password = '{password()}'",
    "environment": lambda: f"os.environ['DB_PASSWORD'] = '{password()}'",
    "environment, key": lambda: f"os.environ['KAGGLE_KEY'] = '{hexed(32)}'",
    "environment, other quotes": lambda: f'os.environ["WANDB_API_KEY"] = "{hexed(40)}"',
    "setdefault": lambda: f"os.environ.setdefault('API_TOKEN', '{drawn(32)}')",
    "putenv": lambda: f"os.putenv('SECRET_KEY', '{drawn(32)}')",
    "getenv's default": lambda: f"os.getenv('DB_PASSWORD', '{password()}')",
    "dict": lambda: f"config = {{'user': 'ana', 'password': '{password()}'}}",
    "dict, json": lambda: f'{{"username": "ana", "key": "{hexed(32)}"}}',
    "dict call": lambda: f"dict(host='db', password='{password()}')",
    "connect": lambda: f"psycopg2.connect(host='db', user='ana', password='{password()}')",
    "connect, snowflake": lambda: f"connect(user='ana', passwd='{password()}', account='x')",
    "login": lambda: f"wandb.login(key='{hexed(40)}')",
    "login, by place": lambda: f"server.login('ana@bank.example', '{password()}')",
    "bearer": lambda: f"headers = {{'Authorization': 'Bearer {drawn(40)}'}}",
    "bearer, f-string": lambda: f"h['Authorization'] = f'Bearer {drawn(40)}'",
    "token header": lambda: f"headers = {{'Authorization': 'token {hexed(40)}'}}",
    "basic header": lambda: "headers = {'Authorization': 'Basic "
    + base64.b64encode(f"ana:{password()}".encode()).decode() + "'}",
    "x-api-key": lambda: f"headers = {{'X-API-Key': '{drawn(32)}'}}",
    "auth pair": lambda: f"requests.get(url, auth=('ana', '{password()}'))",
    "query": lambda: f"url = 'https://api.bank.example/v1?api_key={drawn(32)}&q=1'",
    "query, token": lambda: f"url = 'https://api.bank.example/v1?access_token={drawn(32)}'",
    "magic %env": lambda: f"%env API_TOKEN={drawn(32)}",
    "magic %set_env": lambda: f"%set_env AWS_SECRET_ACCESS_KEY={drawn(40)}",
    "shell export": lambda: f"!export DB_PASSWORD={drawn(14)} && ./load.sh",
    "shell option": lambda: f"!mysql -u ana --password={drawn(14)} risk",
    "shell curl": lambda: f"!curl -u ana:{drawn(14)} https://api.bank.example/v1",
    "shell header": lambda: f"!curl -H 'Authorization: Bearer {drawn(40)}' https://api.bank.example",
    "bash cell": lambda: f"%%bash\nexport SECRET_TOKEN='{drawn(32)}'",
    "sql magic": lambda: f"%sql postgresql://ana:{drawn(14)}@db/risk",
    "comment": lambda: f"# password: {password()}",
    "multi-line": lambda: f"config = '''\n[db]\npassword = {password()}\n'''",
    "yaml": lambda: f"text = '''\ndb:\n  password: {password()}\n'''",
    "netrc": lambda: f"text = 'machine api.bank login ana password {drawn(14)}'",
    "ini": lambda: f"%%writefile ~/.aws/credentials\n[default]\naws_secret_access_key = {drawn(40)}",
    "joined": lambda: f"token = ('{drawn(20)}'\n         '{drawn(20)}')",
    "bytes": lambda: f"secret_key = b'{drawn(32)}'",
    "Fernet": lambda: f"Fernet('{base64.urlsafe_b64encode(DRAWN.randbytes(32)).decode()}')",
    "pepper": lambda: f"salt, pepper = 'x', '{drawn(44)}'",
    "walrus": lambda: f"if (password := '{password()}'):\n    pass",
    "default of a function": lambda: f"def load(user, password='{password()}'):\n    pass",
    "keyword, spaces": lambda: f"connect(password = '{password()}')",
    "list of pairs": lambda: f"[('user', 'ana'), ('password', '{password()}')]",
    "double quotes in single": lambda: f"text = '{{\"password\": \"{password()}\"}}'",
    "constant": lambda: f"SLACK_SIGNING_SECRET = '{hexed(32)}'",
    "passphrase": lambda: f"passphrase = '{password()}'",
    "connection string": lambda: f"'Server=db;Database=x;User Id=ana;Password={drawn(14)};'",
    "private_key_id": lambda: f"'private_key_id': '{hexed(40)}'",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """A notebook with one secret: the code or text of its cell, and what the cell put out."""

    name: str
    source: str = "x = 1"
    kind: str = "code"
    outputs: tuple[dict[str, Any], ...] = ()


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def shown(mime: str, content: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {mime: content}}


PLACES: dict[str, Callable[[str, str], Form]] = {
    "assigned": lambda name, secret: Form(name, f"value = '{secret}'"),
    "argument": lambda name, secret: Form(name, f"client = connect('{secret}', retries=3)"),
    "comment": lambda name, secret: Form(name, f"# was {secret} until May"),
    "text": lambda name, secret: Form(name, f"Use `{secret}` to log in.", "markdown"),
    "printed": lambda name, secret: Form(name, outputs=(printed(f"using {secret}\ndone\n"),)),
    "repr": lambda name, secret: Form(name, outputs=(shown("text/plain", f"{{'user': 'ana', 'v': '{secret}'}}"),)),
    "html": lambda name, secret: Form(name, outputs=(shown("text/html", f"<table><td>{secret}</td></table>"),)),
    "json": lambda name, secret: Form(name, outputs=(shown("application/json", {"a": [{"b": secret}]}),)),
    "traceback": lambda name, secret: Form(name, outputs=({
        "output_type": "error", "ename": "E", "evalue": "x", "traceback": [f"\x1b[0;31mE\x1b[0m: no {secret}"]},)),
    "long line": lambda name, secret: Form(name, "x = '" + "lorem ipsum " * 2500 + f"{secret}'"),
}  # fmt: skip


def forms() -> Iterator[Form]:
    """200 of them: what is issued at a place each in turn, keys, and what only a name gives away."""
    places = list(PLACES)
    for number, (kind, make) in enumerate(ISSUED.items()):
        for step in range(2):
            place = places[(number + 5 * step) % len(places)]
            yield PLACES[place](f"{kind}, {place}", make())
    for kind, make in KEYS.items():
        yield Form(f"{kind}, in code", f"key = '''{make()}'''")
        yield Form(f"{kind}, printed", outputs=(printed(make()),))
        yield Form(f"{kind}, in one line", f"key = {make()!r}")
    for name, make in NAMED.items():
        yield Form(f"{name}, in code", make())
    # What is printed has no quotes that would show where a word ends.
    yield Form("password, printed", outputs=(printed(f"password: {password()}\n"),))
    yield Form("settings, printed", outputs=(printed(f"{{'host': 'db', 'password': '{password()}'}}\n"),))
    yield Form("environment, printed", outputs=(printed(f"HOME=/x\nDB_PASSWORD={password()}\nLANG=C\n"),))
    yield Form("JSON, printed", outputs=(printed(json.dumps({"api_key": drawn(32)}, indent=2)),))
    yield Form("Kaggle's file, printed", outputs=(printed(f'{{"username":"ana","key":"{hexed(32)}"}}'),))
    yield Form("header, printed", outputs=(printed(f"Authorization: Bearer {drawn(40)}\n"),))
    account = {"type": "service_account", "private_key": pem("PRIVATE KEY"), "client_email": "a@b.example"}
    yield Form("service account, in code", f"info = {json.dumps(account)}")
    yield Form("service account, as JSON", outputs=(shown("application/json", account),))
    yield Form("password, in a text", f"The password is: {password()}", "markdown")
    yield Form("password, in a table of a text", f"| user | password |\n|---|---|\n| ana | {password()} |", "markdown")
    yield Form("raw cell", f"password: {password()}", "raw")
    yield Form("connection, printed", outputs=(printed(f"Engine(postgresql://ana:{drawn(12)}@db/risk)\n"),))
    yield Form("curl, in a text", f"`curl -u ana:{drawn(14)} https://api.bank.example`", "markdown")
    yield Form("token, in HTML", outputs=(shown("text/html", f"<b>token</b>: <code>ghp_{drawn(36)}</code>"),))
    yield Form("token, split by tags", outputs=(shown("text/html", f"<td>AKIA{drawn(16, UPPER)}</td>"),))
    yield Form("colours within", outputs=(printed(f"key=\x1b[1mghp_{drawn(36)}\x1b[0m\n"),))
    yield Form("on stderr", outputs=({**printed(f"Bearer {jwt()}\n"), "name": "stderr"},))
    yield Form("in LaTeX", outputs=(shown("text/latex", f"$x$ glpat-{drawn(20)}"),))
    yield Form("in JavaScript", outputs=(shown("application/javascript", f"var t = 'ghp_{drawn(36)}'"),))
    yield Form(
        "in SVG", outputs=(shown("image/svg+xml", f"<svg><text>hf_{drawn(34, string.ascii_letters)}</text></svg>"),)
    )
    yield Form("in a plot's JSON", outputs=(shown("application/vnd.plotly.v1+json", {"t": "ghp_" + drawn(36)}),))
    yield Form("in Markdown that was shown", outputs=(shown("text/markdown", f"**key**: sk-proj-{drawn(64)}"),))


def written(form: Form, path: Path) -> Path:
    """The notebook with this secret alone."""
    cell: dict[str, Any] = {"cell_type": form.kind, "id": "c", "metadata": {}, "source": form.source}
    if form.kind == "code":
        cell |= {"execution_count": 1, "outputs": list(form.outputs)}
    content = {
        "nbformat": 4, "nbformat_minor": 5, "cells": [cell],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def planted() -> list[tuple[str, bool]]:
    """Every form, and whether it was found."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for form in forms():
            path = written(form, Path(folder) / "n.ipynb")
            found.append((form.name, bool(list(secrets(Inspected(read(path), path.parent, SETTINGS))))))
    return found


def public(folder: Path, most: int | None) -> tuple[int, list[str], float]:
    """How many notebooks were read, what was found in which, and how many seconds it took."""
    started, count, alarms = time.perf_counter(), 0, []
    chosen = sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    random.Random(1).shuffle(chosen)
    for path in chosen[:most]:
        try:
            document = read(path)
        except NbproofError:
            continue
        count += 1
        for one in list(secrets(Inspected(document, folder, SETTINGS)))[:1]:
            place = f"cell {one.number}" + (f", line {one.line}" if one.line else "")
            alarms.append(f"{path.relative_to(folder)}: {place}: {one.message}")
    return count, alarms, time.perf_counter() - started


def main() -> int:
    """Measure, print, write; the exit status says whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--public", type=Path, help="a folder with other people's notebooks")
    parser.add_argument("--most", type=int, help="read no more than this many of them")
    arguments = parser.parse_args()
    told = planted()
    share = sum(found for _, found in told) / len(told)
    print(f"planted: {sum(found for _, found in told)} of {len(told)} found ({share:.1%}; bound {FOUND_BOUND:.0%})")
    for name, found in told:
        if not found:
            print(f"  missed: {name}")
    result: dict[str, Any] = {
        "machine": machine(), "detect-secrets": version("detect-secrets"),
        "planted": {"forms": len(told), "found": share, "missed": [name for name, found in told if not found]},
    }  # fmt: skip
    holds = share >= FOUND_BOUND and len(told) >= 200
    if arguments.public:
        count, alarms, took = public(arguments.public, arguments.most)
        rate = len(alarms) / max(1, count)
        print(f"public: {len(alarms)} of {count} notebooks with an alarm ({rate:.2%}; bound {ALARM_BOUND:.0%})")
        print("\n".join(f"  {alarm}" for alarm in alarms))
        kinds = Counter(alarm.rpartition("like a ")[2] for alarm in alarms)
        result["public"] = {"notebooks": count, "alarms": rate, "kinds": kinds, "found": alarms, "seconds": took}
        holds = holds and rate <= ALARM_BOUND
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
