"""A pipeline on an engine: each task is a job of its own, which runs without whoever submitted it."""
