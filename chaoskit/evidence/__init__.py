"""Samples the kernel's counters while a fault is in force."""
