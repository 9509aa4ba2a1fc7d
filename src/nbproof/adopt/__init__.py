"""Notebooks that nobody wrote for nbproof, taken over: read without running them, proposed as a pipeline."""

__all__: list[str] = []
