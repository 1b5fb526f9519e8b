"""Analyses the network: whether faults were achieved, path MTU trouble, the attribution of stalls."""
