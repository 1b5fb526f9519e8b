"""What the kernel says about a fault while it is in force."""
