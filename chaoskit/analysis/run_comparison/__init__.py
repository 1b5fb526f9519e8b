"""Compares runs with one another: two releases, two settings, before and after."""
