"""Holds the guest kernel of chaoskit, the program `linux` beside this file. SOURCE.md says what it was built from."""
