"""Tests of a package that can fail: values at the boundaries of its steps, recorded once and compared type by type."""
