"""What the schemas of Kubernetes do not catch in a manifest: words that mean nothing, quantities, names and cron."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Any

from . import cron

_ENUMS = {
    "action": {"Count", "FailIndex", "FailJob", "Ignore"},
    "completionMode": {"Indexed", "NonIndexed"},
    "concurrencyPolicy": {"Allow", "Forbid", "Replace"},
    "effect": {"NoExecute", "NoSchedule", "PreferNoSchedule"},
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "operator": {"Equal", "Exists", "In", "NotIn"},
    # A pod of a Job is never started again by its node alone.
    "restartPolicy": {"Never", "OnFailure"},
    "terminationMessagePolicy": {"FallbackToLogsOnError", "File"},
}
_KINDS = {"Job": "batch/v1", "CronJob": "batch/v1"}
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|[kKMGTPE]|[KMGTPE]i|e\d+)?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})*")
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(rf"({_SUBDOMAIN.pattern}/)?[A-Za-z0-9]([A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# A registry with a port, a path in small letters, a tag, a digest.
_IMAGE = re.compile(
    r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_AT = "$"
_MOST_OF_A_CRON_JOB = 52


def problems(manifest: Mapping[str, Any]) -> list[str]:
    """Everything that a cluster would refuse or never carry out, though its schema takes it; each with its place."""
    if _KINDS.get(manifest.get("kind", "")) != manifest.get("apiVersion"):
        return [f"{_AT}.kind: found {manifest.get('kind')!r} of {manifest.get('apiVersion')!r}"]
    found = [*_words(manifest, _AT), *_metadata(manifest.get("metadata", {}), f"{_AT}.metadata", _NAME)]
    spec, at = manifest["spec"], f"{_AT}.spec"
    if manifest["kind"] == "CronJob":
        # The Jobs that it makes are called like it, and then some.
        if len(manifest["metadata"]["name"]) > _MOST_OF_A_CRON_JOB:
            found.append(f"{_AT}.metadata.name: found more than {_MOST_OF_A_CRON_JOB} characters")
        found += _schedule(spec, at)
        template, at = spec["jobTemplate"], f"{at}.jobTemplate"
        found += _metadata(template.get("metadata", {}), f"{at}.metadata", _NAME)
        spec, at = template["spec"], f"{at}.spec"
    return [*found, *_job(spec, at)]


def _words(held: Any, at: str) -> Iterator[str]:
    """Words that are one of a few, wherever they stand."""
    if isinstance(held, Mapping):
        for name, value in held.items():
            if name in _ENUMS and isinstance(value, str) and value not in _ENUMS[name]:
                yield f"{at}.{name}: found {value!r}, expected one of {', '.join(sorted(_ENUMS[name]))}"
            yield from _words(value, f"{at}.{name}")
    elif isinstance(held, list):
        for number, value in enumerate(held):
            yield from _words(value, f"{at}[{number}]")


def _metadata(metadata: Mapping[str, Any], at: str, name: re.Pattern[str]) -> Iterator[str]:
    for key in ("name", "namespace"):
        if key in metadata and name.fullmatch(metadata[key]) is None:
            yield f"{at}.{key}: found {metadata[key]!r}, expected up to 63 of a-z, 0-9 and -"
    yield from _labels(metadata.get("labels", {}), f"{at}.labels")


def _labels(labels: Mapping[str, str], at: str) -> Iterator[str]:
    for key, value in labels.items():
        if _LABEL_KEY.fullmatch(key) is None or _LABEL.fullmatch(value) is None:
            yield f"{at}: found {key!r} = {value!r}, expected a label"


def _schedule(spec: Mapping[str, Any], at: str) -> Iterator[str]:
    problem = cron.problem(spec["schedule"])
    if problem:
        yield f"{at}.schedule: found {problem}"
    zone = spec.get("timeZone")
    if zone is not None and zone not in zoneinfo.available_timezones():
        yield f"{at}.timeZone: found {zone!r}, expected a time zone such as Europe/Berlin"


def _job(spec: Mapping[str, Any], at: str) -> Iterator[str]:
    numbers = {"completions": 1, "parallelism": 1, "backoffLimit": 0, "backoffLimitPerIndex": 0}
    for name, least in numbers.items():
        if name in spec and spec[name] < least:
            yield f"{at}.{name}: found {spec[name]}, expected at least {least}"
    is_indexed = spec.get("completionMode") == "Indexed"
    if is_indexed and "completions" not in spec:
        yield f"{at}.completionMode: found Indexed, expected a number of completions beside it"
    if "backoffLimitPerIndex" in spec and not is_indexed:
        yield f"{at}.backoffLimitPerIndex: found it on a Job without an index"
    pod, inside = spec["template"]["spec"], f"{at}.template.spec"
    actions = [rule.get("action") for rule in spec.get("podFailurePolicy", {}).get("rules", [])]
    if actions and pod.get("restartPolicy") != "Never":
        yield f"{inside}.restartPolicy: found {pod.get('restartPolicy')!r}, expected Never beside a podFailurePolicy"
    if "FailIndex" in actions and "backoffLimitPerIndex" not in spec:
        yield f"{at}.podFailurePolicy: found FailIndex, expected a backoffLimitPerIndex beside it"
    if "restartPolicy" not in pod:
        yield f"{inside}.restartPolicy: found none, expected Never or OnFailure"
    yield from _metadata(spec["template"].get("metadata", {}), f"{at}.template.metadata", _SUBDOMAIN)
    yield from _pod(pod, inside)


def _pod(pod: Mapping[str, Any], at: str) -> Iterator[str]:
    if pod.get("activeDeadlineSeconds", 1) < 1:
        yield f"{at}.activeDeadlineSeconds: found {pod['activeDeadlineSeconds']}, expected at least 1"
    yield from _labels(pod.get("nodeSelector", {}), f"{at}.nodeSelector")
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for number, volume in enumerate(pod.get("volumes", [])):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if _NAME.fullmatch(volume["name"]) is None or (claim is not None and _SUBDOMAIN.fullmatch(claim) is None):
            yield f"{at}.volumes[{number}]: found {claim or volume['name']!r}, expected a name"
    for number, container in enumerate(pod["containers"]):
        yield from _container(container, volumes, f"{at}.containers[{number}]")


def _container(container: Mapping[str, Any], volumes: set[str], at: str) -> Iterator[str]:
    if _NAME.fullmatch(container["name"]) is None:
        yield f"{at}.name: found {container['name']!r}, expected up to 63 of a-z, 0-9 and -"
    if _IMAGE.fullmatch(container.get("image", "")) is None:
        yield f"{at}.image: found {container.get('image', '')!r}, expected the name of an image"
    for variable in container.get("env", []):
        if _VARIABLE.fullmatch(variable["name"]) is None:
            yield f"{at}.env: found {variable['name']!r}, expected a variable"
    for mount in container.get("volumeMounts", []):
        path = mount["mountPath"]
        if mount["name"] not in volumes or not path.startswith("/") or ":" in path:
            yield f"{at}.volumeMounts: found {mount['name']!r} at {path!r}, expected a volume of the pod at a full path"
        sub = mount.get("subPath", "")
        if sub.startswith("/") or ".." in sub.split("/"):
            yield f"{at}.volumeMounts: found the subPath {sub!r}, expected one within the volume"
    resources = container.get("resources", {})
    for kind in ("requests", "limits"):
        for name, amount in resources.get(kind, {}).items():
            yield from _amount(name, amount, resources, f"{at}.resources.{kind}.{name}")


def _amount(name: str, amount: Any, resources: Mapping[str, Any], at: str) -> Iterator[str]:
    if _QUANTITY.fullmatch(str(amount)) is None:
        yield f"{at}: found {amount!r}, expected a quantity such as 2, 500m or 4Gi"
    # Devices are whole, and nobody is lent more of them than he asked for.
    elif "/" in name and (
        not str(amount).isdecimal() or resources.get("requests", {}).get(name, amount) != resources["limits"].get(name)
    ):
        yield f"{at}: found {amount!r}, expected a whole number, the same as request and limit"
