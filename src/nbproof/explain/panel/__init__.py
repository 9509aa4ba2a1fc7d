"""The kernel's half of the Explain panel: what lives in a notebook's namespace, and explanations of it as JSON.

It reads the namespace and leaves no name there; models and tables are asked, never changed.
"""
