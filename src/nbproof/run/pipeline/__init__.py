"""A pipeline: read from its file, by Ploomber where only Ploomber can, and checked whole before any kernel starts."""

__all__: list[str] = []
