"""Why the model said so: Shapley values and LIME with what they cost, their unit, and how far they can be trusted."""

__all__: list[str] = []
