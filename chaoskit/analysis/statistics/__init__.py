"""Computes metrics with their 95 % intervals: of shares, quantiles, sums over streams, and comparisons of phases."""
