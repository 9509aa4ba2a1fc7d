"""What Kubernetes is told, held against the schemas of three of its versions and what those do not catch."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from submitted import refused, told

from nbproof.errors import EngineAbsent, EngineUnreachable, JobRefused, SettingsInvalid
from nbproof.jobs import cron
from nbproof.jobs.job import PYTHON, Job, Resources
from nbproof.jobs.manifest import problems
from nbproof.jobs.target import Seen
from nbproof.jobs.targets.kubernetes import Kubernetes, seen

Caught = pytest.CaptureFixture[str]
VERSIONS = ("1.31.0", "1.33.0", "1.35.0")
PLACE = "/p/.nbproof/jobs/train-0a1b2c"
PLAIN = Job(name="train", command=(PYTHON, "-m", "train", "--out", "{work}"), folder="/p/exports/train")
FULL = replace(
    PLAIN,
    resources=Resources(cpus=4, memory_mb=8192, gpus=2, gpu_kind="H200", time_s=7200),
    elements=tuple((f"--month={month}",) for month in range(8)),
    is_array=True,
    at_once=3,
    retries=2,
    signal_s=120,
)
CLUSTER = Kubernetes(image="registry.example/risk/credit:1.4", claim="credit", user="1000:100", namespace="risk")


def manifest(job: Job, cluster: Kubernetes = CLUSTER) -> Any:
    return yaml.safe_load(cluster.render(job, PLACE)["job.yaml"])


def validate(made: Any) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(made, version, strict=True)


def test_a_job_is_a_job() -> None:
    """The whole manifest, as it is written."""
    assert manifest(replace(PLAIN, retries=1)) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "train-0a1b2c",
            "namespace": "risk",
            "labels": {"app.kubernetes.io/managed-by": "nbproof", "app.kubernetes.io/name": "train"},
        },
        "spec": {
            "backoffLimit": 1,
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob",
                     "onExitCodes": {"containerName": "element", "operator": "In", "values": [3]}},
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": {
                "metadata": {
                    "labels": {"app.kubernetes.io/managed-by": "nbproof", "app.kubernetes.io/name": "train"}
                },
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 100, "fsGroup": 100,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "element",
                            "image": "registry.example/risk/credit:1.4",
                            "command": ["python", "-m", "nbproof.jobs", PLACE, "0", "--log", "--once", "--watch"],
                            "workingDir": "/p/exports/train",
                            "env": [{"name": "HOME", "value": "/tmp"}],
                            "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}},
                            "securityContext": {
                                "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}
                            },
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            "volumeMounts": [{"name": "project", "mountPath": "/p"}],
                        }
                    ],
                    "volumes": [{"name": "project", "persistentVolumeClaim": {"claimName": "credit"}}],
                },
            },
        },
    }  # fmt: skip


def test_an_array_is_an_indexed_job_with_its_gpus() -> None:
    """Every resource and limit stands where the cluster looks for it."""
    spec = manifest(FULL)["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]

    assert {name: spec[name] for name in spec if name not in ("template", "podFailurePolicy")} == {
        "completionMode": "Indexed", "completions": 8, "parallelism": 3, "backoffLimitPerIndex": 2,
    }  # fmt: skip
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "FailIndex"
    assert pod["activeDeadlineSeconds"] == 7200 + 60
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "H200"}
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "8192Mi"},
        "limits": {"cpu": "4", "memory": "8192Mi", "nvidia.com/gpu": "2"},
    }
    assert container["command"][4] == "@JOB_COMPLETION_INDEX"


@given(
    size=st.integers(1, 10_000), at_once=st.none() | st.integers(1, 20_000), retries=st.integers(0, 10),
    gpus=st.integers(0, 16), memory=st.none() | st.integers(1, 10**7), time_s=st.none() | st.integers(2, 10**7),
    cpus=st.integers(1, 512), is_array=st.booleans(),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_whatever_a_job_asks_for_fits_the_schema(
    size: int, at_once: int | None, retries: int, gpus: int, memory: int | None, time_s: int | None, cpus: int,
    is_array: bool,
) -> None:  # fmt: skip
    """With unknown fields refused, in three versions of the API."""
    resources = Resources(
        cpus=cpus, memory_mb=memory, gpus=gpus, gpu_kind="NVIDIA-H200" if gpus else None, time_s=time_s
    )
    validate(manifest(replace(
        PLAIN, resources=resources, elements=((),) * (size if is_array else 1), is_array=is_array, at_once=at_once,
        retries=retries,
    )))  # fmt: skip


def schedule(cron: str = "30 2 * * mon-fri", timezone: str = "Europe/Berlin", name: str = "nightly") -> Any:
    """A CronJob that makes such Jobs."""
    spec = {"schedule": cron, "timeZone": timezone, "concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 600}
    made = manifest(PLAIN)
    metadata = {"name": name, "namespace": "risk"}
    return {**made, "kind": "CronJob", "metadata": metadata, "spec": {**spec, "jobTemplate": {"spec": made["spec"]}}}


def test_a_schedule_that_is_right_is_taken() -> None:
    """By the schemas, and by what they do not know."""
    validate(schedule())
    assert problems(schedule()) == []


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("not cron", "UTC", "2 fields, expected five"),
        ("61 * * * *", "UTC", "the minute `61`: expected 0 to 59"),
        ("0 0 * * 7", "UTC", "the day of the week `7`"),
        ("0 0 30 feb *", "UTC", "no month that is named has such a day"),
        ("TZ=UTC 0 0 * * *", "UTC", "6 fields"),
        ("0 0 * * *", "Mars/Olympus", "found 'Mars/Olympus', expected a time zone"),
    ],
)
def test_a_schedule_that_never_comes_is_found(text: str, zone: str, words: str) -> None:
    """The schemas take any text for a schedule and for a zone."""
    (problem,) = problems(schedule(text, zone))

    assert words in problem
    validate(schedule(text, zone))


def test_what_a_schedule_makes_is_looked_at_too() -> None:
    """A name that leaves no room for those of its Jobs, a word that is none, a pod that would be started again."""
    broken = schedule(name="n" * 60)
    broken["spec"]["concurrencyPolicy"] = "Maybe"
    broken["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Always"

    found = "; ".join(problems(broken))

    assert "more than 52 characters" in found
    assert "found 'Maybe', expected one of Allow, Forbid, Replace" in found
    assert "jobTemplate.spec.template.spec.restartPolicy: found 'Always'" in found


FIELD = st.sampled_from(["*", "0", "1", "*/2", "1-3", "1,2", "2-5/2"])


@given(
    st.tuples(
        FIELD, FIELD, st.sampled_from(["*", "1", "1-3", "28"]), st.sampled_from(["*", "jan", "1-3", "2,12"]), FIELD
    )
)
def test_what_is_a_cron_expression_is_one_for_others_too(fields: tuple[str, ...]) -> None:
    """croniter, which JupyterLab's scheduler uses, is asked as well."""
    croniter = pytest.importorskip("croniter").croniter
    text = " ".join(fields)

    assert cron.problem(text) is None
    assert croniter.is_valid(text)


