"""Converters of notebooks on a folder of public notebooks, each judged by the same independent comparison."""
