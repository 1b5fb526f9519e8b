"""One file for each command: its words, its options, its exit code."""
