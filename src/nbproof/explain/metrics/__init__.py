"""How far an explanation can be trusted: one module a metric, each with `measure(...)` and the record it returns.

They are pure: plain arrays and callables in, a small frozen record out. What the numbers mean, and from where on they
are a warning, stands in `auditing`.
"""

__all__: list[str] = []
