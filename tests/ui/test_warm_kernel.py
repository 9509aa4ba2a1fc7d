"""The warm kernelspec in JupyterLab's own interface, beside the usual one: both pass the same tests."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from lab_server import USUAL, WARM, Lab, is_gone, is_warm, jupyter_lab, stop, wait_until
from notebook_page import NotebookPage, open_notebook
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

SPECS = pytest.mark.parametrize("spec", [USUAL, WARM])
TITLES = {USUAL: "Python 3 (ipykernel)", WARM: "Python 3 (nbproof, warm)"}
DEATHS = {
    "exit": "import os\nos._exit(1)",
    "SIGSEGV": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
}
Opener = Callable[..., NotebookPage]


@pytest.fixture
def opened(lab: Lab, page: Page, request: pytest.FixtureRequest) -> Opener:
    """Opens a notebook of some cells whose kernel is of a spec."""

    def open_one(spec: str, *cells: str) -> NotebookPage:
        name = re.sub(r"\W+", "_", request.node.name).strip("_") + ".ipynb"
        return open_notebook(page, lab, lab.write(name, spec, *cells))

    return open_one


@SPECS
def test_the_launcher_starts_a_kernel(lab: Lab, page: Page, spec: str, record_property: Callable[..., None]) -> None:
    """Its card opens a notebook whose first cell answers; how long that takes is recorded, twice."""
    page.goto(f"{lab.address}/lab?token={lab.token}&reset")
    card = page.locator(f'.jp-LauncherCard[data-category="Notebook"][title="{TITLES[spec]}"]')
    for number in range(2):
        if number:
            page.keyboard.press("Control+Shift+L")
        card.wait_for()
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)
        began = time.monotonic()
        card.click()
        notebook = NotebookPage(page, "Untitled")
        notebook.cell(0).locator(".cm-content").click()
        page.keyboard.type(f"print('first', 'output', {number})")
        notebook.is_ready()
        page.keyboard.press("Control+Enter")
        expect(notebook.output(0)).to_have_text(f"first output {number}")
        seconds = time.monotonic() - began
        record_property(f"{spec} {number}", f"{seconds:.2f}")
        print(f"{spec}: from the click to the first output {seconds:.2f} s")

    expect(notebook.panel.locator(".jp-KernelName")).to_have_text(TITLES[spec])


@SPECS
def test_a_cell_runs(lab: Lab, opened: Opener, spec: str) -> None:
    """Its output appears; with the warm spec, a fork has computed it."""
    notebook = opened(spec, "print('hello', 6 * 7)")

    notebook.run(0)

    notebook.has_run(0, 1)
    expect(notebook.output(0)).to_have_text("hello 42")
    expect(notebook.panel.locator(".jp-KernelName")).to_have_text(TITLES[spec])
    assert is_warm(lab.kernel_of(notebook.name)) == (spec == WARM)


@SPECS
def test_tab_completes(opened: Opener, spec: str) -> None:
    """Tab offers what the kernel knows of an object, and the choice is inserted."""
    notebook = opened(spec, "from types import SimpleNamespace\nplant = SimpleNamespace(leaf_area=1, leaf_count=2)", "")
    notebook.run(0)
    notebook.has_run(0, 1)

    notebook.cell(1).locator(".cm-content").click()
    notebook.page.keyboard.type("plant.leaf_")
    notebook.page.keyboard.press("Tab")

    offers = notebook.page.locator(".jp-Completer-item .jp-Completer-match")
    expect(offers).to_have_text(["leaf_area", "leaf_count"])
    notebook.page.locator(".jp-Completer-item", has_text="leaf_count").click()
    expect(notebook.cell(1).locator(".cm-content")).to_have_text("plant.leaf_count")


@SPECS
def test_plots_and_widgets_appear(opened: Opener, spec: str) -> None:
    """A plot is drawn in the page, and a slider that is moved there moves in the kernel."""
    notebook = opened(
        spec,
        "import matplotlib.pyplot as plt\n_ = plt.plot([1, 4, 9])",
        "import ipywidgets\nslider = ipywidgets.IntSlider(value=7)\nslider",
        "slider.value",
    )

    notebook.run(0)
    plot = notebook.cell(0).locator(".jp-RenderedImage img")
    plot.wait_for()
    assert plot.evaluate("image => image.naturalWidth") > 100

    notebook.run(1)
    handle = notebook.cell(1).locator(".widget-slider .noUi-handle")
    handle.focus()
    notebook.page.keyboard.press("ArrowRight")
    expect(notebook.cell(1).locator(".widget-readout")).to_have_text("8")
    notebook.run(2)
    expect(notebook.output(2)).to_have_text("8")


@SPECS
def test_the_stop_button_interrupts(opened: Opener, spec: str) -> None:
    """A cell that sleeps ends with KeyboardInterrupt, and the kernel is as it was."""
    notebook = opened(spec, "import time\nvalue = 3\nprint('asleep')\ntime.sleep(600)", "value")
    notebook.run(0)
    expect(notebook.output(0)).to_have_text("asleep")

    notebook.press("interrupt-kernel")

    expect(notebook.output(0).last).to_contain_text("KeyboardInterrupt")
    notebook.run(1)
    notebook.has_run(1, 2)
    expect(notebook.output(1)).to_have_text("3")


@SPECS
def test_the_restart_button_restarts(lab: Lab, opened: Opener, spec: str) -> None:
    """After the question, another kernel knows nothing and counts from one; its start is of the same kind."""
    notebook = opened(spec, "value = 41", "value")
    notebook.run(0)
    notebook.has_run(0, 1)
    first = lab.kernel_of(notebook.name)

    notebook.press("restart-kernel")
    notebook.answer("Restart Kernel?", "Confirm Kernel Restart")

    wait_until(lambda: is_gone(first), "the first kernel has ended")
    notebook.is_ready()
    notebook.run(1)
    notebook.has_run(1, 1)
    expect(notebook.output(1).last).to_contain_text("NameError")
    assert is_warm(lab.kernel_of(notebook.name)) == (spec == WARM)


@SPECS
def test_the_debugger_stops_at_a_breakpoint(opened: Opener, spec: str) -> None:
    """The kernel stops where it was told to, shows its variables, and goes on when it is told to."""
    notebook = opened(spec, "first = 20\nsecond = first + 1\nprint('the sum is', first + second)")
    page = notebook.page
    notebook.turn_debugger_on()
    page.locator(".jp-DebuggerSidebar").wait_for()
    notebook.cell(0).locator(".cm-breakpoint-gutter .cm-gutterElement").nth(3).click()
    notebook.cell(0).locator(".cm-breakpoint-icon").last.wait_for()

    notebook.run(0)

    callstack = page.locator(".jp-DebuggerCallstack")
    expect(callstack.locator(".jp-DebuggerCallstack-body li")).not_to_have_count(0)
    variables = page.locator(".jp-DebuggerVariables")
    expect(variables.get_by_text("second", exact=True).first).to_be_visible()
    expect(notebook.output(0)).to_have_count(0)
    page.locator('[data-command="debugger:continue"]').click()
    expect(notebook.output(0)).to_have_text("the sum is 41")
    notebook.has_run(0, 1)


@SPECS
def test_the_panel_of_running_kernels_shuts_down(lab: Lab, opened: Opener, spec: str) -> None:
    """A kernel that is shut down there leaves the list, and its process ends."""
    notebook = opened(spec, "print('here')")
    notebook.run(0)
    notebook.has_run(0, 1)
    kernel = lab.kernel_of(notebook.name)

    notebook.page.get_by_role("tab", name="Running Terminals and Kernels").click()
    button = notebook.page.locator('.jp-RunningSessions-item [title="Shut Down"]')
    button.locator("xpath=..").hover()
    button.click()

    wait_until(lambda: is_gone(kernel), "the kernel has ended")
    expect(notebook.panel.locator(".jp-KernelName")).to_have_text("No Kernel")
    assert [found for found in lab.ask("sessions") if found["path"] == notebook.name] == []


@SPECS
@pytest.mark.parametrize("death", sorted(DEATHS))
def test_a_dead_kernel_is_replaced(lab: Lab, opened: Opener, spec: str, death: str) -> None:
    """JupyterLab says that the kernel died, and another of the same kind answers the next cell."""
    notebook = opened(spec, DEATHS[death], "print('alive')")
    first = lab.kernel_of(notebook.name)

    notebook.run(0)

    notebook.answer("Kernel Restarting", "Ok")
    assert is_gone(first)
    notebook.is_ready()
    notebook.run(1)
    notebook.has_run(1, 1)
    expect(notebook.output(1)).to_have_text("alive")
    assert is_warm(lab.kernel_of(notebook.name)) == (spec == WARM)


@SPECS
def test_two_notebooks_at_once_and_the_end_of_the_server(tmp_path: Path, page: Page, spec: str) -> None:
    """Each has its own values; when the server is closed, neither kernel is left."""
    with jupyter_lab(tmp_path / "own") as lab:
        one = open_notebook(page, lab, lab.write("one.ipynb", spec, "value = 'one'", "value"))
        two_page = page.context.new_page()
        two = open_notebook(two_page, lab, lab.write("two.ipynb", spec, "value = 'two'", "value"))
        for number in range(2):
            one.run(number)
            two.run(number)
        for notebook in (one, two):
            notebook.has_run(1, 2)
        expect(one.output(1)).to_have_text("'one'")
        expect(two.output(1)).to_have_text("'two'")
        kernels: list[psutil.Process] = [lab.kernel_of("one.ipynb"), lab.kernel_of("two.ipynb")]

        stop(lab)

        assert len({kernel.pid for kernel in kernels}) == 2
        wait_until(lambda: all(map(is_gone, kernels)), "both kernels have ended")
        two_page.close()
