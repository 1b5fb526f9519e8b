"""Says whose each stall is: the server's, the network's, the client's, or that of what is in between."""
