"""Where jobs run, one module each; all have the same inside."""
