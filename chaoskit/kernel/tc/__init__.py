"""Reads and writes qdiscs, filters and actions over rtnetlink; see tc(8)."""
