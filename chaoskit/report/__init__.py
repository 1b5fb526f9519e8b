"""A result, a plan or a run under way, shown to people and to machines."""
