"""Compiles experiments, injections and exec commands to plans, without touching a kernel."""
