"""The registry: versions say what changed, only what is approved serves, and no crash leaves a riddle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import registered
from hypothesis import given
from hypothesis import strategies as st
from registered import NAME, add, champion, say, start, without_settings

from nbproof.cli.main import carry_out
from nbproof.errors import NotApproved, PromotionRefused, RegistryHolds, UnknownName
from nbproof.serve import moves
from nbproof.serve.moves import Change, plain, promoted, rolled_back, steps
from nbproof.serve.promoting import mend, promote, roll_back
from nbproof.serve.registry import Registry

numbers = st.dictionaries(st.sampled_from(moves.ALIASES), st.integers(1, 5))

# The command, in a process that is killed after so many writes of aliases.
pytestmark = pytest.mark.usefixtures("own_variables")
KILLED = """
import os, signal, sys
from pathlib import Path
from nbproof.serve import promoting
from nbproof.serve.registry import Registry, open_registry
from nbproof.settings import load

kind, left = sys.argv[1], int(sys.argv[2])
move = Registry.move

def dying(self, *told):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    move(self, *told)

Registry.move = dying
project = Path.cwd()
registry = open_registry(project, load(project, {}))
if kind == "promote":
    promoting.promote(registry, project, "toy", None, by="Ana")
else:
    promoting.roll_back(registry, project, "toy", by="Ana")
