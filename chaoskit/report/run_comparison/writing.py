"""Writes a comparison in the format that was asked for, to standard output or to a file."""
