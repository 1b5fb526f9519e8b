"""Simulates an inference engine: requests that queue, run in one batch, and are preempted."""
