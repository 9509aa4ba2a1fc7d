"""Remembering: what a notebook logs about itself, and how records of runs reach the tracker.

In a notebook: `from nbproof import track`, then `track.metrics(auc=0.91)`.
"""

from .notebook import artifact, child, metrics, parameters, tags, tracking_uri

__all__ = ["artifact", "child", "metrics", "parameters", "tags", "tracking_uri"]
