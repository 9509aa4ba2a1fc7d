"""What a kernel says while a cell runs: folded, masked and bounded for the notebook, and told on as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import zmq
from nbclient.exceptions import CellExecutionComplete, DeadKernelError
from nbclient.util import run_sync
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient

from ..notebook.secrets import masker, spellings
from ..records import OutputCaps
from .death import Death, OomKills, peak_mb, peak_of_children_mb
from .outputs import Fold, Tail, Veil, cut, size_of
from .writing import json_line

# Of what is kept of a runaway cell, this share is the end of it; the rest is the beginning.
TAIL_SHARE = 0.1
# A note, an empty output and whatever surrounds them are counted with so many bytes.
OVERHEAD_BYTES = 200
# However much a notebook has said already, a cell may say so much.
LEAST_BYTES = 4000
TELL_EVERY_S = 0.1
# The longest text of one event, in characters: the runner reads events whole.
TOLD_AT_ONCE = 1 << 14
TAKEN_AT_ONCE = 256
# What a kernel had sent before it died arrives within this time.
LAST_MESSAGES_S = 0.5

Tell = Callable[[str, str, str], None]


class KernelDied(DeadKernelError):
    """A kernel ended while it ran a cell; the message says how."""


class Output(NotebookNode):
    """An output whose data is left as it came: turning it into notebook nodes takes longer than all the rest."""

    @classmethod
    def of(cls, **values: Any) -> Output:
        output = cls()
        dict.update(output, values)
        return output

    def replace_data(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        """Show something else in the same place."""
        dict.update(self, data=data, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The values that must not be seen, and what hides them."""

    values: tuple[str, ...] = ()
    mask: Callable[[Any], Any] = lambda value: value
    spellings: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: tuple[str, ...]) -> Secrets:
        return cls(values, masker(values), spellings(values))

    def veil(self) -> Veil:
        return Veil(self.spellings, self.mask)


@dataclass(slots=True)
class Allowance:
    """What a notebook may still say. `kept` counts the bytes of the cells before."""

    caps: OutputCaps
    kept: int = 0

    @property
    def left(self) -> int:
        return self.caps.notebook_bytes - self.kept

    @property
    def of_next_cell(self) -> int:
        return min(self.caps.cell_bytes, max(self.left, min(LEAST_BYTES, self.caps.cell_bytes)))

    def why(self) -> str:
        """The setting that bounds the next cell, as one would write it."""
        if self.caps.cell_bytes <= self.left:
            return f"cell_output_bytes={self.caps.cell_bytes}"
        return f"notebook_output_bytes={self.caps.notebook_bytes}"


@dataclass(slots=True)
class _Stream:
    """One stream between two other outputs. `node` is None when it began after the cap was reached."""

    name: str
    node: Output | None
    veil: Veil
    fold: Fold = field(default_factory=Fold)
    pieces: list[str] = field(default_factory=list)


