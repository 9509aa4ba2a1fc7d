"""Watching a notebook run: what each cell reads, binds, changes, shows, draws and touches, cell by cell."""
