"""Shows results, plans, leases and running experiments to people and to programs."""
