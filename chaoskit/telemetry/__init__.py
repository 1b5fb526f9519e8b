"""Receives the spans of programs over OTLP/HTTP, and finds out which hop of a request each of them is."""
