"""How each metric is judged: one module a metric, each with `judge(looked)`, which returns lines of an audit."""

__all__: list[str] = []
