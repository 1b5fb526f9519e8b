"""Keeps the results of runs in one SQLite file, and reads series from it."""
