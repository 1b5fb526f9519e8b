"""The experiment file: its words, and what is wrong with them, with file and line."""
