"""Defines, writes and reads the raw records of a run."""
