"""Searches the hardest dose at which the objectives of an experiment hold."""
