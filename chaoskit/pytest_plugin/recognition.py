"""Recognises experiment and suite files by the keys at the left margin, without loading YAML.

A repository has many YAML files. One is an experiment if its first key is one of an experiment's, and at least two of
those that every experiment has are in it: a file with a misspelt key is still recognised, and its error is shown.
"""

from __future__ import annotations

import os
import re
import stat
from fnmatch import fnmatch
from pathlib import Path

KEYS = frozenset(
    {
        "name",
        "question",
        "stage",
        "workload",
        "classes",
        "workloads",
        "client",
        "server",
        "faults",
        "timeline",
        "repeats",
        "order",
        "telemetry",
        "evidence",
        "objectives",
        "seed",
        "matrix",
    }
)
"""The keys of an experiment file; a test compares them with its schema, which takes long to import."""

SUITE_KEYS = frozenset(
    {"name", "owner", "experiments", "order", "seed", "budget", "abort", "before", "after", "fail-on", "notify"}
)
"""The same of a suite file."""

_IN_EVERY = frozenset({"question", "stage", "workload", "timeline"})
_ENOUGH = 2
_MOST = 1 << 18  # bytes of a file that are looked at
_KEY = re.compile(rb"^([A-Za-z][\w-]*):(?:\s|$)", re.MULTILINE)
_BEGIN = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\n]*)?\r?\n|(?:---|%)[^\n]*\n)*([A-Za-z][\w-]*):(?:\s|$)")


def is_experiment(path: Path) -> bool:
    """Whether this is an experiment file. Never waits, and is False for what cannot be read."""
    first, found = _keys(path)
    return first in KEYS and len(found & _IN_EVERY) >= _ENOUGH


def is_suite(path: Path) -> bool:
    """Whether this is a suite file, in the same way."""
    first, found = _keys(path)
    return first in SUITE_KEYS and "experiments" in found and not found & _IN_EVERY


def _keys(path: Path) -> tuple[str, set[str]]:
    """The first key of a file, and all that stand at its left margin."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return "", set()
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "", set()
        begin = os.read(descriptor, _MOST)
    finally:
        os.close(descriptor)
    first = _BEGIN.match(begin)
    return (first[1].decode() if first else ""), {key.decode() for key in _KEY.findall(begin)}


def is_named(path: Path, patterns: list[str], root: Path) -> bool:
    """Whether a pattern fits its name or, with a slash in it, its path below `root`."""
    below = os.path.relpath(path, root)
    return any(fnmatch(below if "/" in pattern else path.name, pattern) for pattern in patterns)
