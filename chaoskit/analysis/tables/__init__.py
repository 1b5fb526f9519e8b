"""A run as tables of numpy columns: what notebooks, pages and other programs read."""
