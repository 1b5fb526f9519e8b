"""Simulates an inference engine that batches requests continuously: who waits, who is preempted, how long a step takes."""
