"""What the network did: which faults came about, what sockets and counters say, whose fault a stall was."""
