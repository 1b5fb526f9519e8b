"""Runs cells, which are runs of `chaoskit run` with values of their own, several at a time."""
