"""What a worker does without."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import warnings
from jupyter_client import jsonutil
from nbproof.run.lean import read_dates_quickly

warnings.simplefilter("ignore")
texts = [
    "2026-03-01T09:30:00.123456Z", "2026-03-01T09:30:00+02:00", "2026-03-01T09:30:00.1Z", "2026-03-01T09:30:00",
    "2026-03-01", "20260301-0930", "12345678-aaaa-bbbb", "execute_input", "", "\\u0661\\u0662\\u0663\\u0664-1-1", None,
]
before = [jsonutil.parse_date(text) for text in texts]
read_dates_quickly()
read_dates_quickly()
assert jsonutil.parse_date.is_quick
assert [jsonutil.parse_date(text) for text in texts] == before
assert before[0].year == 2026
"""


def test_dates_of_messages_are_read_as_before() -> None:
    """The quick way and `dateutil` agree, on what is a date and on which."""
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)

    assert answer.returncode == 0, answer.stderr
