"""Tests of schedules that need something reviewed find it where the tests of reviews have it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "review"))
