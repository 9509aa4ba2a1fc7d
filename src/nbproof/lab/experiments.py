"""The doors of the panel of experiments: runs listed, looked at, compared, noted, opened and restored."""

from __future__ import annotations

from typing import Any

from .doors import Answer, Asked, Route


def _answer(name: str) -> Answer:
    """The function `name` of `run_answers`, which is loaded with the first question: nobody may ask."""

    def answer(asked: Asked) -> Any:
        from . import run_answers

        return getattr(run_answers, name)(asked)

    return answer


ROUTES = (
    Route("experiments/runs", get=_answer("runs")),
    Route("experiments/tasks", get=_answer("tasks")),
    Route("experiments/run", get=_answer("run")),
    Route("experiments/history", get=_answer("history")),
    Route("experiments/compare", get=_answer("comparison")),
    Route("experiments/source", get=_answer("source")),
    Route("experiments/notebook", post=_answer("open_notebook")),
    Route("experiments/note", post=_answer("note")),
    Route("experiments/tag", post=_answer("tag")),
    Route("experiments/restore", post=_answer("restored")),
)
