"""Runs a suite of experiments: in parallel in virtual time, resumable, with one exit code."""
