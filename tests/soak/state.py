"""Reads a network namespace's whole state as text that can be compared byte for byte.

Rules: what changes by itself is left out (counters, learned neighbours); everything that a run could have changed is
included.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass

_IP = (
    "link show",
    "address show",
    "rule show",
    "-6 rule show",
    "route show table all",
    "-6 route show table all",
    "neighbour show nud permanent",
    "netns list",
)
_COUNTERS = ("nf_conntrack_count",)
_PLACES = ("ingress", "egress", "root")


@dataclass(frozen=True)
class State:
    """The lines that each look gave: by `ip`, `tc`, `nft`, and of every file below /proc/sys/net."""

    lines: tuple[str, ...]

    def __sub__(self, other: State) -> list[str]:
        """What is here and not there (+), and there and not here (-)."""
        mine, theirs = Counter(self.lines), Counter(other.lines)
        return [f"+ {line}" for line in (mine - theirs).elements()] + [
            f"- {line}" for line in (theirs - mine).elements()
        ]


def look() -> State:
    """The state of this network namespace now. About 0.2 s in a guest."""
    links = [link["ifname"] for link in json.loads(_run("ip", "-j", "link", "show"))]
    tc = ["qdisc show"]
    for link in links:
        tc += [f"class show dev {link}", *(f"filter show dev {link} {place}" for place in _PLACES)]
    told = [
        *several("ip", _IP),
        *several("tc", tuple(tc)),
        *_run("nft", "list", "ruleset").splitlines(),
        *sysctls(),
    ]
    return State(tuple(told))


def several(tool: str, looks: tuple[str, ...]) -> list[str]:
    """What one process of a tool says to many questions."""
    said = subprocess.run(
        [tool, "-d", "-force", "-batch", "-"], input="\n".join(looks), capture_output=True, text=True, check=False
    )
    return said.stdout.splitlines()


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def sysctls() -> list[str]:
    """Every parameter and its value; for those that cannot be read, their error."""
    lines = []
    for folder, _, files in os.walk("/proc/sys/net"):
        for name in sorted(set(files) - set(_COUNTERS)):
            path = f"{folder}/{name}"
            try:
                fd = os.open(path, os.O_RDONLY)
            except OSError as error:
                lines.append(f"{path} {error.errno}")
                continue
            try:
                lines.append(f"{path} {os.read(fd, 65536).decode(errors='replace')}")
            except OSError as error:
                lines.append(f"{path} {error.errno}")
            finally:
                os.close(fd)
    return sorted(lines)
