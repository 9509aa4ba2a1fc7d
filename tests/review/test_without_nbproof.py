"""The documented script checks an approval with public tools alone, and notices every byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reviewed import BELA, key, write_notebook, write_project

from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.ledger import Ledger
from nbproof.review.signers import line_of
from nbproof.review.standing import require_approval

GUIDE = Path(__file__).parents[2] / "docs/guides/verifying-without-nbproof.md"
CELLS = [
    ("p", ["parameters"], "from pathlib import Path\ndata: Path = Path('panel')\nrows: int = 3"),
    ("a", [], "import helper\nprint('größe', rows)"),
]
pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("openssl", "ssh-keygen", "sha256sum")), reason="a public tool is missing"
)


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real approval, with a folder of data, a module, a lock and a report; a rejection came before it."""
    folder = tmp_path_factory.mktemp("approved") / "project"
    notebook = write_notebook(write_project(folder, rules="expires_days = 30\n"), CELLS)
    (notebook.parent / "panel").mkdir()
    for place in ("notebooks/panel/a.csv", "notebooks/helper.py", "constraints.txt", "report.html"):
        (folder / place).write_text("x = 1\n")
    request(folder, notebook, key=BELA, lock="constraints.txt", files={"report": "report.html"})
    decide(folder, notebook, Verdict(decision="rejected", comment="no"), key(1), lock="constraints.txt")
    decide(folder, notebook, Verdict(decision="approved"), key(1), lock="constraints.txt")
    require_approval(folder, notebook, lock="constraints.txt")
    return folder


@pytest.fixture
def project(approved: Path, tmp_path: Path) -> Path:
    shutil.copytree(approved, tmp_path / "project")
    return tmp_path / "project"


def check(project: Path) -> subprocess.CompletedProcess[str]:
    """Run the guide's script in a Python that sees neither nbproof nor any other package."""
    script = project.parent / "verify_approval.py"
    script.write_text(GUIDE.read_text().split("```python\n")[1].split("```")[0])
    command = [sys.executable, "-I", "-S", str(script), str(project), "notebooks/score.ipynb"]
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_a_third_party_believes_it(project: Path) -> None:
    """Everything that is bound is named, each with its own line."""
    ran = check(project)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[-1].startswith("approved by Ana at 2")
    for words in ("openssl: the signature of Ana fits", "Bela asked, and somebody else decided",
                  "the notebook notebooks/score.ipynb is what", "the data notebooks/panel is what",
                  "the module notebooks/helper.py is what", "the lock constraints.txt is what",
                  "the report report.html is what"):  # fmt: skip
        assert any(words in line for line in lines), words


def test_outputs_are_not_looked_at(project: Path) -> None:
    """What nbproof calls the same, so does the script."""
    notebook = project / "notebooks/score.ipynb"
    content = json.loads(notebook.read_text())
    content["cells"][1] |= {"execution_count": 4, "outputs": [{"output_type": "stream", "name": "stdout", "text": "3"}]}
    notebook.write_text(json.dumps(content, indent=2, ensure_ascii=False))

    assert check(project).returncode == 0


def flipped(name: str, place: float) -> Callable[[Path], None]:
    def flip(project: Path) -> None:
        path = sorted(project.glob(name))[-1]
        whole = path.read_bytes()
        at = int(len(whole) * place)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])

    return flip


def source(project: Path) -> None:
    notebook = project / "notebooks/score.ipynb"
    notebook.write_text(notebook.read_text().replace("print(", "prind("))


def unlisted(project: Path) -> None:
    (project / "approvals/allowed_signers").write_text(
        f"{line_of('Ana', key(9).public)}\n{line_of('Bela', BELA.public)}\n"
    )


def expired(project: Path) -> None:
    listed = project / "approvals/allowed_signers"
    listed.write_text(listed.read_text().replace('namespaces="nbproof"', 'valid-before="20260101Z"', 1))


def own_work(project: Path) -> None:
    """Ana's key is listed as Bela's, too: one person asked and decided."""
    listed = project / "approvals/allowed_signers"
    listed.write_text(listed.read_text().replace("Bela ", "Ana "))


def stray(project: Path) -> None:
    shutil.copy(sorted(project.glob("approvals/*.dsse.json"))[0], project / "approvals/stray.dsse.json")


def dropped(project: Path) -> None:
    lines = Ledger(project).path.read_bytes().splitlines(keepends=True)
    Ledger(project).path.write_bytes(b"".join([lines[0], lines[2]]))


@pytest.mark.parametrize(
    "attack",
    [
        source, unlisted, expired, own_work, stray, dropped,
        *(flipped(name, 0.5) for name in ("notebooks/panel/a.csv", "notebooks/helper.py", "constraints.txt",
                                           "report.html", "approvals/content/*.json")),
        *(flipped("approvals/ledger.jsonl", place) for place in (0.1, 0.5, 0.9)),
        *(flipped("approvals/*-approved-*.dsse.json", place) for place in (0.1, 0.4, 0.97)),
        *(flipped("approvals/*-requested-*.dsse.json", place) for place in (0.1, 0.97)),
    ],
)  # fmt: skip
def test_a_third_party_notices(project: Path, attack: Callable[[Path], None]) -> None:
    """One byte, another key, a dropped line: the script ends with a failure."""
    attack(project)

    assert check(project).returncode != 0
