"""Carrying it out: notebooks through Papermill, pipelines through Ploomber, freshness by fingerprint."""

__all__: list[str] = []
