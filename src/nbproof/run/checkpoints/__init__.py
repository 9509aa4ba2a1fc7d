"""Long notebooks resumed in their middle: what a checkpoint holds, where it is kept, how it is restored."""

__all__: list[str] = []
