"""Reads experiment files: their keys and values, and errors with file and line."""