@given(st.text(alphabet="0123456789*/,-? abcmon", max_size=14))
def test_what_others_take_for_no_cron_expression_is_none(text: str) -> None:
    """Nothing is let through that croniter cannot read, but for `?`, which Kubernetes alone allows anywhere."""
    croniter = pytest.importorskip("croniter").croniter

    if cron.problem(text) is None:
        assert croniter.is_valid(text.replace("?", "*"))


def slip(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        for name in path[:-1]:
            made = made[name]
        made[path[-1]] = to

    return change


POD = ("spec", "template", "spec")
FIRST = (*POD, "containers", 0)


@pytest.mark.parametrize(
    "change",
    [
        slip(*POD, "restartPolicy", to="Sometimes"),
        slip(*POD, "restartPolicy", to="Always"),
        slip(*POD, "restartPolicy", to="OnFailure"),
        slip(*FIRST, "resources", "limits", "memory", to="lots"),
        slip(*FIRST, "resources", "limits", "cpu", to="-1"),
        slip(*FIRST, "resources", "limits", "nvidia.com/gpu", to="0.5"),
        slip(*FIRST, "resources", "requests", "nvidia.com/gpu", to="1"),
        slip(*FIRST, "image", to="Credit Risk"),
        slip(*FIRST, "name", to="My_Element"),
        slip(*FIRST, "volumeMounts", 0, "name", to="elsewhere"),
        slip(*FIRST, "volumeMounts", 0, "mountPath", to="p"),
        slip(*POD, "tolerations", 0, "effect", to="NoRun"),
        slip(*POD, "tolerations", 0, "operator", to="Is"),
        slip(*POD, "nodeSelector", to={"kind of gpu": "H200"}),
        slip(*POD, "volumes", 0, "persistentVolumeClaim", "claimName", to="My Claim"),
        slip("spec", "completionMode", to="Ordered"),
        slip("spec", "completionMode", to="NonIndexed"),
        slip("spec", "completions", to=0),
        slip("spec", "podFailurePolicy", "rules", 0, "action", to="Retry"),
        slip("metadata", "name", to="Train"),
        slip("metadata", "namespace", to="risk/credit"),
        slip("metadata", "labels", to={"of": "two words"}),
        slip("apiVersion", to="batch/v2"),
        slip(*POD, "activeDeadlineSeconds", to=0),
    ],
)
def test_what_the_schemas_let_through_is_caught(change: Callable[[Any], None]) -> None:
    """One slip each in a manifest that is right; and without it nothing is found."""
    made = manifest(FULL)
    assert problems(made) == []
    broken = copy.deepcopy(made)
    change(broken)

    assert problems(broken) != []


@pytest.mark.parametrize(
    "change",
    [
        slip("spec", "backoffLimits", to=3),
        slip("spec", "backoffLimit", to="three"),
        slip(*FIRST, "command", to="python"),
        slip(*POD, "automountServiceAccountToken", to="No"),
    ],
)
def test_what_the_schemas_are_for_they_catch(change: Callable[[Any], None]) -> None:
    """Fields that are unknown, and values of another type."""
    broken = manifest(FULL)
    change(broken)

    for version in VERSIONS:
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, version, strict=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image": None}, "`image` of the target kubernetes: found none"),
        ({"claim": None}, "`claim` of the target kubernetes: found none"),
        ({"user": "root"}, "`user` of the target kubernetes: found 'root'"),
        ({"user": "0"}, "expected UID or UID:GID, and not root"),
    ],
)
def test_options_without_which_no_element_would_run(options: dict[str, Any], words: str) -> None:
    """An image and a volume must be named, and nobody is root."""
    with pytest.raises(SettingsInvalid, match=words):
        replace(CLUSTER, **options).render(PLAIN, PLACE)


