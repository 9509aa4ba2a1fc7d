"""LIME: local linear models in place of a model, with lime 0.2.0.1's own numbers, a batch of rows at a time."""

__all__: list[str] = []
