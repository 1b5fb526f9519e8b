"""Examines the path MTU to a host: how large packets may be, which router signals it, what TCP does."""
