"""Conducts an experiment in this kernel, from its plan to its records: builds, measures, restores."""
