"""Assembles streams from raw records: tokens, gaps, latencies, and the phase that each belongs to."""
