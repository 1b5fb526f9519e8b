"""Runs experiments in this kernel, or in a guest kernel (User-Mode Linux)."""
