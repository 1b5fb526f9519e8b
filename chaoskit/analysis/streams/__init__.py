"""Streams put together from raw records: tokens, gaps, latencies, and the phase that each belongs to."""
