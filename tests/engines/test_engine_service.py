"""The container of a service, built and run for real: without a network, read-only, not as root, and pinned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import Record, done
from nbproof.serve.admission import Grant
from nbproof.serve.contents import read_contents
from nbproof.serve.keys import add
from nbproof.serve.package import of_contents
from nbproof.serve.shipping import ship

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1800)]
ROWS = [{"age": 30, "status": 2, "ratio": 0.25}, {"age": 51, "status": -1, "ratio": None}]
# Asked within the container, which has no network: it writes the status and what was answered.
ASK = """
import json, sys, urllib.error, urllib.request
headers = {"content-type": "application/json", **({"authorization": "Bearer " + sys.argv[2]} if sys.argv[2] else {})}
body = sys.argv[1].encode() or None
asked = urllib.request.Request("http://127.0.0.1:8000" + sys.argv[3], data=body, headers=headers)
try:
    with urllib.request.urlopen(asked, timeout=10) as answer:
        print(json.dumps([answer.status, json.load(answer)]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, json.load(error)]))
except urllib.error.URLError as error:
    print(json.dumps([0, str(error)]))
"""


def package(folder: Path) -> Path:
    """A small model of trees in a package."""
    import numpy as np
    import pandas as pd
    import skops.io
    from sklearn.ensemble import HistGradientBoostingClassifier

    from nbproof.records import ContentHash
    from nbproof.serve.package import Manifest
    from nbproof.serve.signature import Input, Signature

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "age": rng.integers(18, 80, 400), "status": rng.integers(-1, 3, 400),
        "ratio": np.where(rng.random(400) < 0.2, np.nan, rng.random(400)),
    })  # fmt: skip
    fitted = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(frame, frame.status + rng.random(400) > 1)
    signature = Signature(
        (Input("age", "integer"), Input("status", "integer"), Input("ratio", "number", nullable=True))
    )
    held = {"model": ("model.skops", skops.io.dumps(fitted)),
            "signature": ("signature.json", json.dumps(signature.written()).encode())}  # fmt: skip
    folder.mkdir()
    for name, content in held.values():
        (folder / name).write_bytes(content)
    files = {key: (name, ContentHash.of(content)) for key, (name, content) in held.items()}
    trusted = tuple(skops.io.get_untrusted_types(data=held["model"][1]))
    (folder / "manifest.json").write_text(json.dumps(Manifest("boxed", "1.0.0", files, trusted).written()))
    return folder


def test_the_container_of_a_service_builds_and_answers(
    base: Path, storage: Path, tmp_path: Path, record: Record
) -> None:
    """Built by buildah from the lock alone, run by podman: the same scores as here, and nothing without a key."""
    found = of_contents(read_contents(package(tmp_path / "package")))
    context = ship(found, Grant("approved by Ana", True, runs_code=True), tmp_path / "context", "container").folder
    wheels, keys = storage / "wheels", storage / "keys.txt"
    done(sys.executable, "-m", "pip", "download", "-q", "-d", str(wheels), "-r", str(context / "requirements.lock"))
    key = add(keys, "app", "use")
    os.chown(keys, 10001, 10001)
    policy, image = ["--signature-policy", str(storage / "policy.json")], "localhost/boxed:1"
    with record.row("buildah 1.28", "`buildah bud` of the context that `nbproof serve-export` wrote, offline") as say:
        done("tar", "-C", str(base), "-cf", str(storage / "base.tar"), ".")
        (storage / "Base").write_text("FROM scratch\nADD base.tar /\n")
        build = ["buildah", "bud", *policy, "--isolation", "chroot", "--format", "docker", "--pull-never"]
        done(*build, "-t", "localhost/base:1", "-f", str(storage / "Base"), str(storage))
        arguments = ["BASE=localhost/base:1", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"]
        done(*build, "--volume", f"{wheels}:/wheels:ro", *(f"--build-arg={each}" for each in arguments), "-t", image,
             "-f", str(context / "Containerfile"), str(context))  # fmt: skip
        user = done("buildah", "inspect", "--format", "{{.OCIv1.Config.User}}", "--type", "image", image).strip()
        assert user == "10001"
        say("built from its lock alone; its user is 10001")
    with record.row("podman 4.3, runc", "`podman run --network=none --read-only` of that service") as say:
        podman = ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs"]
        limits = ["--network=none", "--read-only", "--no-healthcheck", "--ulimit", "nofile=1024:1024",
                  "--ulimit", "nproc=1024:1024"]  # fmt: skip
        run = [*podman, "run", *policy, *limits]
        bare = subprocess.run([*run, "--rm", image], capture_output=True, text=True, timeout=300)
        assert bare.returncode == 2
        assert "/keys/keys.txt" in bare.stderr
        name = done(*run, "-d", "--volume", f"{keys}:/keys/keys.txt:ro", image).strip()
        try:

            def asked(body: str, shown: str, path: str = "/predict") -> tuple[int, object]:
                status, said = json.loads(done(*podman, "exec", name, "python", "-c", ASK, body, shown, path))
                return status, said

            deadline = time.monotonic() + 180
            while asked("", "", "/ready")[0] != 200:
                assert time.monotonic() < deadline
                time.sleep(1)
            body = json.dumps({"rows": ROWS})
            status, answer = asked(body, key)
            assert isinstance(answer, dict)
            assert (status, answer["scores"]) == (200, found.load().score(ROWS))
            assert asked(body, "")[0] == 401
            assert "when it was built: approved by Ana" in json.dumps(asked("", key, "/model")[1])
            assert done(*podman, "exec", name, "id", "-u").strip() == "10001"
        finally:
            subprocess.run([*podman, "rm", "-f", "-t", "5", name], capture_output=True)
        say("the scores are those of this process, without a key 401, and without a file of keys it does not start")
