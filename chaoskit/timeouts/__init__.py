"""Timers of proxies and servers: read from their configurations, checked against each other."""
