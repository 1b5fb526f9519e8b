"""Says what the exit codes mean, at the end of the help."""

EXIT_CODES = """Exit codes: 0 objectives met, or none given; 1 an objective not met; 2 invalid file or options; 3
nothing could be measured, or this machine cannot do it; 4 changes not restored; 5 undecided; 70 a mistake in chaoskit;
130 and 143 interrupted."""
