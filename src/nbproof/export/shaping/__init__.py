"""From cells to functions: what belongs together, what it takes and gives, and what stands for itself."""
