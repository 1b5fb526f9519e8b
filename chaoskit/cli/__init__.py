"""Defines the commands: one module for each, with its options, help and exit code."""
