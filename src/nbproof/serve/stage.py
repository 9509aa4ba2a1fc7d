"""Which model answers now, or why none does; it is verified again every few seconds, and exchanged without a gap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ApprovalInvalid, LedgerBroken, ModelRefused, NbproofError, NotApproved, TrackerUnavailable
from ..records import ContentHash
from .admission import Admission, Grant
from .comparing import background_of
from .explaining import Explainer
from .package import Model, Package, of_contents
from .source import Source

CHECK_S = 5.0
# A decision is two files, of which one is there first.
TRIES, TRY_AGAIN_S = 3, 0.1
CARD, REASONS = "card.json", "reasons.json"


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model that may answer. `explainer` says why it does, or None with the reason in `unexplained`.

    `card` are facts about it and `texts` words for its features, which its package brings.
    """

    package: Package
    digest: ContentHash
    model: Model
    grant: Grant
    mark: Hashable
    # What its source showed when it was looked at last.
    seen: Hashable = None
    explainer: Explainer | None = None
    unexplained: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class NotReady(Exception):
    """No model answers; the reason in words."""


class Stage:
    """The model of a service, from its loading to its end. `tell` hears what changes, in words."""

    def __init__(
        self, source: Source, admission: Admission, *, follow: bool = False, explains: bool = True,
        check_s: float = CHECK_S,
        tell: Callable[[str, str], None] = lambda event, words: None,
    ) -> None:  # fmt: skip
        self._source, self._admission = source, admission
        self._follow, self._explains, self._check_s, self._tell = follow, explains, check_s, tell
        self._loaded: Loaded | None = None
        self._problem = "the model is not loaded"
        # What an alias names and nobody has approved yet, and what was told of it.
        self._refused: tuple[Hashable, Package] | None = None
        self._told = ("", "")
        self._ends = 0.0
        self._changing = threading.Lock()
        self._stopping = threading.Event()

    @property
    def source(self) -> str:
        return self._source.name

    @property
    def is_loaded(self) -> bool:
        return self._loaded is not None

    def current(self) -> Loaded:
        """The model that answers. Raises `NotReady`."""
        loaded = self._loaded
        if self._problem or loaded is None:
            raise NotReady(self._problem)
        if self._ends and time.time() >= self._ends:
            raise NotReady(f"its approval ended on {loaded.grant.ends:%Y-%m-%d at %H:%M:%S} UTC")
        return loaded

    def load(self, package: Package | None = None) -> Loaded:
        """Admit, load and show the model that is there now. Raises `NbproofError`; what answered before goes on."""
        with self._changing:
            return self._load(package)

    def _load(self, package: Package | None) -> Loaded:
        before = self._loaded
        package = package or of_contents(self._source.contents())
        digest, mark = package.contents.digest, package.contents.mark
        grant = self._admitted(digest)
        if before is not None and package.signature != before.package.signature:
            raise ModelRefused(package.folder, "a signature with which callers must change",
                               "the signature of the model that answers now; restart to exchange it, too")  # fmt: skip
        model = package.load(runs_code=grant.runs_code)
        explainer, unexplained = None, "explanations are off"
        if self._explains:
            explainer, unexplained = Explainer.of(model, background_of(package))
        card, texts = package.said(CARD), package.said(REASONS)
        loaded = Loaded(package, digest, model, grant, mark, None, explainer, unexplained, card, texts)
        self._show(loaded)
        if before is not None:
            self._tell("swapped", f"{package.manifest.name} {package.manifest.version} answers, {grant.sentence}")
        return loaded

    def _admitted(self, digest: ContentHash) -> Grant:
        try:
            return self._admission.admit(self.source, digest)
        except NotApproved as error:
            error.hint = self._source.asking or error.hint
            raise

    def check(self) -> None:
        """Verify once more that the model may answer, and that what was loaded is what lies there."""
        with self._changing:
            if self._loaded is None:
                return
            try:
                self._show(self._verified_again(self._loaded))
            except NbproofError as error:
                self._close(str(error))
            except Exception as error:
                # What cannot be verified is not approved.
                self._close(f"its approval cannot be verified: {type(error).__name__}: {error}")

    def _verified_again(self, loaded: Loaded) -> Loaded:
        """Like `_verified`; records that are not whole are read again: somebody may be writing a decision."""
        for _ in range(TRIES):
            try:
                return self._verified(loaded)
            except (ApprovalInvalid, LedgerBroken):
                if self._stopping.wait(TRY_AGAIN_S):
                    break
        return self._verified(loaded)

    def _verified(self, loaded: Loaded) -> Loaded:
        """The loaded model with its grant of now; with `follow` the one that has taken its place."""
        if self._source.is_in_place:
            loaded = self._in_place(loaded)
        else:
            loaded = self._elsewhere(self._by_alias(loaded) if self._follow else loaded)
        return replace(loaded, grant=self._admission.again(self.source, loaded.digest))

    def _in_place(self, loaded: Loaded) -> Loaded:
        mark = self._source.mark()
        if mark == loaded.mark:
            return loaded
        found = self._source.contents()
        if found.digest == loaded.digest:
            return replace(loaded, mark=mark)
        if self._follow:
            return self._load(of_contents(found))
        raise ModelRefused(found.folder, f"other files than those that were loaded, {found.digest.short}",
                           f"{loaded.digest.short}; what is there now is loaded by `kill -HUP`")  # fmt: skip

    def _elsewhere(self, loaded: Loaded) -> Loaded:
        """The loaded model, unless what it was read from is another one by now. Raises `NbproofError`."""
        try:
            seen = self._source.looked(loaded.package.contents, loaded.seen)
        except TrackerUnavailable as error:
            # Nobody says that it was altered, and what answers is what was approved.
            self._tell_once("not looked", str(error))
            return loaded
        return replace(loaded, seen=seen)

    def _by_alias(self, loaded: Loaded) -> Loaded:
        """The version that the alias names now, where it may answer; else the one of before, which is what it was."""
        try:
            mark = self._source.mark()
            if mark == loaded.mark:
                return loaded
            if self._refused is None or self._refused[0] != mark:
                self._refused = (mark, of_contents(self._source.contents()))
            found = self._refused[1]
            # To ask is cheap; only what may answer is loaded.
            self._admission.again(self.source, found.contents.digest)
            self._refused = None
            return self._load(found)
        except Exception as error:
            # Whatever is wrong with the next version, the one that answers is what it was.
            words = str(error) if isinstance(error, NbproofError) else f"{type(error).__name__}: {error}"
            self._tell_once("not swapped", words)
            return loaded

    def _tell_once(self, event: str, words: str) -> None:
        if (event, words) != self._told:
            self._told = (event, words)
            self._tell(event, words)

    def watch(self) -> threading.Thread:
        """Verify every few seconds, and when an approval ends, until `stop`."""
        thread = threading.Thread(target=self._watch, name="nbproof-verify", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Answer no more, and verify no more."""
        self._stopping.set()
        self._loaded, self._problem = None, "the service is ending"

    def _watch(self) -> None:
        while not self._stopping.wait(self._pause()):
            self.check()

    def _pause(self) -> float:
        left = self._ends - time.time()
        return min(self._check_s, left + 0.01) if left > 0 else self._check_s

    def _show(self, loaded: Loaded) -> None:
        ends = loaded.grant.ends
        self._ends = 0.0 if ends is None else ends.timestamp()
        self._loaded = loaded
        if self._problem and self._problem != "the model is not loaded":
            self._tell("ready", loaded.grant.sentence)
        self._problem = ""

    def _close(self, reason: str) -> None:
        if reason != self._problem:
            self._tell("not ready", reason)
        self._problem = reason
