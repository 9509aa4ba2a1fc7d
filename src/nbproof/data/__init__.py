"""Data that has versions, or a contract: what stands for it in a fingerprint, and how a notebook reads it."""

__all__: list[str] = []
