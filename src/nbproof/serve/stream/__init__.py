"""A stream that an approved model answers: records of one topic in, their answers in another."""

__all__: list[str] = []
