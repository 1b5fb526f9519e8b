"""Analyses the network: whether faults were achieved, path MTU trouble, what stands in between."""
