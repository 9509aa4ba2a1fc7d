"""nbclient's client with ears of our own: outputs go to `listening`, and a kernel's death is told by its name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import zmq
from nbclient.client import CellExecutionComplete  # type: ignore[attr-defined]
from nbclient.exceptions import DeadKernelError
from nbclient.util import run_sync
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient

from ...records import OutputCaps
from .death import Death, OomKills, peak_mb, peak_of_children_mb
from .listening import Allowance, CellOutputs, Follower, Output, Secrets

# So many messages are taken from the kernel before timers, and the news of its death, get their turn.
TAKEN_AT_ONCE = 256
# What a kernel had sent before it died arrives within this time.
LAST_MESSAGES_S = 0.5


class KernelDied(DeadKernelError):
    """A kernel ended while it ran a cell; the message says how."""


class ListeningClient(PapermillNotebookClient):  # type: ignore[misc]
    """nbclient's client, but for what it does with outputs and with a kernel that dies.

    Its `nb_man` is a `NotebookLog`. `tell(cell, stream, text, line)` hears what each code cell says.
    """

    def __init__(
        self,
        log: Any,
        *,
        secrets: Secrets,
        caps: OutputCaps,
        tell: Callable[[int, str, str, str], None],
        last_words: Callable[[], str] = lambda: "",
        **options: Any,
    ) -> None:
        super().__init__(log, **options)
        self._secrets, self._tell, self._last_words = secrets, tell, last_words
        self._allowance = Allowance(caps)
        self._cell: CellOutputs | None = None
        self._peak_mb: int | None = None
        self._seen: set[str] = set()
        self._saving: asyncio.TimerHandle | None = None

    async def async_execute_cell(self, cell: NotebookNode, cell_index: int, *args: Any, **options: Any) -> Any:
        if cell.cell_type != "code":
            return await super().async_execute_cell(cell, cell_index, *args, **options)
        number = self.nb_man.number_of(cell_index)
        follower = Follower(lambda stream, text, line: self._tell(number, stream, text, line), self._secrets)
        outputs = CellOutputs([], self._allowance, self._secrets, follower)
        self._cell, self.nb_man.settle = outputs, outputs.settle
        seen_before, kills = frozenset(self._seen), OomKills.now()
        try:
            return await super().async_execute_cell(cell, cell_index, *args, **options)
        except DeadKernelError:
            self._bound_to(cell.outputs)
            await self._hear_last(cell, cell_index, seen_before)
            death = await self._death(cell.execution_count or number, kills)
            outputs.error(_error_of(death))
            self.nb_man.cell_exception(cell, cell_index=cell_index)
            raise KernelDied(str(death)) from None
        finally:
            outputs.close()
            if self._saving is not None:
                # The cell is complete and is saved as such; a later save might meet another notebook.
                self._saving.cancel()
                self._saving = None
            self.nb_man.settle = lambda: None

    execute_cell = run_sync(async_execute_cell)

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        self._seen.add(msg["parent_header"].get("msg_id"))
        try:
            return super().process_message(msg, cell, cell_index)
        finally:
            self._save_later()

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        if self._is_hooked(msg) or self._cell is None:
            return super().output(outs, msg, display_id, cell_index)
        heard = self._bound_to(outs)
        if self.clear_before_next_output:  # type: ignore[has-type]
            heard.clear()
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            heard.stream(content["name"], content["text"])
        elif kind == "error":
            heard.error(
                Output.of(
                    output_type=kind,
                    ename=content["ename"],
                    evalue=content["evalue"],
                    traceback=list(content["traceback"]),
                )
            )
        elif kind in ("display_data", "execute_result"):
            count = {"execution_count": content["execution_count"]} if kind == "execute_result" else {}
            output = Output.of(output_type=kind, data=content["data"], metadata=content["metadata"], **count)
            if heard.display(output) and display_id:
                places = self._display_id_map.setdefault(display_id, {}).setdefault(cell_index, [])
                places.append(len(outs) - 1)
        return None

    def clear_output(self, outs: list[NotebookNode], msg: dict[str, Any], cell_index: int) -> None:
        super().clear_output(outs, msg, cell_index)
        if self._cell is not None and not outs and not self._is_hooked(msg):
            self._bound_to(outs).clear()

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        if self._cell is None:
            return
        data, metadata = self._cell.replacement(msg["content"]["data"], msg["content"]["metadata"])
        for cell_index, places in self._display_id_map.get(display_id, {}).items():
            outputs = self.nb.cells[cell_index].outputs
            for place in places:
                outputs[place].replace_data(data, metadata)
            self.nb_man.touch(cell_index)

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: NotebookNode, cell_index: int) -> None:
        """Like nbclient's, but messages that wait are all taken at once: the loop costs more than a short message."""
        assert self.kc is not None
        channel = self.kc.iopub_channel
        while True:
            message = await channel.get_msg(timeout=None)
            for one in chain((message,), self._waiting(channel)):
                if one["parent_header"].get("msg_id") == parent_msg_id:
                    try:
                        self.process_message(one, cell, cell_index)
                    except CellExecutionComplete:
                        return

    def _waiting(self, channel: Any) -> Iterator[dict[str, Any]]:
        """The messages that have come already, up to so many that timers and the kernel's death get their turn."""
        socket: zmq.Socket[bytes] = zmq.Socket.shadow(channel.socket.underlying)
        for _ in range(TAKEN_AT_ONCE):
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            _, message = channel.session.feed_identities(parts)
            yield channel.session.deserialize(message)

    async def _async_poll_kernel_alive(self) -> None:
        sampling = asyncio.ensure_future(self._sample())
        try:
            await super()._async_poll_kernel_alive()
        finally:
            sampling.cancel()

    async def _sample(self) -> None:
        while True:
            self._peak_mb = peak_mb(self._kernel_pid()) or self._peak_mb
            await asyncio.sleep(1)

    def _kernel_pid(self) -> int | None:
        provisioner = getattr(self.km, "provisioner", None)
        process = getattr(provisioner, "process", None)
        pid = getattr(process, "pid", None) or getattr(provisioner, "pid", None)
        return pid if isinstance(pid, int) and pid > 0 else None

    def _is_hooked(self, msg: dict[str, Any]) -> bool:
        """Whether a widget takes the outputs of this message in."""
        return bool(self.output_hook_stack[msg["parent_header"].get("msg_id")])

    def _bound_to(self, outs: list[NotebookNode]) -> CellOutputs:
        assert self._cell is not None
        # nbclient gives a cell a new list when it begins.
        if self._cell.outputs is not outs:
            self._cell.outputs = outs
        return self._cell

    def _save_later(self) -> None:
        """Save when the clock says so, even if the kernel says nothing more until then."""
        if self._saving is None:
            pause_s = max(0.0, self.nb_man.next_save - time.monotonic())
            self._saving = asyncio.get_running_loop().call_later(pause_s, self._save)

    def _save(self) -> None:
        self._saving = None
        self.nb_man.autosave_cell()

    async def _hear_last(self, cell: NotebookNode, cell_index: int, seen_before: frozenset[str]) -> None:
        """Take in what the kernel had sent before it died."""
        assert self.kc is not None
        until = time.monotonic() + LAST_MESSAGES_S
        while time.monotonic() < until:
            try:
                message = await self.kc.iopub_channel.get_msg(timeout=0.1)
            # Empty, or whatever a broken channel says: there is no more.
            except Exception:
                return
            parent = message["parent_header"].get("msg_id")
            if parent and parent not in seen_before and message["msg_type"] != "status":
                self.process_message(message, cell, cell_index)

    async def _death(self, number: int, before: OomKills | None) -> Death:
        provisioner = getattr(self.km, "provisioner", None)
        status = getattr(getattr(provisioner, "process", None), "returncode", None)
        if not isinstance(status, int) and provisioner is not None:
            status = await provisioner.poll()
        peak = max(self._peak_mb or 0, peak_of_children_mb())
        said = self._secrets.mask(self._last_words())
        return Death(number, status if isinstance(status, int) else None, before, OomKills.now(), peak or None, said)


def _error_of(death: Death) -> Output:
    traceback = [str(death), *(line for line in death.said.splitlines()[-20:])]
    return Output.of(output_type="error", ename="KernelDied", evalue=str(death), traceback=traceback)
