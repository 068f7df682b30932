"""Models, GPU sizes and the arithmetic between them. Data files and pure functions, no I/O else."""
