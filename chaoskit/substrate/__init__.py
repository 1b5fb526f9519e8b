"""Where an experiment runs: in this kernel, or in a guest kernel that is a program of its own."""
