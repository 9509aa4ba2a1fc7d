"""Shapley values by the method that fits the model: the library's own, closed forms, all coalitions or drawn ones."""

__all__: list[str] = []
