"""Kernels to try things in, warm ones and cold ones, through Jupyter's own manager."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from nbproof.run.warm.preload import Preload
from nbproof.run.warm.provisioner import NAME, WarmProvisioner

PATIENCE_S = 120.0
HISTORY = "--HistoryManager.hist_file=:memory:"


@dataclass(slots=True)
class Said:
    """What one cell said: streams, results and errors as text, displayed data by their types."""

    text: str = ""
    error: str = ""
    types: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Live:
    """A kernel that runs."""

    manager: Any
    client: Any

    @property
    def is_warm(self) -> bool:
        return isinstance(self.manager.provisioner, WarmProvisioner) and self.manager.provisioner.is_warm

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)

    async def run(self, cell: str, timeout_s: float = PATIENCE_S) -> Said:
        said = Said()

        def hear(message: Mapping[str, Any]) -> None:
            content, kind = message["content"], message["msg_type"]
            if kind == "stream":
                said.text += content["text"]
            elif kind == "error":
                said.error = f"{content['ename']}: {content['evalue']}"
            elif kind in ("execute_result", "display_data"):
                said.types.extend(sorted(content["data"]))
                said.text += content["data"].get("text/plain", "") if kind == "execute_result" else ""

        await self.client.execute_interactive(cell, timeout=timeout_s, output_hook=hear, allow_stdin=False)
        return said

    async def restart(self) -> None:
        self.client.stop_channels()
        await self.manager.restart_kernel()
        await self.connect()

    async def connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        await self.client.wait_for_ready(timeout=PATIENCE_S)


@contextlib.asynccontextmanager
async def kernel(
    *imports: str,
    warm: bool = True,
    ahead: Preload | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    options: Sequence[str] = (HISTORY,),
    is_patient: bool = True,
) -> AsyncIterator[Live]:
    """A kernel for as long as the block lasts."""
    manager = AsyncKernelManager(kernel_name="python3")
    ahead = ahead or Preload(imports)
    config = {
        "imports": list(ahead.modules), "variables": dict(ahead.variables), "uses": dict(ahead.uses),
        "is_patient": is_patient,
    }  # fmt: skip
    if warm:
        manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": NAME, "config": config}
    started = {**os.environ, **(env or {})}
    await manager.start_kernel(extra_arguments=list(options), env=started, **({"cwd": str(cwd)} if cwd else {}))
    live = Live(manager, None)
    try:
        await live.connect()
        yield live
    finally:
        if live.client is not None:
            live.client.stop_channels()
        await manager.shutdown_kernel()


def said_by(*cells: str, **options: Any) -> list[Said]:
    """What each cell says in one fresh kernel."""

    async def one() -> list[Said]:
        async with kernel(*options.pop("imports", ()), **options) as live:
            assert live.is_warm == options.get("warm", True)
            return [await live.run(cell) for cell in cells]

    return asyncio.run(one())
