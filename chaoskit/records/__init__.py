"""What a run writes down while it happens, once, and everything else is computed from."""
