"""One notebook carried out: Papermill's engine, the kernel's client, and what becomes of its outputs."""

__all__: list[str] = []
