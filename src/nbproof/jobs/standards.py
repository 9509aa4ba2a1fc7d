"""What a project gives its jobs where nobody says otherwise: `[tool.nbproof.jobs]`, read for one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import SettingsInvalid
from ..settings import Settings
from . import target as targets
from .job import Resources, memory_mb, time_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Standards:
    """The target of a job with its options, its resources, and how often it is tried again."""

    target: str
    options: Mapping[str, str]
    resources: Resources
    retries: int


def standards(settings: Settings, target: str | None, options: Mapping[str, str]) -> Standards:
    """What the settings say of a job on `target` (None: where they say), under the `options` that somebody names.

    Every table of options is looked at, also those of other targets. Raises `SettingsInvalid` and `UnknownName`.
    """
    chosen = target or settings.jobs_target
    merged = {**settings.jobs_options.get(chosen, {}), **options}
    for name, held in {**settings.jobs_options, chosen: merged}.items():
        targets.load(name, held)
    resources = Resources(
        cpus=settings.jobs_cpus,
        memory_mb=_measured("jobs_memory", settings.jobs_memory, memory_mb, "4G or 512M"),
        gpus=settings.jobs_gpus,
        gpu_kind=settings.jobs_gpu_kind,
        time_s=_measured("jobs_time", settings.jobs_time, time_s, "90s, 30min, 2h or 1d"),
    )
    return Standards(target=chosen, options=merged, resources=resources, retries=settings.jobs_retries)


def _measured(name: str, text: str | None, read: Callable[[str], int], expected: str) -> int | None:
    try:
        return None if text is None else read(text)
    except ValueError:
        raise SettingsInvalid(f"the setting `{name}`", repr(text), expected) from None
