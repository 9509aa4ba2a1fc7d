"""What a service counts of itself, in the text format of Prometheus, in a registry of its own."""

from __future__ import annotations

from typing import Any

from ..extras import require

TENTHS = [each / 10 for each in range(1, 11)]


class Counts:
    """Requests by route and status, seconds by route, scores, rows in a batch, and whether a model answers."""

    def __init__(self) -> None:
        require("prometheus_client")
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram

        self.content_type = CONTENT_TYPE_LATEST
        registry = self._registry = CollectorRegistry()
        self._requests = Counter("nbproof_requests_total", "Requests answered", ["path", "status"], registry=registry)
        self._seconds = Histogram("nbproof_request_seconds", "Time to answer", ["path"], registry=registry)
        self._scores = Histogram("nbproof_score", "Scores given", buckets=TENTHS, registry=registry)
        self._batches = Histogram("nbproof_batch_rows", "Rows in one call of the model",
                                  buckets=[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], registry=registry)  # fmt: skip
        self._ready = Gauge("nbproof_ready", "1 while a model answers", registry=registry)
        # To look up a label costs more than to count.
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}

    def answered(self, path: str, status: int, seconds: float) -> None:
        """One request was answered."""
        known = self._known.get((path, status))
        if known is None:
            known = self._known[path, status] = (self._requests.labels(path, str(status)), self._seconds.labels(path))
        known[0].inc()
        known[1].observe(seconds)

    def scored(self, scores: list[float]) -> None:
        """These scores were given."""
        for each in scores:
            self._scores.observe(each)

    def called(self, rows: int) -> None:
        """The model was called once with so many rows."""
        self._batches.observe(rows)

    def text(self, *, is_ready: bool) -> bytes:
        """The counts of now."""
        from prometheus_client import generate_latest

        self._ready.set(is_ready)
        return generate_latest(self._registry)
