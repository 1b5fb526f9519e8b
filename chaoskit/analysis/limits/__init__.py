"""Finds the largest dose at which objectives hold, from runs that hold or break: pure, without a run."""
