"""Searches the largest dose at which the objectives of an experiment hold, by runs of it: `chaoskit limit`."""
