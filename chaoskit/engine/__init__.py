"""Apply and restore: read, write down, set, read back; later put back, in reverse, all of it, whatever fails."""
