"""Phases 07 to 11 of the reference engagement: what their notebooks declare, and what they leave when they are run."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from engagement_project import COMMAND, CUT, PIPELINE, Engagement, environment
from filelock import FileLock

from nbproof.report.verifying import verify

ROOT = Path(__file__).resolve().parents[2]
PHASES = ("07_registration", "08_serving", "09_integration", "10_monitoring", "11_documentation")


def notebook(phase: str) -> Any:
    return nbformat.read(ROOT / "notebooks" / f"{phase}.ipynb", as_version=4)


def literals(phase: str) -> dict[str, Any]:
    """The plain assignments of the parameters cell."""
    cell = next(each for each in notebook(phase).cells if "parameters" in each.metadata.get("tags", []))
    assignments = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
    return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in assignments}


def products_of_pipeline() -> dict[str, dict[str, str]]:
    """Each task's products, without the executed notebook."""
    tasks = yaml.safe_load((ROOT / "pipelines/credit/pipeline.yaml").read_text())["tasks"]
    return {task["name"]: {key: path for key, path in task["product"].items() if key != "nb"} for task in tasks}


@pytest.mark.parametrize("phase", PHASES)
def test_a_notebook_run_alone_writes_what_the_pipeline_names(phase: str) -> None:
    """The defaults of `product` are the paths of pipeline.yaml."""
    assert literals(phase)["product"] == products_of_pipeline()[phase]


@pytest.mark.parametrize("phase", PHASES)
def test_a_notebook_run_alone_reads_what_others_write(phase: str) -> None:
    """The defaults of `upstream` are products of earlier phases, by the same keys."""
    products = products_of_pipeline()

    for earlier, paths in literals(phase)["upstream"].items():
        assert earlier < phase
        assert paths.items() <= products[earlier].items()


@pytest.mark.parametrize("phase", PHASES)
def test_a_notebook_is_committed_without_outputs(phase: str) -> None:
    """No output, no count, and a readable name for each cell."""
    cells = notebook(phase).cells

    assert [cell.id for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)] == []
    assert len({cell.id for cell in cells}) == len(cells)
    assert cells[-1].id == "accept"


def test_documentation_reads_every_product() -> None:
    """No product of the ten phases is missing from the evidence."""
    products = products_of_pipeline()

    assert literals("11_documentation")["upstream"] == {
        phase: paths for phase, paths in products.items() if phase != "11_documentation"
    }


