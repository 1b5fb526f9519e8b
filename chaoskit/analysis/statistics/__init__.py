"""Computes metrics with their 95 % intervals, and compares phases."""
