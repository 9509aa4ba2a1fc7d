"""Watching a model in use: drift as pure numbers."""

__all__: list[str] = []
