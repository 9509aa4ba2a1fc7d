"""The door: commands by name, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from ..errors import NbproofError

INTERRUPTED = 130
# The module of each command: only that of the command that is carried out is imported.
MODULES = {
    "doctor": "health",
    "explain": "explaining",
    "export": "exporting",
    "init": "starting",
    "jobs": "submitting",
    "lab": "opening",
    "models": "modelling",
    "monitor": "monitoring",
    "pipeline": "pipelines",
    "plot": "drawing",
    "report": "reporting",
    "review": "reviewing",
    "run": "building",
    "runs": "history",
    "serve": "serving",
    "serve-key": "serving",
