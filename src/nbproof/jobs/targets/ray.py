"""Ray: a job is a Ray job for each element, submitted over the dashboard's own HTTP; nbproof needs no Ray for it."""

from __future__ import annotations

import json
import os
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ...errors import EngineAbsent, EngineUnreachable, JobRefused, SettingsInvalid
from ..job import Job
from ..target import Seen, State, element_command

JOBS = "ray.json"
ANSWER_S = 30
STANDARD = "http://127.0.0.1:8265"
_STATES: Mapping[str, State] = {
    "FAILED": "failed", "PENDING": "waiting", "RUNNING": "running", "STOPPED": "cancelled", "SUCCEEDED": "done",
}  # fmt: skip
_INSTALL = "-o address=http://HOST:8265, or RAY_ADDRESS; to start one: pip install 'ray[default]', ray start --head"
# Of the resource that says which accelerator a node has, as little as Ray itself asks for.
_A_TRACE = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """A Ray cluster whose nodes share this machine's folders.

    `address` is that of its dashboard; left out, what RAY_API_SERVER_ADDRESS or RAY_ADDRESS says, or else this machine.
    With `grows` = `yes` a job may ask for more than any node has now, since more will come.
    """

    address: str | None = None
    grows: str = "no"

    def render(self, job: Job, place: str) -> Mapping[str, str]:
        """What is submitted for each element. Raises `JobRefused` for what Ray does not do."""
        if job.after:
            raise JobRefused("ray", "it waits for another job, and a job of Ray waits for none",
                             hint="submit it once the other has ended well")  # fmt: skip
        if job.at_once is not None and job.at_once < len(job.elements):
            raise JobRefused("ray", "it limits how many elements run at once, and Ray knows no such limit",
                             hint="leave --at-once out, and let --cpus say what each one takes")  # fmt: skip
        id_ = PurePosixPath(place).name
        return {JOBS: json.dumps([_submission(job, place, id_, index) for index in range(len(job.elements))], indent=1)}

    def submit(self, job: Job, place: Path) -> str:
        """Submit each element; the number is the job's own id, at the cluster that has it."""
        address = self._address()
        submissions = json.loads((place / JOBS).read_text(encoding="utf-8"))
        if self.grows != "yes":
            _check(job, self._asked(address, "/api/v0/nodes?detail=1&limit=10000"))
        for number, submission in enumerate(submissions):
            try:
                self._asked(address, "/api/jobs/", submission)
            except JobRefused:
                for before in submissions[:number]:
                    self._asked(address, f"/api/jobs/{before['submission_id']}/stop", {})
                raise
        return f"{place.name}@{address}"

    def look(self, number: str, size: int) -> Sequence[Seen]:
        """Ask for all jobs of the cluster, and find the elements among them."""
        id_, _, address = number.partition("@")
        found = {each["submission_id"]: each for each in self._asked(address, "/api/jobs/") if each["submission_id"]}
        return [_seen(found.get(f"{id_}-{index}")) for index in range(size)]

    def recall(self, name: str) -> str | None:
        """Every element is called like the job of ours."""
        address = self._address()
        names = {each["submission_id"] for each in self._asked(address, "/api/jobs/")}
        return f"{name}@{address}" if f"{name}-0" in names else None

    def cancel(self, number: str) -> None:
        """Let Ray stop each element that has not ended."""
        id_, _, address = number.partition("@")
        for each in self._asked(address, "/api/jobs/"):
            name = str(each["submission_id"] or "")
            if name.rpartition("-")[0] == id_ and each["status"] in ("PENDING", "RUNNING"):
                self._asked(address, f"/api/jobs/{name}/stop", {})

    def _address(self) -> str:
        named = self.address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS") or "auto"
        if named == "auto":
            return STANDARD
        if urlsplit(named).scheme not in ("http", "https") or not urlsplit(named).hostname:
            raise SettingsInvalid("`address` of the target ray", repr(named), "that of its dashboard: http://HOST:8265")
        return named.rstrip("/")

    def _asked(self, address: str, path: str, content: Any = None) -> Any:
        """What the dashboard answers."""
        headers = {"Content-Type": "application/json"}
        if os.environ.get("RAY_AUTH_TOKEN"):
            headers["Authorization"] = f"Bearer {os.environ['RAY_AUTH_TOKEN']}"
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(address + path, data=body, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            words = (error.read().decode("utf-8", "replace").strip().splitlines() or [str(error)])[-1]
            raise JobRefused("ray", f"{words[:300]} ({error.code})", hint=f"{address} shows what it has") from None
        except ValueError:
            raise EngineUnreachable("ray", f"what answers at {address} is no dashboard of Ray", hint=_INSTALL) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ConnectionRefusedError) and address == STANDARD and not self.address:
                raise EngineAbsent("ray", f"found no dashboard at {address}", hint=_INSTALL) from None
            raise EngineUnreachable("ray", f"{address}: {reason}", hint="the job is kept: nbproof jobs list") from None


def _submission(job: Job, place: str, id_: str, index: int) -> dict[str, Any]:
    needs = job.resources
    path = [f"PYTHONPATH={os.environ['PYTHONPATH']}"] if os.environ.get("PYTHONPATH") else []
    command = element_command(sys.executable, place, str(index), "--log", "--watch")
    asked = {
        "entrypoint_num_cpus": needs.cpus,
        "entrypoint_num_gpus": needs.gpus or None,
        "entrypoint_memory": needs.memory_mb * 2**20 if needs.memory_mb else None,
        "entrypoint_resources": {f"accelerator_type:{needs.gpu_kind}": _A_TRACE} if needs.gpu_kind else None,
    }
    return {
        "submission_id": f"{id_}-{index}",
        # The shell gives way, so that signals reach the element.
        "entrypoint": f"exec {shlex.join(['env', *path, *command])}",
        **{name: value for name, value in asked.items() if value is not None},
        "metadata": {"nbproof": job.name},
    }


def _check(job: Job, told: Mapping[str, Any]) -> None:
    """An element runs on one node; what none of them has would be waited for without end. Raises `JobRefused`."""
    needs = job.resources
    nodes = [each["resources_total"] for each in told["data"]["result"]["result"] if each["state"] == "ALIVE"]
    asked = {"CPU": needs.cpus, "GPU": needs.gpus, "memory": (needs.memory_mb or 0) * 2**20}
    if needs.gpu_kind:
        asked[f"accelerator_type:{needs.gpu_kind}"] = 1
    if any(all(node.get(name, 0) >= count for name, count in asked.items()) for node in nodes):
        return
    words = ", ".join(f"{count:g} {name}" for name, count in asked.items() if count)
    most = ", ".join(f"{max((node.get(name, 0) for node in nodes), default=0):g} {name}"
                     for name, count in asked.items() if count)  # fmt: skip
    raise JobRefused("ray", f"it asks for {words} on one node, and the most that one has is {most}",
                     hint="ask for less; or, where nodes come as they are needed: -o grows=yes")  # fmt: skip


def _seen(told: Mapping[str, Any] | None) -> Seen:
    if told is None:
        return Seen("lost", "Ray knows of no such job")
    state = _STATES.get(told["status"], "unknown")
    message = (str(told.get("message") or "").strip().splitlines() or [""])[0]
    return Seen(state, message if state in ("waiting", "failed", "unknown") else "")
