"""A process that has imported what kernels import, and forks a fresh one on request.

It runs in the interpreter of the kernel, where nbproof need not be installed: this package uses the standard library
and ipykernel alone, and is loaded by its path under a name of its own (see `__main__`).
"""

__all__: list[str] = []
