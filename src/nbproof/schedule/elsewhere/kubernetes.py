"""A schedule as a Kubernetes CronJob, in an image that has nbproof and on a volume that holds the project."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ...errors import ScheduleInvalid
from ...jobs import manifest as manifests
from ..definition import Schedule
from . import woken
from .woken import Wanted

# Kubernetes looks every ten seconds; with less it would start nothing.
_SHORTEST_DEADLINE_S = 10
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")


def render(schedule: Schedule, wanted: Wanted) -> Mapping[str, str]:
    """The manifest. What overlaps, what is late and what is tried again is decided by nbproof, on the volume."""
    problems = [
        f"no {option}" for option, value in (("--image", wanted.image), ("--volume", wanted.volume)) if value is None
    ]
    if wanted.image is not None and _IMAGE.fullmatch(wanted.image) is None:
        problems.append(f"the image {wanted.image!r}")
    for name in (wanted.volume, wanted.namespace):
        if name is not None and _NAME.fullmatch(name) is None:
            problems.append(f"the name {name!r}")
    if problems:
        raise ScheduleInvalid(
            "--to kubernetes", ", ".join(problems),
            "--image with nbproof in it, and --volume, a PersistentVolumeClaim that holds the project",
        )  # fmt: skip
    expression = woken.expression(schedule, "kubernetes")
    pod = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "nbproof",
                "image": wanted.image,
                "command": list(woken.command(schedule, wanted)),
                "workingDir": str(wanted.project),
                "volumeMounts": [{"name": "project", "mountPath": str(wanted.project)}],
            }
        ],
        "volumes": [{"name": "project", "persistentVolumeClaim": {"claimName": wanted.volume}}],
    }
    spec = {
        "schedule": woken.five_fields(expression),
        "timeZone": "Etc/UTC" if woken.zone_of(schedule) == "UTC" else woken.zone_of(schedule),
        "concurrencyPolicy": "Allow",
        "startingDeadlineSeconds": max(_SHORTEST_DEADLINE_S, int(schedule.policy.grace_s)),
        "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
    }
    metadata = {"name": f"nbproof-{schedule.name}", "labels": {"app.kubernetes.io/name": "nbproof"}}
    if wanted.namespace is not None:
        metadata["namespace"] = wanted.namespace
    manifest = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}
    wrong = manifests.problems(manifest)
    if wrong:
        raise ScheduleInvalid("--to kubernetes", "; ".join(wrong), "a CronJob that a cluster takes")
    # JSON is YAML, and says nothing by accident.
    return {f"nbproof-{schedule.name}.yaml": json.dumps(manifest, indent=2) + "\n"}
