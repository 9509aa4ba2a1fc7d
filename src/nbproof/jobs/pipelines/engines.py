"""Which engines run the tasks of pipelines, by name."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import UnknownName
from ...run.remote.engine import Engine

LOCAL = "local"


def load(name: str, options: Mapping[str, str]) -> Engine:
    """The engine called `name`, with its options; only that one is imported.

    Raises `UnknownName`, and `SettingsInvalid` for an option that it does not know.
    """
    if name != "slurm":
        raise UnknownName("engine of pipelines", name, [LOCAL, "slurm"], hint="nbproof pipeline export --to ENGINE")
    from .. import target
    from ..targets.slurm import Slurm
    from .slurm import SlurmTasks

    found = target.load(name, options)
    assert isinstance(found, Slurm)
    return SlurmTasks(found)