@pytest.fixture(scope="session")
def built(engagement: Engagement, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Engagement:
    """All eleven phases on the small cut, run once; for reading only."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    root, done = shared / "built", shared / "built.done"
    with FileLock(shared / "built.lock"):
        if not done.exists():
            made = Engagement(shutil.copytree(engagement.root, root, symlinks=True))
            result = made.run(str(PIPELINE))
            assert result.returncode == 0, result.stdout + result.stderr
            done.touch()
    return Engagement(root)


@pytest.fixture
def own(built: Engagement, tmp_path: Path) -> Engagement:
    """A copy with everything that the phases left, for a test that runs one again."""
    return Engagement(shutil.copytree(built.root, tmp_path / "project", symlinks=True))


def run_alone(project: Engagement, phase: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Execute one notebook with its defaults, as a data scientist would."""
    folder = project.root / PIPELINE
    executed = folder / f"build/{phase}.alone.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(folder)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NBPROOF_", "MLFLOW_"))}
    return subprocess.run(
        [*command, str(project.root / f"notebooks/{phase}.ipynb"), str(executed), *arguments],
        env={**kept, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.engagement
@pytest.mark.timeout(1500)
class TestBuilt:
    """What the phases leave after one run of the pipeline."""

    def test_registering_again_adds_no_version(self, own: Engagement) -> None:
        """Running phase 07 again finds the version that is there, and its product keeps its bytes."""
        from mlflow import MlflowClient

        before = own.product("07_registration", "registration").read_bytes()
        again = run_alone(own, "07_registration")

        assert again.returncode == 0, again.stderr
        assert own.product("07_registration", "registration").read_bytes() == before
        client = MlflowClient(f"sqlite:///{own.root}/mlflow.db")
        versions = client.search_model_versions("name='credit-default'")
        assert [each.tags["semver"] for each in versions] == ["1.0.0"]
        model = own.product("06_training", "model").read_bytes()
        assert versions[0].tags["model_sha256"] == hashlib.sha256(model).hexdigest()
        assert client.get_model_version_by_alias("credit-default", "candidate").version == versions[0].version

    @pytest.mark.parametrize("checks", [{}, {"label_rate": {"passed": False, "found": "0.9"}}])
    def test_nothing_is_registered_behind_a_closed_gate(self, own: Engagement, tmp_path: Path, checks: Any) -> None:
        """A phase whose check failed, or which left none, stops registration before the registry is touched."""
        places = tmp_path / "places"
        places.mkdir()
        closed = places / "quality.json"
        closed.write_text(json.dumps({"checks": checks}))
        upstream = literals("07_registration")["upstream"] | {"02_data_audit": {"quality": str(closed)}}
        product = {key: str(places / key) for key in literals("07_registration")["product"]}

        done = run_alone(own, "07_registration", "-y", yaml.safe_dump({"upstream": upstream, "product": product}))

        assert done.returncode != 0
        assert "nothing is registered, since gates are closed: 02_data_audit" in done.stderr
        assert list(places.iterdir()) == [closed]

    def test_the_service_is_the_model(self, built: Engagement) -> None:
        """HTTP and process agree, and the container's context names no moving version and no root."""
        parity = built.read("08_serving", "parity")
        pinned = built.product("08_serving", "requirements").read_text().splitlines()
        dockerfile = built.product("08_serving", "dockerfile").read_text()

        assert parity["rows"] == 500
        assert parity["largest_difference"] <= 1e-12
        assert all(line.count("==") == 1 for line in pinned)
        assert {"fastapi", "nbproof", "scikit-learn", "skops"} <= {line.split("==")[0] for line in pinned}
        assert ":latest" not in dockerfile
        assert "\nUSER 10001\n" in dockerfile

    def test_the_package_can_be_served(self, built: Engagement) -> None:
        """The files that phase 08 left are a whole package that answers."""
        import httpx

        from nbproof.serve.process import running

        with running(built.product("08_serving", "manifest").parent) as service:
            identity = httpx.get(f"{service.base_url}/model", trust_env=False).json()

        assert identity["version"] == built.read("07_registration", "registration")["semver"]

    def test_integration_saw_good_and_bad_requests(self, built: Engagement) -> None:
        """Each case was answered as promised, and all kinds of answers occurred."""
        answers = built.read("09_integration", "integration")["answers"]

        assert [each["case"] for each in answers if each["found"] != each["expected"]] == []
        assert {each["found"] for each in answers} == {200, 400, 404, 405, 413, 422}

    def test_september_is_red_for_the_known_reason(self, built: Engagement) -> None:
        """The change of coding is found, the score alone stays green, and a retraining is asked for."""
        drift = built.read("10_monitoring", "drift")
        september = drift["windows"]["2005-09"]
        cause = next(each for each in september["causes"] if each["column"] == "pay_status")

        assert list(drift["windows"]) == ["2005-07", "2005-08", "2005-09"]
        assert september["verdict"] == "red"
        assert cause["code"] == "1"
        assert cause["rows_by_month"]["2005-09"] > 50 * max(
            cause["rows_by_month"][f"2005-0{month}"] for month in range(4, 9)
        )
        assert september["columns"]["score"]["verdict"] == "green"
        assert september["performance"]["auc_drop"] > 0.1
        assert built.read("10_monitoring", "retraining")["windows"] == ["2005-09"]

    def test_an_outcome_that_is_not_known_yet_is_not_evaluated(self, own: Engagement, tmp_path: Path) -> None:
        """On the last day of September nothing is said about its performance, though the file holds the label."""
        product = {key: str(tmp_path / key) for key in literals("10_monitoring")["product"]}

        done = run_alone(own, "10_monitoring", "-y", yaml.safe_dump({"product": product}), "-p", "as_of", "2005-09-30")

        assert done.returncode == 0, done.stderr
        performance = json.loads((tmp_path / "drift").read_text())["windows"]["2005-09"]["performance"]
        assert (performance["verdict"], performance["auc"], performance["labelled"]) == ("not_evaluated", None, 0)

    def test_the_manifest_holds_the_hash_of_every_product(self, built: Engagement) -> None:
        """What the evidence list says is what lies there."""
        manifest = built.read("11_documentation", "manifest")

        assert manifest == {
            path: hashlib.sha256((built.root / PIPELINE / path).read_bytes()).hexdigest() for path in manifest
        }
        assert len(manifest) == sum(
            len(paths) for phase, paths in products_of_pipeline().items() if phase != "11_documentation"
        )

    @pytest.mark.parametrize("key", ["model_card_html", "data_sheet_html", "report"])
    def test_documents_run_nothing_and_fetch_nothing(self, built: Engagement, key: str) -> None:
        """No script, and no address outside the file."""
        seen: list[tuple[str, dict[str, str | None]]] = []

        class Reader(HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                seen.append((tag, dict(attrs)))

        Reader().feed(built.product("11_documentation", key).read_text())

        assert not {"script", "iframe", "link", "object"} & {tag for tag, _ in seen}
        addresses = [attrs.get("src") or attrs.get("href") or "#" for _, attrs in seen]
        assert all(each.startswith(("#", "data:image/svg+xml;base64,")) for each in addresses)

    def test_what_people_owe_is_in_the_report(self, built: Engagement) -> None:
        """The report names owners of open questions and no answer to them."""
        text = built.product("11_documentation", "report").read_text()

        assert (
            "<strong>Owed by the reviewer:</strong> the decision: approve, approve with conditions, or reject" in text
        )
        assert "<strong>Owed by compliance:</strong>" in text

    def test_the_reviewers_report_is_whole(self, own: Engagement) -> None:
        """Over the finished run: twenty points with evidence, every number found again, small enough to send."""
        done = subprocess.run(
            [*COMMAND, "report", str(PIPELINE), "-p", CUT, "--json"],
            cwd=own.root, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        page = Path(told["report"])
        text = page.read_text(encoding="utf-8")

        states = re.findall(r'<th scope="row"><a href="#p(\d+)">\1</a>[^<]*</th><td class="good">there is</td>', text)
        assert [int(number) for number in states] == list(range(1, 21))
        found = verify(page)
        assert found.problems == ()
        assert found.values == told["values"] > 2000
        assert told["bytes"] < 5_000_000
        cases = own.read("06_training", "explanation")["beside"]["cases"]
        assert [f"Case “{each['chosen_as']}”: SHAP beside LIME" in text for each in cases] == [True, True, True]
        assert "baseline, features in a random order" in text
        assert "baseline, an explanation that says nothing" in text

    def test_a_second_run_leaves_the_same_bytes(self, own: Engagement) -> None:
        """Each phase run again with the same inputs writes every product identically."""
        before = own.hashes()

        for phase in PHASES:
            done = run_alone(own, phase)
            assert done.returncode == 0, done.stderr

        assert own.hashes() == before
