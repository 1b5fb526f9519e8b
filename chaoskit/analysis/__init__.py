"""Computes a result from a run's raw records: pure functions, repeatable on any machine at any time."""
