"""A notebook as a value: no kernel is started and no network is used here."""

__all__: list[str] = []
