"""Computes metrics with their 95 % intervals: quantiles, exact intervals, bootstrap, comparisons."""
