"""A page as PDF, by a Chromium without a window and without a network."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from ..errors import ReportRefused
from ..files import write_atomically

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HINT = "apt-get install chromium; or print the HTML file from a browser"
LONGEST_S = 120
# No profile, no extension, no look-up of names: the file is whole in itself.
OPTIONS = (
    "--headless=new", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-pdf-header-footer",
)  # fmt: skip


def browser() -> str:
    """The Chromium of this machine; raises `ReportRefused` where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise ReportRefused("--pdf", ["found no Chromium; expected one of " + ", ".join(NAMES)], hint=HINT)
    return found


def printed(page: Path, pdf: Path) -> None:
    """Print `page` to `pdf`; raises `ReportRefused` where the browser does not."""
    found = browser()
    with tempfile.TemporaryDirectory(prefix="nbproof-pdf-", ignore_cleanup_errors=True) as scratch:
        made = Path(scratch) / "page.pdf"
        command = [found, *OPTIONS, *_unboxed(), f"--user-data-dir={scratch}/profile", f"--print-to-pdf={made}",
                   page.resolve().as_uri()]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
            said = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        except subprocess.TimeoutExpired:
            said = [f"it took longer than {LONGEST_S} s"]
        if not made.is_file() or not made.read_bytes().startswith(b"%PDF-"):
            raise ReportRefused(
                "--pdf", [f"`{found}` printed nothing: {' '.join(said) or 'it gave no reason'}"], hint=HINT
            )
        write_atomically(pdf, made.read_bytes())


def _unboxed() -> tuple[str, ...]:
    import os

    # Chromium refuses to run as root with its sandbox; the page holds no script, and its policy forbids any.
    return ("--no-sandbox",) if os.geteuid() == 0 else ()