@pytest.mark.parametrize(
    ("cluster", "job", "words"),
    [
        (CLUSTER, replace(PLAIN, after=("17",)), "it waits for another job"),
        (CLUSTER, replace(PLAIN, folder="/elsewhere"), "`/elsewhere` lies outside of the volume at `/p`"),
        (replace(CLUSTER, image="a b"), PLAIN, "found 'a b', expected the name of an image"),
        (replace(CLUSTER, namespace="a\nkind: Pod"), PLAIN, "metadata.namespace: found"),
        (replace(CLUSTER, mount="/p:/q"), replace(PLAIN, folder="/p:/q"), "lies outside of the volume"),
    ],
)
def test_what_no_cluster_would_carry_out_is_refused(cluster: Kubernetes, job: Job, words: str) -> None:
    """Before any cluster is asked."""
    with pytest.raises(JobRefused, match=words):
        cluster.render(job, PLACE)


def pod(phase: str, index: int | None = None, made: str = "2026-01-01T00:00:00Z", **status: Any) -> dict[str, Any]:
    annotations = {} if index is None else {"batch.kubernetes.io/job-completion-index": str(index)}
    return {
        "metadata": {"creationTimestamp": made, "annotations": annotations}, "status": {"phase": phase, **status}
    }  # fmt: skip


