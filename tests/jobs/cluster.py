"""A private Slurm of two nodes with counted GPUs, from Debian's packages; it ends with the block that uses it."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ports import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "scancel")
START_S, END_S = 60, 15
CONFIG = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={place}/munge/sock,cred_expire=5
SlurmctldPort={controller}
SlurmdPort={first}
SlurmctldPidFile={place}/controller/pid
SlurmdPidFile={place}/%n/pid
SlurmdSpoolDir={place}/%n
StateSaveLocation={place}/controller
SlurmctldLogFile={place}/controller.log
SlurmdLogFile={place}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
KillWait=3
MinJobAge=600
JobRequeue=1
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=2 RealMemory=2000 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2 RealMemory=2000 Gres=gpu:h200:1 State=UNKNOWN
PartitionName=batch Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
# Counted GPUs must be devices; nobody opens them.
GPUS = """
NodeName=n1 Name=gpu File=/dev/null,/dev/zero
NodeName=n2 Name=gpu Type=h200 File=/dev/full
"""


def is_installed() -> bool:
    """Whether the programs of a cluster are there."""
    return all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in PROGRAMS)


@dataclass(slots=True)
class Cluster:
    """A cluster that runs; `environment` is what its programs need to find it."""

    place: Path
    processes: dict[str, subprocess.Popen[bytes]]

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.place / "slurm.conf")}

    def asked(self, *command: str) -> str:
        """What one of its programs answers."""
        ended = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60, check=True
        )
        return ended.stdout

    def lose_node(self, name: str) -> None:
        """Kill a node with all that runs on it, as a power cut does."""
        self.processes[name].kill()
        self.processes[name].wait()
        _kill(_below(self.place, name))

    def start(self, name: str) -> None:
        """Start the controller, or a node."""
        conf = str(self.place / "slurm.conf")
        is_controller = name == "controller"
        command = ["slurmctld", "-D", "-f", conf, "-i"] if is_controller else ["slurmd", "-D", "-f", conf, "-N", name]
        self.processes[name] = _begun(command, self.place / f"{name}.out")

    def stop(self, name: str) -> None:
        """End the controller, or a node, in good order."""
        self.processes[name].terminate()
        self.processes[name].wait(END_S)

    def wait_for_nodes(self) -> None:
        """Until both nodes take jobs."""
        self._wait_for({"idle", "mixed", "allocated"})

    def wait_for_answer(self) -> None:
        """Until the controller answers, however its nodes are."""
        self._wait_for(None)

    def _wait_for(self, fine: set[str] | None) -> None:
        end = time.monotonic() + START_S
        while True:
            try:
                states = self.asked("sinfo", "--noheader", "--Node", "--format=%T").split()
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                states = []
            if len(states) == 2 and (fine is None or set(states) <= fine):
                return
            assert time.monotonic() < end, (states, (self.place / "controller.log").read_text()[-2000:])
            time.sleep(0.2)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster from here to the end of the block."""
    # The path of a socket is short.
    place = Path(tempfile.mkdtemp(prefix="slurm-"))
    made = Cluster(place, {})
    try:
        _configure(place)
        made.processes["munge"] = _begun(
            ["munged", "--foreground", "--force", f"--socket={place}/munge/sock", f"--key-file={place}/munge/key",
             f"--pid-file={place}/munge/pid", f"--log-file={place}/munge/log", f"--seed-file={place}/munge/seed"],
            place / "munge.out",
        )  # fmt: skip
        _wait_for(place / "munge/sock")
        for name in ("controller", "n1", "n2"):
            made.start(name)
        made.wait_for_nodes()
        yield made
    finally:
        for name in reversed(made.processes):
            _end(made.processes[name])
        for name in ("n1", "n2"):
            _kill(_below(place, name))
        shutil.rmtree(place, ignore_errors=True)


def _configure(place: Path) -> None:
    for name in ("munge", "controller", "n1", "n2"):
        (place / name).mkdir()
    place.chmod(0o755)
    (place / "munge").chmod(0o755)
    key = place / "munge/key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    ports = dict(zip(("controller", "first", "second"), (free_port(), free_port(), free_port()), strict=True))
    host = socket.gethostname().partition(".")[0]
    values = {"host": host, "user": getpass.getuser(), "place": place, **ports}
    (place / "slurm.conf").write_text(CONFIG.format(**values).lstrip())
    (place / "gres.conf").write_text(GPUS.lstrip())
    (place / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")


def _begun(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as said:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
        )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _wait_for(path: Path) -> None:
    end = time.monotonic() + START_S
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.05)


def _below(place: Path, node: str) -> list[int]:
    """The processes that a node has started; whoever would report the end of another one stands first."""
    jobs: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environ = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if f"SLURMD_NODENAME={node}" in environ and f"SLURM_CONF={place}/slurm.conf" in environ:
            jobs[int(folder.name)] = parent
    return [*(set(jobs.values()) - jobs.keys() - {1}), *jobs]
