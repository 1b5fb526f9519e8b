"""The streaming probe: sends requests, and stamps responses with kernel receive times."""
