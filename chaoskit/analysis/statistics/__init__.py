"""Computes metrics with their intervals, and compares phases."""
