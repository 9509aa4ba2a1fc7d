"""What a kernel says while a cell runs: folded, masked and bounded for the notebook, and told on as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from ...notebook.secrets import masker, spellings
from ...records import OutputCaps
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

Tell = Callable[[str, str, str], None]


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
        vars(self).pop("json_lines", None)

    def size(self) -> int:
        """About how many bytes it takes in a file. The JSON that is written for that is remembered."""
        data = self.get("data", {})
        lines = {kind: json_line(value) for kind, value in data.items() if not isinstance(value, str)}
        # An attribute, no item: it is no part of the output.
        vars(self)["json_lines"] = lines
        texts = (*lines.values(), *filter(_is_text, data.values()), *self.get("traceback", ()))
        return OVERHEAD_BYTES + sum(map(size_of, texts))


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
        size = output.size()
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
        size = Output.of(data=data, metadata=metadata).size()
        if size > self._head_bytes:
            note = self._note(size, "this output")
            return note["data"], note["metadata"]
        return data, metadata

    def error(self, output: Output) -> None:
        """Take an error in: whatever else is left out, an error is not."""
        if self._secrets.values:
            output = Output.of(**self._secrets.mask(dict(output)))
        self._close_tail()
        self._add(output, output.size())
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


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


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
