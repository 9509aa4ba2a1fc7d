"""What a service is asked to be, as plain values that one process hands to another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..records import ContentHash
from ..review.gate import UnsafeBypass
from .admission import Admission, ByApproval, Pinned, Unasked
from .batching import Batching
from .limits import Bounds
from .stage import CHECK_S
from .tokens import Provider

_BOUNDS, _BATCHING = Bounds(), Batching()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A model by its name, and how it is served. Without a `project` nobody is asked about an approval.

    `pinned` is the content hash that alone is served then, and `pinned_words` say who approved it. `registry` is the
    tracker that `models:/NAME@ALIAS` is looked up in. `keys` is a file of API keys, and `oidc_…` say whose tokens let
    in. `log` is the folder of the prediction log, of which `log_share` of all requests are kept. With `follow` what
    takes the model's place is loaded by itself. `tells_requests` writes a line about every request.
    """

    model: str
    project: str | None = None
    pinned: str | None = None
    pinned_words: str = ""
    registry: str | None = None
    unsafe_by: str = ""
    unsafe_why: str = ""
    keys: str | None = None
    oidc_issuer: str | None = None
    oidc_audience: str = ""
    oidc_jwks: str | None = None
    oidc_scope: str = ""
    oidc_admin_scope: str = ""
    log: str | None = None
    log_share: float = 1.0
    follow: bool = False
    explains: bool = False
    tells_requests: bool = False
    check_s: float = CHECK_S
    rows: int = _BOUNDS.rows
    body_bytes: int = _BOUNDS.body_bytes
    body_s: float = _BOUNDS.body_s
    answer_s: float = _BOUNDS.answer_s
    waiting_rows: int = _BOUNDS.waiting_rows
    batch_rows: int = _BATCHING.rows
    batch_wait_s: float = _BATCHING.wait_s

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.rows, self.body_bytes, self.body_s, self.answer_s, self.waiting_rows)

    @property
    def batching(self) -> Batching:
        return Batching(self.batch_rows, self.batch_wait_s)

    @property
    def provider(self) -> Provider | None:
        """Whose tokens let in; None: nobody's."""
        if self.oidc_issuer is None:
            return None
        return Provider(
            issuer=self.oidc_issuer, audience=self.oidc_audience, jwks=self.oidc_jwks, scope=self.oidc_scope,
            admin=self.oidc_admin_scope,
        )  # fmt: skip

    @property
    def admission(self) -> Admission:
        """Who is asked whether the model may answer."""
        if self.project is None:
            return Unasked() if self.pinned is None else Pinned(ContentHash(self.pinned), self.pinned_words)
        unsafe = UnsafeBypass(self.unsafe_by, self.unsafe_why) if self.unsafe_why else None
        return ByApproval(Path(self.project), unsafe)

    def written(self) -> str:
        """The options as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Options:
        """The options that `written` wrote."""
        return cls(**json.loads(text))