"""


def killed(project: Path, kind: str, after: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, kind, str(after)], cwd=project, env=without_settings(), check=False
    )
    assert ran.returncode == -signal.SIGKILL


@given(numbers, st.integers(1, 5))
def test_the_steps_lead_to_what_is_wanted(found: dict[str, int], number: int) -> None:
    """Carried out one by one, the writes of a promotion end where it should end, wherever they were cut short."""
    wanted = promoted(found, number)
    for cut in range(len(steps(found, wanted)) + 1):
        state = dict(found)
        for alias, to in [*steps(found, wanted)[:cut], *steps(found, wanted)]:
            state.pop(alias, None)
            if to is not None:
                state[alias] = to
        assert state == wanted


@given(numbers.filter(lambda found: "champion" in found), st.integers(6, 9))
def test_a_rollback_undoes_a_promotion(found: dict[str, int], number: int) -> None:
    """The champion is the one of before, and the one that was promoted is kept."""
    after = promoted(found, number)

    assert rolled_back(after, after["previous"])["champion"] == found["champion"]
    assert rolled_back(after, after["previous"])["previous"] == number


def test_a_change_is_read_as_it_was_written() -> None:
    """One line of JSON there and back; another state or alias is none."""
    change = Change(3, "rollback", "2026-01-01T00:00:00+00:00", "Ana", {"champion": 2}, {"champion": 1}, "yes")

    assert Change.read(change.written()) == change
    with pytest.raises(ValueError, match="unknown kind or state"):
        Change.read(change.written().replace("begun", "over"))
    with pytest.raises(ValueError, match="not a change"):
        Change.read("[]")


def test_versions_say_what_changed(tmp_path: Path) -> None:
    """Signature and meaning are major, scores minor, another file with the same scores a patch, the same file none."""
    project, registry = start(tmp_path / "project")
    said = [
        add(registry, project, b"1", scores=b"a", meaning="late in a month"),
        add(registry, project, b"2", scores=b"a", meaning="late in a month"),
        add(registry, project, b"3", scores=b"b", meaning="late in a month"),
        add(registry, project, b"4", scores=b"b", meaning="late in a year"),
        add(registry, project, b"5", scores=b"b", meaning="late in a year", signature="t"),
        add(registry, project, b"2", scores=b"a", meaning="late in a month"),
    ]

    assert [str(entry.version) for entry in said] == ["1.0.0", "1.0.1", "1.1.0", "2.0.0", "3.0.0", "1.0.1"]
    assert [entry.tags["change"] for entry in said[:5]] == ["first", "packaging", "scores", "meaning", "signature"]
    assert len(registry.holding(NAME).entries) == 5


def test_only_what_is_approved_becomes_the_champion(tmp_path: Path) -> None:
    """Not the candidate as it is, not what was rejected; what is approved does, and the one before is kept."""
    project, registry = start(tmp_path / "project", people=(("Ana", 1), ("Cleo", 2)))
    add(registry, project, b"one")
    with pytest.raises(NotApproved, match="no decision is about a model"):
        promote(registry, project, NAME, None, by="Ana")
    assert champion(registry) == {"candidate": "1.0.0"}

    say(project, b"one")
    first = promote(registry, project, NAME, None, by="Ana")
    add(registry, project, b"two")
    say(project, b"two", "rejected", by=2)
    with pytest.raises(NotApproved, match="Cleo rejected it"):
        promote(registry, project, NAME, None, by="Ana")
    say(project, b"two", by=2)
    second = promote(registry, project, NAME, "candidate", by="Bela")

    assert (str(first.champion.version), first.previous) == ("1.0.0", None)
    assert second.change.approved.startswith("approved by Cleo with notebooks/score.ipynb")
    assert champion(registry) == {"champion": "1.1.0", "previous": "1.0.0"}
    assert [(each.kind, each.by, each.state) for each in registry.holding(NAME).changes] == [
        ("promotion", "Ana", "done"), ("promotion", "Bela", "done"),
    ]  # fmt: skip
    with pytest.raises(PromotionRefused, match="it is the champion already"):
        promote(registry, project, NAME, "1.1.0", by="Ana")


def test_a_rollback_goes_to_what_is_approved_today(tmp_path: Path) -> None:
    """One command brings the one before back; rejected meanwhile, it stays where it is."""
    project, registry = start(tmp_path / "project", people=(("Ana", 1), ("Cleo", 2)))
    with pytest.raises(UnknownName):
        roll_back(registry, project, NAME, by="Ana")
    for content in (b"one", b"two"):
        add(registry, project, content)
        say(project, content)
        promote(registry, project, NAME, None, by="Ana")

    back = roll_back(registry, project, NAME, by="Ana")
    say(project, b"two", "rejected", by=2)

    assert str(back.champion.version) == "1.0.0"
    assert champion(registry) == {"champion": "1.0.0", "previous": "1.1.0"}
    with pytest.raises(NotApproved, match="Cleo rejected it"):
        roll_back(registry, project, NAME, by="Ana")
    assert champion(registry) == {"champion": "1.0.0", "previous": "1.1.0"}


def test_other_bytes_under_the_same_tags_are_refused(tmp_path: Path) -> None:
    """Whoever exchanges the file in the registry's folder does not get the approval of the old one."""
    project, registry = start(tmp_path / "project")
    entry = add(registry, project, b"one")
    say(project, b"one")
    stored = next((project / "mlruns").rglob("model.bin"))
    stored.write_bytes(b"evil")

    with pytest.raises(RegistryHolds, match="no file with the hash"):
        promote(registry, project, NAME, None, by="Ana")
    with pytest.raises(RegistryHolds, match="no file with the hash"), registry.fetched(entry):
        pass


