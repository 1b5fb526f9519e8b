"""The report as one HTML file: it loads nothing, runs nothing but its own scripts, and can be forwarded as it is."""
