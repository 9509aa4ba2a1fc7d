"""nbproof: from notebook to production, with proof. Importing it loads nothing heavy."""

__all__: list[str] = []
