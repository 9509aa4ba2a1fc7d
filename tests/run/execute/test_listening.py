"""The outputs of one cell as they come: joined, bounded, masked, told on."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.notebook.secrets import MASK
from nbproof.records import OutputCaps
from nbproof.run.execute.listening import Allowance, CellOutputs, Follower, Output, Secrets

SECRET = "s3cret-token"


class Heard:
    """What a cell said, as its notebook keeps it and as it was told."""

    def __init__(self, caps: OutputCaps | None = None, secrets: tuple[str, ...] = ()) -> None:
        self.told: list[tuple[str, str, str]] = []
        found = Secrets.of(secrets)
        self.allowance = Allowance(caps or OutputCaps())
        self.follower = Follower(lambda *event: self.told.append(event), found)
        self.cell = CellOutputs([], self.allowance, found, self.follower)

    def outputs(self) -> list[Any]:
        self.cell.close()
        return [_short(output) for output in self.cell.outputs]

    def told_text(self) -> str:
        return "".join(text for _, text, _ in self.told)


def _short(output: Any) -> Any:
    if output["output_type"] == "stream":
        return output["name"], output["text"]
    return output["data"]["text/plain"] if "data" in output else output["ename"]


def shown(text: str, **data: Any) -> Output:
    return Output.of(output_type="display_data", data={"text/plain": text, **data}, metadata={})


def error() -> Output:
    return Output.of(output_type="error", ename="ValueError", evalue="no", traceback=["Traceback", "ValueError: no"])


def test_texts_are_joined_until_something_is_displayed() -> None:
    """Many small prints are one output, and a heading stays above its table."""
    heard = Heard()

    for text in ("a", "b\n"):
        heard.cell.stream("stdout", text)
    heard.cell.stream("stderr", "warning\n")
    heard.cell.stream("stdout", "c\n")
    heard.cell.display(shown("table"))
    heard.cell.stream("stdout", "d\n")

    assert heard.outputs() == [("stdout", "ab\nc\n"), ("stderr", "warning\n"), "table", ("stdout", "d\n")]
    assert heard.told_text() == "ab\nwarning\nc\ntable\nd\n"


def test_a_progress_bar_is_kept_in_its_last_state() -> None:
    """A thousand states are one line, in the notebook and in the log."""
    heard = Heard()

    for percent in range(101):
        heard.cell.stream("stderr", f"\r{percent:3} %")
    heard.cell.stream("stderr", "\n")

    assert heard.outputs() == [("stderr", "100 %\n")]
    assert heard.told_text() == "100 %\n"


def test_a_line_that_has_not_ended_is_told_as_it_stands() -> None:
    """Whoever follows sees the bar move."""
    heard = Heard()

    heard.cell.stream("stderr", "\r 10 %")
    heard.cell.stream("stderr", "\r 20 %")

    assert heard.told == [("stderr", "", " 10 %"), ("stderr", "", " 20 %")]


def test_a_save_in_between_shows_what_has_come() -> None:
    """Settling ends nothing: what comes later is added."""
    heard = Heard()
    heard.cell.stream("stdout", "one\ntw")

    heard.cell.settle()

    assert heard.cell.outputs[0]["text"] == "one\ntw"
    heard.cell.stream("stdout", "o\n")
    assert heard.outputs() == [("stdout", "one\ntwo\n")]


def test_clearing_begins_again() -> None:
    """`clear_output` takes everything back, and the bytes too."""
    heard = Heard(OutputCaps(10_000, 10_000))

    for _ in range(50):
        heard.cell.stream("stdout", "x" * 900)
        heard.cell.clear()
    heard.cell.stream("stdout", "last\n")

    assert heard.outputs() == [("stdout", "last\n")]


def test_the_middle_of_a_runaway_output_is_left_out() -> None:
    """Beginning and end stay; the note between them counts every byte and names the setting."""
    heard = Heard(OutputCaps(cell_bytes=10_000, notebook_bytes=1_000_000))
    lines = [f"line {number:04}\n" for number in range(5000)]

    for line in lines:
        heard.cell.stream("stdout", line)
    (_, head), note, (_, tail) = heard.outputs()

    whole = "".join(lines)
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) > 8000
    assert 900 < len(tail) <= 1000
    left_out = len(whole) - len(head) - len(tail)
    assert note == (
        f"… {left_out:,} bytes of this cell's output are left out here (cell_output_bytes=10000; to keep more, raise "
        "`cell_output_bytes` in [tool.nbproof] or NBPROOF_CELL_OUTPUT_BYTES)"
    )
    assert heard.cell.outputs[1]["metadata"] == {"nbproof": {"left_out_bytes": left_out}}
    assert heard.told_text().startswith(head)
    assert heard.told_text().endswith(tail[-800:])
    assert heard.told_text().count("bytes of this cell's output are left out here") == 1
    assert len(heard.told_text()) < 10_500


def test_what_just_fits_is_told_once() -> None:
    """The end of a cell is not told twice when nothing had to be left out."""
    heard = Heard(OutputCaps(cell_bytes=10_000, notebook_bytes=1_000_000))
    lines = [f"line {number:04}\n" for number in range(960)]

    for line in lines:
        heard.cell.stream("stdout", line)
    outputs = heard.outputs()

    assert "".join(text for _, text in outputs) == "".join(lines)
    assert heard.told_text().replace("\n", "") == "".join(lines).replace("\n", "")


def test_what_is_displayed_is_kept_whole_or_not_at_all() -> None:
    """An image above the cap becomes a note, and what comes after it is still kept."""
    heard = Heard(OutputCaps(cell_bytes=10_000, notebook_bytes=1_000_000))

    heard.cell.display(shown("figure", **{"image/png": "A" * 20_000}))
    heard.cell.display(shown("small", **{"image/png": "A" * 2000}))
    heard.cell.display(shown("data", **{"application/json": {"rows": list(range(9000))}}))
    first, second, third = heard.outputs()

    assert first.startswith("… 20,206 bytes of this output are left out here")
    assert second == "small"
    assert "of this output are left out here" in third


def test_an_error_is_never_left_out() -> None:
    """Whatever a cell printed before it failed, the failure is there, after the end of what it printed."""
    heard = Heard(OutputCaps(cell_bytes=1000, notebook_bytes=1000))

    heard.cell.stream("stdout", "x" * 100_000 + "\nthe end\n")
    heard.cell.error(error())
    outputs = heard.outputs()

    assert outputs[-1] == "ValueError"
    assert outputs[-2][1].endswith("the end\n")
    assert heard.told_text().endswith("the end\nTraceback\nValueError: no\n")


def test_a_notebook_has_a_bound_too_and_names_it() -> None:
    """When the notebook's bytes are used up, the next cell still says a little."""
    heard = Heard(OutputCaps(cell_bytes=50_000, notebook_bytes=60_000))
    heard.cell.stream("stdout", "x\n" * 25_000)
    heard.cell.close()
    second = CellOutputs([], heard.allowance, Secrets(), heard.follower)

    second.stream("stdout", "y\n" * 25_000)
    second.close()

    assert 44_000 < heard.allowance.kept <= 60_000
    assert "notebook_output_bytes=60000" in second.outputs[1]["data"]["text/plain"]
    third = CellOutputs([], heard.allowance, Secrets(), heard.follower)
    third.stream("stdout", "still said\n")
    third.close()
    assert third.outputs[0]["text"] == "still said\n"


