"""How much memory eight kernels take that have imported what the notebooks import."""

from __future__ import annotations

from .cases import MEMORY
from .contenders import NBPROOF_KERNEL, STOCK_KERNEL, Driver
from .measuring import memory_mib
from .notebooks import HEAVY
from .results import Results

KERNELS = 8


def measure_memory(results: Results) -> None:
    source = "\n".join(f"import {name}" for name in HEAVY)
    stock = _kernels_mib("papermill", STOCK_KERNEL, source)
    results.add_figure(MEMORY, "stock kernels", "memory_mib", stock)
    results.add_figure(MEMORY, "nbproof in a process", "memory_mib", _kernels_mib("nbproof", NBPROOF_KERNEL, source))


def _kernels_mib(mode: str, kernel: str, source: str) -> float:
    """What the kernels take, and whatever else runs for them; the process that asked for them is not counted."""
    driver = Driver(f"memory {mode}", mode)
    try:
        driver.ask({"kernels": KERNELS, "kernel": kernel, "source": source})
        return memory_mib([pid for pid in driver.account.processes() if pid != driver.pid])
    finally:
        driver.close()
