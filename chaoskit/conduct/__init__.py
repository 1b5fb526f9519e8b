"""One experiment in this kernel, from its plan to its records: build, measure, put back."""
