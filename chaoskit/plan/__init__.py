"""What an experiment will do to a kernel, decided without touching one."""
