"""Remembering: what runs did, told to MLflow once and in order, even when it is away."""

__all__: list[str] = []
