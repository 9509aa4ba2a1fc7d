"""nbproof beside its peers: the same notebooks, the same machine, the same minutes (`python -m benchmarks.run`)."""
