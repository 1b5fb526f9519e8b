"""Derives independent random generators from the seed in the experiment file.

Each use of randomness has its own generator by name, so that adding one does not change the others:
`source(42, "arrivals")` and `source(42, "first-token", 7)` are independent and repeatable, on every
machine and Python version (SHA-256 and the Mersenne Twister are fixed by their standards).
"""

from __future__ import annotations

import hashlib
import random

Random = random.Random
"""A generator."""


def derive(seed: int, *names: str | int) -> int:
    """A 64-bit number that depends on the seed and on every name, in order."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def source(seed: int, *names: str | int) -> random.Random:
    """The random generator for these names."""
    return random.Random(derive(seed, *names))
