"""What an executed notebook can be turned into, by the ending of its product."""

from __future__ import annotations

EXPORTERS = {".html": "html", ".md": "markdown", ".rst": "rst", ".tex": "latex"}
