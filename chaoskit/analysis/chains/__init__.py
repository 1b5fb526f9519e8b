"""Computes what the hops of requests did: chains, critical paths, retrieval, admission, failover."""
