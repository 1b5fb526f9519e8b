"""Runs a suite of experiments: in parallel in virtual time, resumable, with one summary and one exit code."""
