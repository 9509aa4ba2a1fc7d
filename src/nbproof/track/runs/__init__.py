"""Tracked runs, read: listed page by page, looked at one by one, set side by side, opened and restored."""
