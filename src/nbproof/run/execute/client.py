"""The client of one kernel: ready as soon as the kernel is, and told of its end by the system."""

from __future__ import annotations

import time
from dataclasses import dataclass
from queue import Empty
from typing import Any

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.utils import ensure_async
from nbclient.exceptions import DeadKernelError
from nbclient.util import run_sync

from ..warm.preload import Preload
from ..warm.provisioner import NAME, WarmProvisioner
from .hearing import ListeningClient

# The first question is asked again after this time, then after twice that, and so on: it may have come too early.
ASK_AGAIN_S = 0.2
LOOK_AGAIN_S = 1.0


class Client(ListeningClient):
    """Our listening client, with a warm kernel if `ahead` says what that may have imported."""

    def __init__(self, log: Any, *, ahead: Preload | None = None, **options: Any) -> None:
        super().__init__(log, **options)
        self.ahead = ahead
        self.brought: tuple[str, ...] = ()

    def create_kernel_manager(self) -> Any:
        """A manager whose kernel is forked, where it may be."""
        manager = super().create_kernel_manager()
        if self.ahead is not None and manager.kernel_spec.language == "python":
            config = {
                "imports": list(self.ahead.modules),
                "variables": dict(self.ahead.variables),
                "uses": dict(self.ahead.uses),
                "is_patient": True,
            }
            manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": NAME, "config": config}
        return manager

    async def async_start_new_kernel_client(self) -> Any:
        """Connect to the kernel, and return once it answers and is heard."""
        self.kc = self.km.client()
        try:
            await ensure_async(self.kc.start_channels(hb=False))
            _look_again(self.kc.shell_channel)
            await self._until_ready()
        except BaseException:
            await self._async_cleanup_kernel()
            raise
        self.kc.allow_stdin = False
        return self.kc

    start_new_kernel_client = run_sync(async_start_new_kernel_client)

    async def _async_cleanup_kernel(self) -> None:
        """End the kernel, and keep what it says of its imports when it leaves."""
        provisioner = self.km.provisioner
        await super()._async_cleanup_kernel()
        self.brought = getattr(provisioner, "brought", ())

    _cleanup_kernel = run_sync(_async_cleanup_kernel)

    async def _until_ready(self) -> None:
        """Wait until a question of ours is answered, and the channel of outputs has told that its answer is complete.

        Then all that was said before has been heard, so nothing needs to be waited out.
        """
        asked: set[str] = set()
        answer = None
        patience_s, began = ASK_AGAIN_S, time.monotonic()
        while True:
            asked.add(self.kc.kernel_info())
            deadline = time.monotonic() + patience_s
            answer = answer or await self._answer(deadline)
            if answer is not None and await self._is_told_idle(asked, deadline):
                self.kc._handle_kernel_info_reply(answer)
                return
            if not await ensure_async(self.km.is_alive()):
                raise DeadKernelError("Kernel died before replying to kernel_info")
            if time.monotonic() - began > self.startup_timeout:
                raise RuntimeError(f"Kernel didn't respond in {self.startup_timeout} seconds")
            patience_s = min(2 * patience_s, 1.0)

    async def _answer(self, deadline: float) -> Any:
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = await ensure_async(self.kc.shell_channel.get_msg(timeout=left))
            except Empty:
                return None
            if message["msg_type"] == "kernel_info_reply":
                return message
        return None

    async def _is_told_idle(self, asked: set[str], deadline: float) -> bool:
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = await ensure_async(self.kc.iopub_channel.get_msg(timeout=left))
            except Empty:
                return False
            is_ours = message["parent_header"].get("msg_id") in asked
            if is_ours and message["content"].get("execution_state") == "idle":
                return True
        return False


def _look_again(channel: Any) -> None:
    """Let whoever waits for a message look again every second.

    What is sent on the same socket meanwhile, as widgets do, may take away the one sign that something has come.
    """
    get_once = channel.get_msg

    async def get_msg(timeout: float | None = None) -> Any:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK_AGAIN_S if deadline is None else min(LOOK_AGAIN_S, deadline - time.monotonic())
            try:
                return await ensure_async(get_once(timeout=max(0.0, left)))
            except Empty:
                if deadline is not None and time.monotonic() >= deadline:
                    raise

    channel.get_msg = get_msg


def know_provisioner() -> None:
    """Let Jupyter find our provisioner in this process without a look at the metadata of every installed package."""
    factory: Any = KernelProvisionerFactory.instance()
    for known in (_Known(NAME, WarmProvisioner), _Known("local-provisioner", LocalProvisioner)):
        factory.provisioners.setdefault(known.name, known)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the entry point of a provisioner would be."""

    name: str
    provisioner: type[LocalProvisioner]

    def load(self) -> type[LocalProvisioner]:
        return self.provisioner
