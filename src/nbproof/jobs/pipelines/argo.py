"""A pipeline as a Workflow for Argo: a pod for each task, which all have the project's volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar

from ...errors import JobRefused
from ..job import Job
from ..targets.kubernetes import Kubernetes
from .exporting import MARK, Step, Steps, dashed, identifiers

_PIPELINE = "pipeline"
# How often a pod is made again that its node has lost.
_LOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Kubernetes):
    """A Workflow; its options are those of a cluster that packages run on."""

    suffix: ClassVar[str] = "argo.yaml"
    hint: ClassVar[str] = "argo submit {file}"
    settings_of: ClassVar[str] = "kubernetes"

    def spell(self, pipeline: Steps) -> str:
        """The whole manifest."""
        import yaml

        head = f"# {MARK}: the pipeline `{dashed(pipeline.name)}` as a Workflow of Argo.\n"
        text: str = yaml.safe_dump(self._workflow(pipeline), sort_keys=False, width=120)
        return head + text

    def _workflow(self, pipeline: Steps) -> Mapping[str, Any]:
        mount = self.mount or str(pipeline.project)
        names = identifiers([step.name for step in pipeline.steps], dashed)
        tasks = [
            {
                "name": names[step.name],
                "template": f"task-{names[step.name]}",
                **({"dependencies": [names[above] for above in step.above]} if step.above else {}),
            }
            for step in pipeline.steps
        ]
        templates = [self._template(step, pipeline, mount, f"task-{names[step.name]}") for step in pipeline.steps]
        # What does not depend on a failure goes on.
        dag = {"name": _PIPELINE, "dag": {"failFast": False, "tasks": tasks}}
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"generateName": f"{dashed(pipeline.name)}-", "namespace": self.namespace},
            "spec": {"entrypoint": _PIPELINE, "templates": [dag, *templates]},
        }

    def _template(self, step: Step, pipeline: Steps, mount: str, name: str) -> Mapping[str, Any]:
        command = (self.python, *step.arguments)
        if not PurePosixPath(pipeline.project).is_relative_to(mount):
            raise JobRefused(
                "argo", f"`{pipeline.project}` lies outside of the volume at `{mount}`",
                hint="-o mount=DIR: the folder where this project lies in the pods",
            )  # fmt: skip
        if any("{{" in part for part in command):
            raise JobRefused("argo", f"the command of `{step.name}` is a template in Argo's eyes",
                             hint="give another value with -p, or move the project")  # fmt: skip
        job = Job(name="task", command=command, folder=str(pipeline.project), resources=step.resources)
        pod = dict(self.pod(job, command, mount))
        (container,) = pod.pop("containers")
        # Argo reports from within the pod, and restarts nothing there by itself.
        for key in ("restartPolicy", "automountServiceAccountToken"):
            pod.pop(key)
        del container["name"]
        warm = {"name": "NBPROOF_WARM", "value": "false"}
        return {
            "name": name,
            "container": {**container, "env": [*container["env"], warm]},
            # Only what the cluster took away is started again: what fails nbproof itself tries again.
            "retryStrategy": {"limit": _LOST, "retryPolicy": "OnError"},
            **pod,
        }
