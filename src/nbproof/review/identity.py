"""Who decides here: the key that the settings name, and the name that its owner has in the policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ReviewAskedWrongly, ReviewRefused
from ..settings import Settings
from .keys import PrivateKey, read_private
from .names import same_person
from .policy import FILE
from .policy import read as read_policy
from .signers import FILE as SIGNERS
from .signers import line_of

# Jupyter calls somebody who showed a token by a name that it draws.
_DRAWN = re.compile(r"[0-9a-f]{32}")
_NAME = 'name yourself in pyproject.toml: [tool.nbproof.review] name = "…"'


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody who may sign here, with the key."""

    name: str
    key: PrivateKey


def key_file(project: Path, settings: Settings, named: Path | None = None) -> Path:
    """The file of the key that signs; a path of the settings is meant from the project's folder."""
    if named is not None:
        return named.expanduser()
    if settings.review_key is None:
        raise ReviewAskedWrongly(
            "who signs", "no key", "`key` in [tool.nbproof.review], or --key FILE",
            hint="ssh-keygen -t ed25519 -f ~/.ssh/id_ed25519 makes one",
        )  # fmt: skip
    return project / Path(settings.review_key).expanduser()


def person(settings: Settings, user: str) -> str:
    """Who somebody is that a server calls `user`; raises `ReviewRefused` for somebody without a name."""
    if settings.review_name is not None:
        return settings.review_name
    if not user or _DRAWN.fullmatch(user):
        raise ReviewRefused("a review needs names", ["you are anonymous to this server"], hint=_NAME)
    return user


def asker(project: Path, settings: Settings, user: str) -> tuple[str, PrivateKey | None]:
    """Who asks for the `user` of a server, with the key that signs it; none where the policy asks for none.

    Raises `ReviewRefused` for a key of somebody else, and what reading it raises.
    """
    name = person(settings, user)
    policy = read_policy(project)
    if settings.review_key is None and policy.unsafe_unsigned_requests:
        return name, None
    key = read_private(key_file(project, settings))
    holder = policy.holder_of(key.public.fingerprint)
    if policy.unsafe_unsigned_requests and (holder is None or not same_person(holder.name, name)):
        return name, None
    if holder is None or not same_person(holder.name, name):
        told = f"the key is {holder.name}'s" if holder else f"{key.public.fingerprint} is of nobody in {SIGNERS}"
        raise ReviewRefused("nobody asks for another", [f"{told}, and you are {name}"],
                            hint=f"add to {SIGNERS}: {line_of(name, key.public)}")  # fmt: skip
    return holder.name, key


def signer(project: Path, settings: Settings, user: str, *, passphrase: Callable[[], str] | None = None) -> Signer:
    """Who signs for the `user` of a server: the owner of its key, if that is who they are.

    Raises `ReviewRefused` and what reading the key raises.
    """
    name = person(settings, user)
    key = read_private(key_file(project, settings), passphrase=passphrase)
    reviewer = read_policy(project).reviewer_of(key.public.fingerprint)
    if reviewer is None:
        raise ReviewRefused(
            "the key of this server decides nothing", [f"{key.public.fingerprint} is of no reviewer in {FILE}"],
            hint=f"add to {SIGNERS}: {line_of(name, key.public)}",
        )  # fmt: skip
    if not same_person(reviewer.name, name):
        raise ReviewRefused(
            "nobody signs for another", [f"the key is {reviewer.name}'s, and you are {name}"], hint=_NAME
        )
    return Signer(reviewer.name, key)
