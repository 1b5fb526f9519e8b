"""Runs experiments for the command line and for other programs, from planning to the result."""
