"""`nbproof serve`: an approved model answers requests, with its explanations; `nbproof serve-key`: who may ask."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from .output import as_json, print_json

if TYPE_CHECKING:
    from ..serve.shipping import Kind


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--project", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Whose approvals count; that of this folder when left out.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Where it listens.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--api-keys", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Who may ask; see nbproof serve-key.")  # fmt: skip
@click.option("--oidc-issuer", metavar="URL", help="Whose tokens let in, too: the `iss` that they name.")
@click.option("--oidc-audience", metavar="NAME", default="", help="Whom its tokens must be meant for: their `aud`.")
@click.option(
    "--oidc-jwks", metavar="FILE|URL", help="Its keys; the issuer's own description says where when left out."
)
@click.option("--oidc-scope", metavar="NAME", default="", help="The scope or role that a token needs.")
@click.option("--oidc-admin-scope", metavar="NAME", default="", help="The one that may also exchange the model.")
@click.option("--follow", is_flag=True, help="Load by itself what takes the model's place, once it is approved.")
@click.option("--no-explain", is_flag=True, help="Offer no explanations, and start sooner.")
@click.option("--log", "log", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep every answer with its rows, on the disk before it is sent.")  # fmt: skip
@click.option("--log-share", type=click.FloatRange(min=0, max=1, min_open=True), default=1.0, show_default=True,
              help="Which part of the requests is kept.")  # fmt: skip
@click.option("--log-requests", is_flag=True, help="Write a line of JSON about every answer.")
@click.option("--batch-rows", type=click.IntRange(min=1), default=256, show_default=True,
              help="How many rows of several requests go into one call of the model; 1: none.")  # fmt: skip
@click.option("--batch-wait", type=click.FloatRange(min=0), default=0.0, show_default=True, metavar="MS",
              help="How long the first of them waits for others.")  # fmt: skip
@click.option("--max-rows", type=click.IntRange(min=1), default=1000, show_default=True, help="Rows in one request.")
@click.option("--max-bytes", type=click.IntRange(min=1), default=1_000_000, show_default=True,
              help="Bytes in one request.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True,
              metavar="SECONDS", help="The most time for one answer.")  # fmt: skip
@click.option("--check", "check_s", type=click.FloatRange(min=0.1), default=5.0, show_default=True, metavar="SECONDS",
              help="How often the approval is verified again.")  # fmt: skip
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="How many answer.")
@click.option("--unsafe-draft", metavar="WHY", help="Serve a model that nobody has approved; the ledger says why.")
@click.option("--unsafe-public-host", is_flag=True, help="Let everybody in who can reach the host.")
@as_json
def serve(
    model: str, project: Path | None, host: str, port: int, api_keys: Path | None,
    oidc_issuer: str | None, oidc_audience: str, oidc_jwks: str | None, oidc_scope: str, oidc_admin_scope: str,
    follow: bool, no_explain: bool,
    log: Path | None, log_share: float, log_requests: bool,
    batch_rows: int, batch_wait: float, max_rows: int, max_bytes: int, timeout: float,
    check_s: float, processes: int, unsafe_draft: str | None, unsafe_public_host: bool, as_json: bool,
) -> None:  # fmt: skip
    """Answer requests with an approved model.

    MODEL is a folder with a packaged model, or models:/NAME@ALIAS of the registry. It is loaded only when an approval
    covers its very bytes, and answers only as long as one does.

    \b
    Example:
      nbproof serve build/08_serving/service
      nbproof serve models:/credit-default@champion --host 0.0.0.0 --api-keys keys.txt
    """
    from ..extras import require
    from ..serve.keys import read as read_keys
    from ..serve.options import Options
    from ..serve.process import refuse_public
    from ..serve.supervising import supervise

    if unsafe_draft is not None and not unsafe_draft.strip():
        raise click.UsageError("--unsafe-draft: found no reason, expected why nobody needs to approve it")
    if api_keys is not None:
        read_keys(api_keys)
    elif oidc_issuer is None and not unsafe_public_host:
        refuse_public(host)
    if oidc_issuer is None and (oidc_audience or oidc_jwks or oidc_scope or oidc_admin_scope):
        raise click.UsageError("--oidc-…: found no --oidc-issuer, expected whose tokens let in")
    root, by, registry = project_of(project)
    options = Options(
        model=model if model.startswith("models:") else str(Path(model).absolute()),
        project=str(root), registry=registry, unsafe_by=by if unsafe_draft else "", unsafe_why=unsafe_draft or "",
        keys=None if api_keys is None else str(api_keys.absolute()), follow=follow, explains=not no_explain,
        oidc_issuer=oidc_issuer, oidc_audience=oidc_audience, oidc_scope=oidc_scope, oidc_admin_scope=oidc_admin_scope,
        oidc_jwks=oidc_jwks if oidc_jwks is None or "://" in oidc_jwks else str(Path(oidc_jwks).absolute()),
        log=None if log is None else str(log.absolute()), log_share=log_share,
        tells_requests=log_requests, check_s=check_s, rows=max_rows, body_bytes=max_bytes, answer_s=timeout,
        batch_rows=batch_rows, batch_wait_s=batch_wait / 1000, waiting_rows=max(10_000, 2 * max_rows),
    )  # fmt: skip
    if options.provider is not None:
        require("jwt")
    with _listening(host, port) as bound:
        address = bound.getsockname()[:2]
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]

        def ready(said: bytes) -> None:
            found = json.loads(said)
            url = f"http://{shown}:{address[1]}"
            if as_json:
                print_json({"url": url, "pid": os.getpid(), **found})
            else:
                click.echo(f"serving {found['name']} {found['version']} at {url}; {found['approval']['sentence']}")
            sys.stdout.flush()

        code = supervise(options, bound, processes=processes, ready=ready)
    if code:
        sys.exit(code)


@click.command("serve-key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("name")
@click.option("--admin", is_flag=True, help="May also exchange the model.")
@click.option("--until", metavar="DAY", help="Its last day, as YYYY-MM-DD; it never ends when left out.")
@as_json
def serve_key(file: Path, name: str, admin: bool, until: str | None, as_json: bool) -> None:
    """Make a key for NAME, and add its hash to FILE.

    The key is shown once and kept nowhere. To take it back, strike its line out: a running service hears of it within
    a second.

    \b
    Example:
      nbproof serve-key keys.txt scoring-app --until 2027-06-30
    """
    from ..serve.keys import add

    key = add(file, name, "admin" if admin else "use", until)
    if as_json:
        print_json({"name": name, "key": key, "file": file})
        return
    click.echo(key)
    click.echo(f"only its hash is in {file}; send it as `Authorization: Bearer KEY`", err=True)


@click.command("serve-export")
@click.argument("model", metavar="MODEL")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--as", "kind", type=click.Choice(["bentoml", "container", "mlflow", "triton"]), default="container",
              show_default=True, help="What is made of it.")  # fmt: skip
@click.option("--project", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Whose approvals count; that of this folder when left out.")  # fmt: skip
@click.option("--no-explain", is_flag=True, help="Leave out what explanations need.")
@click.option("--unsafe-draft", metavar="WHY", help="Take a model that nobody has approved; the ledger says why.")
@as_json
def serve_export(
    model: str, folder: Path, kind: str, project: Path | None, no_explain: bool, unsafe_draft: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Write an approved model to FOLDER as it runs elsewhere: for a container, MLflow, BentoML or Triton.

    MODEL is what nbproof serve takes. A container, an MLflow model and a bento are pinned to its very bytes; what is
    needed beside them is pinned, too, and a container comes with a bill of materials.

    \b
    Example:
      nbproof serve-export models:/credit-default@champion build/container
      nbproof serve-export build/08_serving/service build/mlflow --as mlflow
      nbproof serve-export build/08_serving/service build/bento --as bentoml
    """
    from ..review.gate import UnsafeBypass
    from ..serve.admission import ByApproval
    from ..serve.package import of_contents
    from ..serve.shipping import ship
    from ..serve.source import find

    if unsafe_draft is not None and not unsafe_draft.strip():
        raise click.UsageError("--unsafe-draft: found no reason, expected why nobody needs to approve it")
    root, by, registry = project_of(project)
    source = find(model, uri=registry)
    package = of_contents(source.contents())
    unsafe = None if unsafe_draft is None else UnsafeBypass(by, unsafe_draft)
    grant = ByApproval(root, unsafe).admit(source.name, package.contents.digest)
    done = ship(package, grant, folder, cast("Kind", kind), explains=not no_explain)
    if as_json:
        print_json({"folder": done.folder, "files": [each for each in done.files if "nbproof/" not in each],
                    "digest": package.contents.digest.hex, "approval": grant.sentence})  # fmt: skip
        return
    click.echo(f"{package.manifest.name} {package.manifest.version} is in {folder}, {grant.sentence}; next: "
               + {"container": f"podman build {folder}", "mlflow": f"mlflow models serve -m {folder}",
                  "bentoml": f"bentoml serve {folder}",
                  "triton": f"tritonserver --model-repository={folder}"}[kind])  # fmt: skip


def project_of(named: Path | None) -> tuple[Path, str, str]:
    """The project whose approvals count, who serves, and where its registry is."""
    from ..settings import find_project, load
    from ..track.store import store_uri

    root = find_project(named or Path.cwd())
    settings = load(root, os.environ)
    return root, settings.review_name or getpass.getuser(), store_uri(root, settings)


def _listening(host: str, port: int) -> socket.socket:
    from ..errors import AskedWrongly
    from ..serve.process import listening

    try:
        return listening(host, port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise AskedWrongly(f"cannot listen at {host}:{port}: {reason}", hint="choose another: --port 0") from None
