"""What a reviewer reads: documents whose every number names its source, as Markdown and self-contained HTML."""

__all__: list[str] = []
