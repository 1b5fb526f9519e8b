"""The main plots of a run by matplotlib: distributions, streams in time, the network in time."""