def test_endless_output_takes_no_more_memory() -> None:
    """A hundred megabytes go by, and what is kept is what may be kept."""
    heard = Heard(OutputCaps(cell_bytes=100_000, notebook_bytes=100_000))
    heard.follower._tell = lambda *_: None
    tracemalloc.start()

    try:
        for _ in range(1000):
            heard.cell.stream("stdout", "x" * 99 + "\n" + "y" * 99_900)
            heard.cell.display(shown("z" * 1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 12_000_000
    assert sum(len(str(output)) for output in heard.outputs()) < 200_000


@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr", "display"]), st.text("ab\né\r", max_size=60)), max_size=30),
    st.integers(1, 2000),
)
def test_whatever_comes_the_cap_is_kept(said: list[tuple[str, str]], at_most: int) -> None:
    """Of texts, no more than the cap is kept, and a note says when something is missing."""
    heard = Heard(OutputCaps(at_most, at_most))

    for stream, text in said:
        if stream == "display":
            heard.cell.display(shown(text))
        else:
            heard.cell.stream(stream, text)
    heard.outputs()

    texts = [output["text"] for output in heard.cell.outputs if output["output_type"] == "stream"]
    kept = [output for output in heard.cell.outputs if "data" in output and "nbproof" not in output["metadata"]]
    assert sum(len(text.encode()) for text in texts) <= at_most
    assert sum(len(output["data"]["text/plain"].encode()) for output in kept) <= at_most


@pytest.mark.parametrize("at", range(len(SECRET)))
def test_a_secret_in_two_pieces_is_never_shown(at: int) -> None:
    """Neither the notebook nor whoever follows sees it, wherever it was cut, even with something shown in between."""
    heard = Heard(secrets=(SECRET,))

    heard.cell.stream("stdout", f"the token is {SECRET[:at]}")
    heard.cell.display(shown(f"between {SECRET}"))
    heard.cell.stream("stdout", f"{SECRET[at:]}\n")
    heard.cell.settle()
    outputs = heard.outputs()

    assert outputs == [("stdout", f"the token is {MASK}\n"), f"between {MASK}"]
    assert sorted(heard.told_text().splitlines()) == [f"between {MASK}", f"the token is {MASK}"]
    assert not any(line for _, _, line in heard.told)


def test_a_secret_at_the_cap_is_not_cut_in_half() -> None:
    """It is masked before anything is left out."""
    heard = Heard(OutputCaps(cell_bytes=1000, notebook_bytes=1000), secrets=(SECRET,))

    for _ in range(500):
        heard.cell.stream("stdout", SECRET)
    texts = "".join(output[1] for output in heard.outputs() if isinstance(output, tuple))

    assert set(texts) <= set(MASK)
    assert not any(piece in heard.told_text() for piece in ("s3c", "cre", "t-t", "oken"))
