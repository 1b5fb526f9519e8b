"""Runs an experiment at every combination of some values, with several seeds: side by side, resumable."""
