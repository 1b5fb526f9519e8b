"""How long each host of a service lab waits for the next: read from configurations, checked against each other."""
