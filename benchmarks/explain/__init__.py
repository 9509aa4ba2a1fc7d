"""Explanations measured beside those of other libraries."""
