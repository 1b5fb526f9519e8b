"""Applies changes to a kernel and restores them: journal, lease, lock and watchdog."""
