"""Files that hold secrets by the convention of those who read them: no package takes one along."""

from __future__ import annotations

import re
from pathlib import Path

# Settings of programs, keys of SSH and TLS, and what tools for clouds and packages keep of those who use them.
_NAMES = re.compile(
    r"""\.env(\..+)? | \.envrc | .+\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk) | id_(rsa|dsa|ecdsa|ed25519)
    | \.netrc | \.pgpass | \.pypirc | \.npmrc | \.git-credentials | \.htpasswd | \.dockercfg
    | (client_)?secrets?\.(json|ya?ml|toml|ini|txt)
    | (aws|gcp|google|service)?_?-?credentials?(\.(json|ya?ml|toml|ini|txt|csv))?
    | kubeconfig | kaggle\.json | passwords?\.txt | (access|api|auth)_?-?(token|key)s?\.(txt|json|ya?ml)""",
    re.VERBOSE | re.IGNORECASE,
)
_EXAMPLES = re.compile(r"\.env\.(example|sample|template|dist|defaults?)", re.IGNORECASE)
_PRIVATE = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_HEAD = 4096


def holds_secrets(path: Path) -> bool:
    """Whether a file holds secrets, by its name or as a private key in its first lines.

    >>> [holds_secrets(Path(name)) for name in (".env", "server.pem", ".aws/credentials", ".env.example", "rates.csv")]
    [True, True, True, False, False]
    """
    if _EXAMPLES.fullmatch(path.name):
        return False
    if _NAMES.fullmatch(path.name):
        return True
    try:
        with path.open("rb") as file:
            return _PRIVATE.search(file.read(_HEAD)) is not None
    except OSError:
        return False
