"""Reads and writes knobs through netlink and /proc, and translates the kernel's errors."""
