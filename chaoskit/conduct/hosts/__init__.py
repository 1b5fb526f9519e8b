"""Runs users' programs on the hosts of a lab."""
