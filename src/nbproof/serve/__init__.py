"""A packaged model behind an HTTP service: the folder, its signature, the app and its process."""

__all__: list[str] = []
