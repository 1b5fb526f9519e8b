"""The one door to a kernel: knobs in, netlink out, and chaoskit's own errors when the kernel says no."""
