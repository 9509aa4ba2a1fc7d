"""Warm kernels: forked from a process that has imported what they import, so that a notebook starts like a call."""

__all__: list[str] = []