@pytest.mark.parametrize("after", [1, pytest.param(0, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_a_promotion_that_is_killed_is_finished_by_the_next_command(
    tmp_path: Path, after: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each write the champion is an approved one; `list` names what was cut short, and `mend` finishes it."""
    project, registry = start(tmp_path / "project")
    for content in (b"one", b"two"):
        add(registry, project, content)
        say(project, content)
        if content == b"one":
            promote(registry, project, NAME, None, by="Ana")

    killed(project, "promote", after)
    between = champion(registry)
    monkeypatch.chdir(project)
    assert carry_out(["models", "list"]) == 0
    told = capsys.readouterr().err
    assert carry_out(["models", "mend", NAME, "--json"]) == 0
    mended = json.loads(capsys.readouterr().out)["mended"]

    assert between["champion"] == ("1.0.0" if after < 2 else "1.1.0")
    assert "the promotion of" in told
    assert "was cut short" in told
    assert f"hint: nbproof models mend {NAME}" in told
    assert mended["state"] == "done"
    assert champion(registry) == {"champion": "1.1.0", "previous": "1.0.0"}
    assert mend(registry, project, NAME) is None


def test_a_cut_change_whose_model_was_rejected_is_taken_back(tmp_path: Path) -> None:
    """The next promotion mends it first: backwards, since nobody may be served by what was rejected."""
    project, registry = start(tmp_path / "project", people=(("Ana", 1), ("Cleo", 2)))
    for content in (b"one", b"two"):
        add(registry, project, content)
        say(project, content)
        if content == b"one":
            promote(registry, project, NAME, None, by="Ana")
    killed(project, "promote", 2)
    say(project, b"two", "rejected", by=2)
    add(registry, project, b"three")
    say(project, b"three")

    changed = promote(registry, project, NAME, None, by="Ana")

    assert changed.mended is not None
    assert changed.mended.state == "undone"
    assert champion(registry) == {"champion": "1.2.0", "previous": "1.0.0"}
    assert [each.state for each in registry.holding(NAME).changes] == ["done", "undone", "done"]


def test_an_alias_moved_by_hand_is_named(tmp_path: Path) -> None:
    """Whoever moves the champion past the commands is found out; the candidate may move."""
    project, registry = start(tmp_path / "project")
    for content in (b"one", b"two"):
        entry = add(registry, project, content)
        say(project, content)
        if content == b"one":
            promote(registry, project, NAME, None, by="Ana")
    assert registry.holding(NAME).surprises == []

    registry.move(NAME, "champion", entry.number)

    assert registry.holding(NAME).surprises == ["`champion` is version 2, but change 1 left version 1"]


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user sees, from the first version to the rollback."""
    project, registry = start(tmp_path / "project")
    for content in (b"one", b"two"):
        add(registry, project, content)
        say(project, content)
    monkeypatch.chdir(project)

    def told(*words: str, code: int = 0) -> str:
        assert carry_out(["models", *words]) == code
        said = capsys.readouterr()
        return said.out + said.err

    assert f"{NAME}    1.1.0    scores" in told("list")
    assert "1.0.0 is the champion, approved by Ana" in told("promote", NAME, "1.0.0")
    assert "1.1.0 is the champion" in told("promote", NAME)
    assert "1.0.0 is the champion" in told("rollback", NAME)
    shown = told("show", NAME)
    assert "may serve" in shown
    assert "1.1.0 → 1.0.0" in shown
    assert "no version of toy is called `9.9.9`" in told("promote", NAME, "9.9.9", code=2)
    assert "no model is called `other`; known: toy" in told("show", "other", code=2)
    assert "no change was cut short" in told("mend", NAME)
    held = json.loads(told("show", NAME, "--json"))
    assert (held["aliases"], held["surprises"]) == ({"champion": 1, "previous": 2}, [])
    assert held["approvals"]["1"]["may_serve"] is True


def test_a_project_without_a_store_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made by looking."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    assert carry_out(["models", "list"]) == 1
    assert "there is no store at mlflow.db yet" in capsys.readouterr().err
    assert not (tmp_path / "mlflow.db").exists()


def test_registry_is_the_one_of_the_settings(tmp_path: Path) -> None:
    """Two projects do not see one another's models."""
    one, registry = start(tmp_path / "one")
    add(registry, one, b"1")
    _, other = start(tmp_path / "two")

    assert (registry.names(), other.names()) == ([NAME], [])
    assert isinstance(other, Registry)
    assert plain(registry.holding(NAME).aliases) == {"candidate": 1}
    assert registered.NAME == NAME
