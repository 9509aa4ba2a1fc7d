"""Kubernetes: a job is a Job, an array an Indexed Job; each element is a pod for each try."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import EngineAbsent, EngineUnreachable, JobRefused, Refused, SettingsInvalid
from ..job import Job
from ..manifest import problems
from ..target import Seen, State, element_command

MANIFEST = "job.yaml"
ANSWER_S = 60
_INSTALL = "https://kubernetes.io/docs/tasks/tools/#kubectl, and a context: kubectl config get-contexts"
_NO_CLUSTER = ("localhost:8080", "no configuration has been provided", "current-context is not set",
               "error: context", "invalid configuration")  # fmt: skip
_UNREACHABLE = (
    "Unable to connect to the server", "was refused", "connection refused", "i/o timeout", "no such host",
    "TLS handshake timeout", "context deadline exceeded", "EOF", "connection reset", "the server is currently unable",
    "ServiceUnavailable",
)  # fmt: skip
_PHASES: Mapping[str, State] = {
    "Failed": "failed", "Pending": "waiting", "Running": "running", "Succeeded": "done", "Unknown": "lost",
}  # fmt: skip
_INDEX = "batch.kubernetes.io/job-completion-index"
# How much longer than its time an element may take to end before its node ends it.
_GRACE_S = 60
_CONTAINER, _VOLUME = "element", "project"
_GPU = "nvidia.com/gpu"
# Who a pod runs as when root submits.
_NOBODY = "10001:10001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """A cluster that `kubectl` knows.

    `image` has nbproof and what the package needs; `claim` is a PersistentVolumeClaim that holds the project, and
    `mount` where its volume lies in the pod: where this machine has it, so that paths mean the same (left out: the
    project's folder). `sub_path` is the part of the volume that is mounted. `gpu_label` is the label of nodes that says
    which kind of GPU they have. `user` is UID or UID:GID; left out, whoever submits.
    """

    image: str | None = None
    claim: str | None = None
    mount: str | None = None
    sub_path: str | None = None
    namespace: str = "default"
    context: str | None = None
    python: str = "python"
    gpu_label: str = "nvidia.com/gpu.product"
    service_account: str | None = None
    user: str | None = None

    def render(self, job: Job, place: str) -> Mapping[str, str]:
        """The manifest of a Job. Raises `SettingsInvalid` and `JobRefused` for what no cluster would carry out."""
        if job.after:
            raise JobRefused("kubernetes", "it waits for another job, and a Job of Kubernetes waits for none",
                             hint="submit it once the other has ended well, or export a pipeline")  # fmt: skip
        mount = self.mount or str(PurePosixPath(place).parents[2])
        for folder in (job.folder, place):
            if not PurePosixPath(folder).is_relative_to(mount):
                raise JobRefused("kubernetes", f"`{folder}` lies outside of the volume at `{mount}`",
                                 hint="-o mount=DIR: a folder that holds project and package")  # fmt: skip
        # The cluster says which one it is by a variable of the pod.
        index = "@JOB_COMPLETION_INDEX" if job.is_array else "0"
        command = element_command(self.python, place, index, "--log", "--once", "--watch")
        return {MANIFEST: _yaml(self._manifest(job, PurePosixPath(place).name, command, mount))}

    def submit(self, job: Job, place: Path) -> str:
        """Hand the manifest over with `kubectl apply`."""
        self._asked("apply", "--filename", str(place / MANIFEST))
        return place.name

    def look(self, number: str, size: int) -> Sequence[Seen]:
        """Ask for the Job and its pods."""
        found = self._asked("get", "job", number, "--ignore-not-found", "--output=json")
        if not found.strip():
            return [Seen("lost", "the cluster has no such Job any more")] * size
        pods = self._asked("get", "pods", f"--selector=batch.kubernetes.io/job-name={number}", "--output=json")
        return seen(json.loads(found), json.loads(pods)["items"], size)

    def recall(self, name: str) -> str | None:
        """A Job is called like the job of ours."""
        return name if self._asked("get", "job", name, "--ignore-not-found", "--output=name").strip() else None

    def cancel(self, number: str) -> None:
        """Delete the Job with its pods."""
        self._asked("delete", "job", number, "--ignore-not-found", "--cascade=foreground", "--wait=false")

    def _asked(self, *arguments: str) -> str:
        context = [f"--context={self.context}"] if self.context else []
        command = ["kubectl", *context, f"--namespace={self.namespace}", "--request-timeout=20s", *arguments]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
        except FileNotFoundError:
            raise EngineAbsent("kubernetes", "found no `kubectl` on this machine", hint=_INSTALL) from None
        except subprocess.TimeoutExpired:
            raise EngineUnreachable("kubernetes", f"`kubectl` was not done after {ANSWER_S} s",
                                    hint="kubectl cluster-info") from None  # fmt: skip
        if ended.returncode == 0:
            return ended.stdout
        words = " ".join((ended.stderr or ended.stdout).split())
        if any(each in words for each in _NO_CLUSTER):
            raise EngineAbsent("kubernetes", f"`kubectl` knows of no cluster ({words[-200:]})", hint=_INSTALL)
        if any(each in words for each in _UNREACHABLE):
            raise EngineUnreachable(
                "kubernetes", words[-300:], hint="kubectl cluster-info; the job is kept: nbproof jobs list"
            )
        raise JobRefused("kubernetes", words)

    def _manifest(self, job: Job, id_: str, command: Sequence[str], mount: str) -> Mapping[str, Any]:
        metadata = {"name": id_, "namespace": self.namespace, "labels": _labels(job.name)}
        spec = self._spec(job, command, mount)
        made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
        wrong = problems(made)
        if wrong:
            raise JobRefused(
                "kubernetes", "; ".join(wrong), hint="docs/guides/jobs.md names the options of this target"
            )
        return made

    def _spec(self, job: Job, command: Sequence[str], mount: str) -> Mapping[str, Any]:
        """What a Job is: a pod for each element, and again for each further try."""
        size = len(job.elements)
        array = {
            "completionMode": "Indexed", "completions": size, "parallelism": min(job.at_once or size, size),
            # Each element has its own tries, and one that fails leaves the others alone.
            "backoffLimitPerIndex": job.retries,
        }  # fmt: skip
        single = {"backoffLimit": job.retries}
        refused = {"containerName": _CONTAINER, "operator": "In", "values": [Refused.exit_code]}
        rules = [
            {"action": "FailIndex" if job.is_array else "FailJob", "onExitCodes": refused},
            # A node that is lost, or drained, costs no try.
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]
        pod = dict(self.pod(job, command, mount))
        if job.resources.time_s:
            # An element ends itself in time, and knows that it has failed for good.
            pod["activeDeadlineSeconds"] = job.resources.time_s + _GRACE_S
        template = {"metadata": {"labels": _labels(job.name)}, "spec": pod}
        return {**(array if job.is_array else single), "podFailurePolicy": {"rules": rules}, "template": template}

    def pod(self, job: Job, command: Sequence[str], mount: str) -> Mapping[str, Any]:
        """The pod that runs a command for a job. Raises `SettingsInvalid` where an option is missing."""
        needs = job.resources
        if self.image is None or self.claim is None:
            missing = "image" if self.image is None else "claim"
            raise SettingsInvalid(f"`{missing}` of the target kubernetes", "none",
                                  f"-o {missing}=NAME, or a line in [tool.nbproof.jobs.kubernetes]")  # fmt: skip
        asked = {"cpu": str(needs.cpus), "memory": f"{needs.memory_mb}Mi" if needs.memory_mb else None}
        gpus = {_GPU: str(needs.gpus)} if needs.gpus else {}
        container = {
            "name": _CONTAINER,
            "image": self.image,
            "command": list(command),
            "workingDir": job.folder,
            "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108
            "resources": {"requests": _filled(asked), "limits": _filled({**asked, **gpus})},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [_filled({"name": _VOLUME, "mountPath": mount, "subPath": self.sub_path})],
        }
        return _filled({
            "restartPolicy": "Never",
            # Of the pod and not of the Job, whose clock runs while it waits for a GPU.
            "activeDeadlineSeconds": needs.time_s,
            "automountServiceAccountToken": False,
            "serviceAccountName": self.service_account,
            "nodeSelector": {self.gpu_label: needs.gpu_kind} if needs.gpu_kind else None,
            "tolerations": [{"key": _GPU, "operator": "Exists", "effect": "NoSchedule"}] if needs.gpus else None,
            "securityContext": self._identity(),
            "containers": [container],
            "volumes": [{"name": _VOLUME, "persistentVolumeClaim": {"claimName": self.claim}}],
        })  # fmt: skip

    def _identity(self) -> Mapping[str, Any]:
        """Whoever writes the results must be able to write where the project lies."""
        own = f"{os.getuid()}:{os.getgid()}" if os.getuid() else _NOBODY
        user, _, group = (self.user or own).partition(":")
        if not user.isdecimal() or (group and not group.isdecimal()) or int(user) == 0:
            raise SettingsInvalid("`user` of the target kubernetes", repr(self.user), "UID or UID:GID, and not root")
        numbers = {"runAsUser": int(user), "runAsGroup": int(group or user), "fsGroup": int(group or user)}
        return {"runAsNonRoot": True, **numbers, "seccompProfile": {"type": "RuntimeDefault"}}


def seen(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], size: int) -> Sequence[Seen]:
    """What a Job and its pods, as the API tells them, say of each element."""
    status = job.get("status", {})
    done, failed = _indices(status.get("completedIndexes", "")), _indices(status.get("failedIndexes", ""))
    conditions: Sequence[Mapping[str, Any]] = status.get("conditions", [])
    true = {condition["type"]: condition for condition in conditions if condition["status"] == "True"}
    is_complete = "Complete" in true
    over: Mapping[str, Any] = true.get("Failed", {})
    latest = _latest(pods)
    found = []
    for index in range(size):
        pod = latest.get(index)
        if is_complete or index in done:
            found.append(Seen("done"))
        elif over or index in failed:
            reason = _why(pod) if pod else ""
            found.append(Seen("failed", reason or f"{over.get('reason', 'Failed')}: {over.get('message', '')}".strip()))
        elif job.get("spec", {}).get("suspend"):
            found.append(Seen("waiting", "it is suspended"))
        elif pod is None or _phase(pod) in ("failed", "done"):
            # A pod that has ended in a Job that has not: another one will come.
            found.append(Seen("waiting", _why(pod) if pod else ""))
        else:
            found.append(Seen(_phase(pod), _why(pod)))
    return found


def _phase(pod: Mapping[str, Any]) -> State:
    return _PHASES.get(pod.get("status", {}).get("phase", ""), "unknown")


def _latest(pods: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Of each element the pod that was made last."""
    found: dict[int, Mapping[str, Any]] = {}
    for pod in sorted(pods, key=lambda pod: pod["metadata"].get("creationTimestamp") or ""):
        annotations = pod["metadata"].get("annotations", {})
        found[int(annotations.get(_INDEX, 0))] = pod
    return found


def _why(pod: Mapping[str, Any]) -> str:
    """Why a pod waits, or how it ended, in the words of the cluster."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        for held in container.get("state", {}).values():
            if held.get("reason") not in (None, "Completed"):
                code = f" with exit code {held['exitCode']}" if "exitCode" in held else ""
                return f"{held['reason']}{code}"
    if status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    return ""


def _indices(text: str) -> set[int]:
    """The numbers of `1,3-5`."""
    spans = [part.partition("-") for part in text.split(",") if part]
    return {number for first, _, last in spans for number in range(int(first), int(last or first) + 1)}


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "nbproof", "app.kubernetes.io/name": name}


def _filled(held: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in held.items() if value is not None}


def _yaml(manifest: Mapping[str, Any]) -> str:
    import yaml

    # The same words may stand in two places, and a manifest without anchors is read by everybody.
    return str(yaml.safe_dump(json.loads(json.dumps(manifest)), sort_keys=False, allow_unicode=True, width=120))
