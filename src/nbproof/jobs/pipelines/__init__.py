"""Whole pipelines on engines: each task a job there, or the engine's own spelling of all of them."""
