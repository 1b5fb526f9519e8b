"""Runs the tiers in front of a model: the gateway, what it admits, and what its workflows call."""
