"""Why a kernel died: from counters and exit statuses to words."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbproof.run.execute.death import Death, OomKills, own_words

QUIET, LOUD = OomKills(3, is_ours=True), OomKills(4, is_ours=True)


@pytest.mark.parametrize(
    ("death", "said"),
    [
        (Death(3, -9, QUIET, LOUD, 512), "was ended by the system for want of memory in cell 3 (peak 512 MB)"),
        (
            Death(3, -9, OomKills(0, is_ours=False), OomKills(1, is_ours=False)),
            "was ended, most likely by the system, for want of memory in cell 3",
        ),
        (Death(3, -9, QUIET, QUIET, 512), "was killed (signal 9) in cell 3 (peak 512 MB)"),
        (Death(3, -9), "was killed (signal 9) in cell 3"),
        # The counter of another group says nothing about ours.
        (Death(3, -9, OomKills(0, is_ours=False), LOUD), "was killed (signal 9) in cell 3"),
        (Death(3, -11, QUIET, LOUD, 512), "crashed: segmentation fault (signal 11) in cell 3"),
        (Death(3, -6), "crashed: aborted (signal 6) in cell 3"),
        (Death(3, 3, said="one\n\nlast words\n"), "ended in cell 3 with status 3: last words"),
        (Death(3, 0), "ended in cell 3"),
        (Death(3, None), "ended in cell 3"),
        (
            Death(3, -11, said="mine\nFatal Python error: Segmentation fault\n\nExtension modules: zmq"),
            "crashed: segmentation fault (signal 11) in cell 3: mine",
        ),
    ],
)
def test_a_death_is_called_what_it_is(death: Death, said: str) -> None:
    """Want of memory is claimed only when the counter rose and the signal fits."""
    assert str(death) == f"its kernel {said}"


def test_what_every_kernel_says_when_it_starts_is_no_last_word() -> None:
    """ipykernel 7 warns of channels without encryption each time."""
    warned = "[IPKernelApp] WARNING | Kernel is running over TCP without encryption. All communication (…)"

    assert own_words(f"{warned}\nmine\n") == "mine"


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/memory.events": "oom 9\noom_kill 2\n"},
            OomKills(2, is_ours=True),
        ),
        (
            {"proc/self/cgroup": "0::/../hidden\n", "sys/fs/cgroup/memory.events": "oom_kill 5\noom_group_kill 0\n"},
            OomKills(5, is_ours=True),
        ),
        (
            {
                "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/job\n0::/\n",
                "sys/fs/cgroup/memory/job/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
                "proc/vmstat": "oom_kill 7\n",
            },
            OomKills(1, is_ours=True),
        ),
        ({"proc/self/cgroup": "0::/\n", "proc/vmstat": "nr_free 1\noom_kill 7\n"}, OomKills(7, is_ours=False)),
        ({"proc/vmstat": "oom_kill 7\n"}, OomKills(7, is_ours=False)),
        ({}, None),
    ],
)
def test_the_counters_of_a_machine(tmp_path: Path, files: dict[str, str], found: OomKills | None) -> None:
    """Our own control group first, of either version, then the whole machine."""
    assert OomKills.now(machine(tmp_path, files)) == found
