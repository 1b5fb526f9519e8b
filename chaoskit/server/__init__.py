"""The reference server: a model that always says the same thing at the same time."""
