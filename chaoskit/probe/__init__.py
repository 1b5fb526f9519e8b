"""The streaming probe: sends requests as a user would, and stamps responses with kernel receive times."""