UNSCHEDULABLE = {
    "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
}  # fmt: skip
KILLED = {"name": "element", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}


@pytest.mark.parametrize(
    ("status", "pods", "expected"),
    [
        ({}, [], Seen("waiting")),
        ({"active": 1}, [pod("Running")], Seen("running")),
        (
            {"active": 1},
            [pod("Pending", conditions=[UNSCHEDULABLE])],
            Seen("waiting", "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        ),
        (
            {"active": 1},
            [pod("Pending", containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff"}}}])],
            Seen("waiting", "ImagePullBackOff"),
        ),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, [pod("Succeeded")], Seen("done")),
        (
            {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
            [pod("Failed", containerStatuses=[KILLED])],
            Seen("failed", "OOMKilled with exit code 137"),
        ),
        (
            {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"}]},
            [],
            Seen("failed", "DeadlineExceeded: too long"),
        ),
        # Its first pod failed, and the next one has not come yet: it is not over.
        ({}, [pod("Failed", containerStatuses=[KILLED])], Seen("waiting", "OOMKilled with exit code 137")),
        ({}, [pod("Running", made="2026-01-01T00:00:09Z"), pod("Failed")], Seen("running")),
    ],
)
def test_what_a_cluster_says_of_an_element(status: Any, pods: Any, expected: Seen) -> None:
    """In the words of its API."""
    assert list(seen({"status": status}, pods, 1)) == [expected]


def test_what_a_cluster_says_of_an_array() -> None:
    """Of each element by its index."""
    status = {"completedIndexes": "0,3-5", "failedIndexes": "1", "active": 1}

    found = seen({"status": status}, [pod("Running", 2), pod("Pending", 6)], 8)

    states = [each.state for each in found]
    assert states == ["done", "failed", "running", "done", "done", "done", "waiting", "waiting"]


OPTIONS = ("--on", "kubernetes", "-o", "image=credit:1", "-o", "claim=credit")


def test_a_dry_run_shows_the_manifest(package: Path, capsys: Caught) -> None:
    """And it is one that the schemas take."""
    found = told(capsys, "submit", str(package), "--unsafe-draft", "a test", *OPTIONS, "--gpus", "1", "--dry-run")

    validate(yaml.safe_load(found["files"]["job.yaml"]))
    assert not Path(".nbproof/jobs").exists()


def test_without_kubectl_the_engine_is_absent(package: Path, capsys: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, how to get it, and nothing left behind."""
    monkeypatch.setenv("PATH", str(Path(shutil.which("git") or "/usr/bin/git").parent / "nothing"))

    code, line = refused(capsys, "submit", str(package), "--unsafe-draft", "a test", *OPTIONS)

    assert (code, "kubernetes: found no `kubectl` on this machine" in line) == (1, True), line
    assert not any(Path(".nbproof/jobs").glob("*"))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_without_a_cluster_hands_nothing_over(
    package: Path, capsys: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows of none, or of one that does not answer: then the job is kept, and said never to have arrived."""
    monkeypatch.setenv("KUBECONFIG", "none.yaml")
    with pytest.raises(EngineAbsent, match="knows of no cluster"):
        CLUSTER.recall("train-0a1b2c")
    Path("none.yaml").write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "away",
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "me"}}],
        "clusters": [{"name": "away", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "me", "user": {}}],
    }))  # fmt: skip

    code, line = refused(capsys, "submit", str(package), "--unsafe-draft", "a test", *OPTIONS)

    assert (code, "kubernetes did not answer" in line) == (1, True), line
    (kept,) = told(capsys, "jobs", "list")
    assert (kept["state"], "did not answer" in kept["note"]) == ("unknown", True)
    # A flag that kubectl does not know would be refused before anybody is asked.
    for asked in (lambda: CLUSTER.look("a", 1), lambda: CLUSTER.recall("a"), lambda: CLUSTER.cancel("a")):
        with pytest.raises(EngineUnreachable):
            asked()