class CellOutputs:
    """The outputs of one cell as they come, in `outputs`, which is the list that the cell itself holds.

    Texts of one stream are one output until something else is displayed. With secrets they are one output for the
    whole cell: a secret that was printed in two halves can be recognised only as a whole.
    """

    def __init__(self, outputs: list[Any], allowance: Allowance, secrets: Secrets, follower: Follower) -> None:
        self.outputs, self._allowance, self._secrets, self._follower = outputs, allowance, secrets, follower
        self._why = allowance.why()
        at_most = allowance.of_next_cell
        self._tail_bytes = int(at_most * TAIL_SHARE)
        self._head_bytes = at_most - self._tail_bytes
        follower.bound(self._head_bytes, self._tail_bytes, lambda size: self._note_text(size, "this cell's output"))
        self.clear()

    def clear(self) -> None:
        """Begin again, as `clear_output` asks for."""
        self.outputs.clear()
        self._streams: dict[str, _Stream] = {}
        self._kept = 0
        self._tail: Tail | None = None

    def stream(self, name: str, text: str) -> None:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = _Stream(name, self._new_node(name), self._secrets.veil())
        self._keep(stream, stream.veil.feed(stream.fold.feed(text)))
        self._follower.hear(name, text)

    def display(self, output: Output) -> bool:
        """Take a whole output in, or a note in its place; return whether it is the last of `outputs` now."""
        if self._secrets.values:
            output = Output.of(**self._secrets.mask(dict(output)))
        size = _size_of(output)
        self._follower.hear("display", _plain_text(output))
        room = (self._head_bytes - self._kept) if self._tail is None else self._tail_bytes
        if size > room:
            output, size = self._note(size, "this output"), OVERHEAD_BYTES
        if self._tail is None and size <= room:
            self._add(output, size)
            return True
        if self._tail is None:
            self._tail = Tail(self._tail_bytes)
        self._tail.add(output, size)
        return False

    def replacement(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[Any, Any]:
        """What an update of something displayed may put there."""
        data, metadata = self._secrets.mask(data), self._secrets.mask(metadata)
        size = _size_of({"data": data, "metadata": metadata})
        if size > self._head_bytes:
            note = self._note(size, "this output")
            return note["data"], note["metadata"]
        return data, metadata

    def error(self, output: Output) -> None:
        """Take an error in: whatever else is left out, an error is not."""
        if self._secrets.values:
            output = Output.of(**self._secrets.mask(dict(output)))
        self._close_tail()
        self._add(output, _size_of(output))
        self._follower.hear("error", "\n".join(map(str, output["traceback"])) + "\n")

    def settle(self) -> None:
        """Let `outputs` say what has come so far, for a save in between."""
        for stream in self._streams.values():
            # What is veiled cannot be shown before the stream has ended.
            if stream.node is not None:
                rest = "" if self._tail or self._secrets.values else stream.fold.rest()
                stream.node["text"] = "".join([*stream.pieces, rest])

    def close(self) -> None:
        """Nothing more will come."""
        self._close_tail()
        self._allowance.kept += self._kept
        self._follower.close()

    def _new_node(self, name: str) -> Output | None:
        if self._tail is not None:
            return None
        node = Output.of(name=name, output_type="stream", text="")
        self.outputs.append(node)
        self._kept += OVERHEAD_BYTES
        return node

    def _add(self, output: Output, size: int) -> None:
        if not self._secrets.values:
            self._close_streams()
        self.outputs.append(output)
        self._kept += size

    def _keep(self, stream: _Stream, text: str) -> None:
        if self._tail is None:
            size = size_of(text)
            if self._kept + size <= self._head_bytes:
                stream.pieces.append(text)
                self._kept += size
                return
            head, text = cut(text, max(0, self._head_bytes - self._kept))
            stream.pieces.append(head)
            self._kept += size_of(head)
            self._tail = Tail(self._tail_bytes)
        self._tail.add_text(stream.name, text)

    def _close_streams(self) -> None:
        for stream in self._streams.values():
            self._keep(stream, stream.veil.feed(stream.fold.rest()) + stream.veil.lift())
            if stream.node is not None:
                stream.node["text"] = "".join(stream.pieces)
        self._streams.clear()

    def _close_tail(self) -> None:
        self._close_streams()
        if self._tail is None:
            return
        tail, self._tail = self._tail, None
        ending: list[Any] = [
            Output.of(name=name, output_type="stream", text=thing) if name else thing for name, thing in tail
        ]
        if tail.left_out:
            ending.insert(0, self._note(tail.left_out, "this cell's output"))
        self.outputs += ending
        self._kept += tail.size

    def _note_text(self, size: int, of_what: str) -> str:
        setting = self._why.partition("=")[0]
        return (
            f"… {size:,} bytes of {of_what} are left out here ({self._why}; to keep more, raise `{setting}` in "
            f"[tool.nbproof] or NBPROOF_{setting.upper()})"
        )

    def _note(self, size: int, of_what: str) -> Output:
        text = self._note_text(size, of_what)
        return Output.of(
            output_type="display_data", data={"text/plain": text}, metadata={"nbproof": {"left_out_bytes": size}}
        )


class Follower:
    """Tells on what a cell says, line by line, in order, and not more often than every tenth of a second.

    It keeps to the same bounds as the notebook: the end of a runaway cell is told when the cell has ended.
    """

    def __init__(self, tell: Tell, secrets: Secrets) -> None:
        self._tell, self._secrets = tell, secrets
        self._streams: dict[str, tuple[Fold, Veil]] = {}
        self._pending: list[tuple[str, str]] = []
        self._begun: dict[str, str] = {}
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._room, self._tail_bytes = OutputCaps().cell_bytes, 0
        self._note: Callable[[int], str] = str
        self._tail: Tail | None = None

    def bound(self, head_bytes: int, tail_bytes: int, note: Callable[[int], str]) -> None:
        """Let no more through than this; `note` says how many bytes are left out."""
        self._room, self._tail_bytes, self._note = head_bytes, tail_bytes, note

    def hear(self, stream: str, text: str) -> None:
        if not text:
            return
        if stream == "error":
            self._end_lines()
            self._pending.append((stream, text))
        else:
            if stream not in self._streams:
                self._streams[stream] = Fold(is_eager=True), self._secrets.veil()
            fold, veil = self._streams[stream]
            self._add(stream, veil.feed(fold.feed(text)))
        if self._waiting > TOLD_AT_ONCE:
            self.tell()
        elif self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(TELL_EVERY_S, self.tell)
            except RuntimeError:
                self.tell()

    def tell(self) -> None:
        """Tell what is pending now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending, self._waiting = self._pending, [], 0
        for stream, text in _joined(pending):
            for start in range(0, len(text), TOLD_AT_ONCE):
                self._tell(stream, text[start : start + TOLD_AT_ONCE], "")
        # Half a secret cannot be recognised: with secrets only whole lines are told.
        if not self._secrets.values:
            for stream, (fold, _) in self._streams.items():
                if line := self._begun.get(stream, "") + fold.line:
                    self._tell(stream, "", line[-TOLD_AT_ONCE:])

    def close(self) -> None:
        """The cell has ended, and so have all its lines."""
        self._end_lines()
        self.tell()

    def _add(self, stream: str, text: str) -> None:
        """Let whole lines through; what has not ended waits for its end, unless it is very long."""
        text = self._begun.pop(stream, "") + text
        end = len(text) if len(text) > TOLD_AT_ONCE and "\n" not in text else text.rfind("\n") + 1
        if text[end:]:
            self._begun[stream] = text[end:]
        self._let_through(stream, text[:end])

    def _let_through(self, stream: str, text: str) -> None:
        if self._tail is None:
            head, text = cut(text, self._room)
            self._room -= size_of(head)
            self._waiting += len(head)
            if text and head and not head.endswith("\n"):
                head += "\n"
            if head:
                self._pending.append((stream, head))
        if text:
            self._tail = self._tail or Tail(self._tail_bytes)
            self._tail.add_text(stream, text)

    def _end_lines(self) -> None:
        for stream, (fold, veil) in self._streams.items():
            self._add(stream, veil.feed(fold.rest()) + veil.lift())
            if begun := self._begun.pop(stream, ""):
                self._let_through(stream, f"{begun}\n")
        self._streams.clear()
        if self._tail is not None:
            tail, self._tail, self._room = self._tail, None, 0
            if tail.left_out:
                self._pending.append(("display", f"{self._note(tail.left_out)}\n"))
            self._pending += [(stream, str(text)) for stream, text in tail]


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


def _size_of(output: Mapping[str, Any]) -> int:
    """About how many bytes an output takes in a file."""
    size = OVERHEAD_BYTES
    for value in (*output.get("data", {}).values(), *output.get("traceback", ())):
        size += size_of(value if isinstance(value, str) else json_line(value))
    return size


def _plain_text(output: Mapping[str, Any]) -> str:
    text = output["data"].get("text/plain", "")
    text = text if isinstance(text, str) else "".join(map(str, text))
    return text if not text or text.endswith("\n") else f"{text}\n"


def _joined(pending: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Texts of one stream that follow one another, as one."""
    joined: list[tuple[str, list[str]]] = []
    for stream, text in pending:
        if joined and joined[-1][0] == stream:
            joined[-1][1].append(text)
        else:
            joined.append((stream, [text]))
    return [(stream, "".join(texts)) for stream, texts in joined]
