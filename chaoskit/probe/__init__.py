"""The streaming probe: asks as a user would, stamps what comes where the kernel received it."""
