"""Explanations as pictures: static SVG that says its numbers in words, too, and needs neither script nor net."""

from .many_rows import beeswarm, importance
from .one_feature import dependence
from .one_row import bars, waterfall

__all__ = ["bars", "beeswarm", "dependence", "importance", "waterfall"]
