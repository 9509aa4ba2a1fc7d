"""Recording of every cell that a kernel runs: what runs in the kernel, and what reads what it wrote."""
