"""What a run is made from: notebooks, modules and environments, read once and remembered by their content."""

__all__: list[str] = []
