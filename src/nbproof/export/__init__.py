"""From a notebook to a package: reading, watching, shaping, and the proof that both give the same."""
