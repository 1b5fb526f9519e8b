"""Reads what of a machine changes how TCP and this program behave: sysctls, offloads, clock, load.

What is a namespace's own is read in that of the calling thread.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from pyroute2.ethtool.ioctl import EthtoolError, IoctlEthtool, NotSupportedError

OWN = tuple(
    f"net.ipv4.tcp_{name}" for name in ("congestion_control", "sack", "timestamps", "rmem", "wmem", "mtu_probing")
)
"""Sysctls of which each namespace has its own."""
SHARED = ("net.core.rmem_max", "net.core.default_qdisc")
"""Those of which there is one, seen in the first namespace."""
_OFFLOADS = {"tso": "tx-tcp-segmentation", "gso": "tx-generic-segmentation", "gro": "rx-gro"}
_CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
_STEAL = 7  # its place among the times of all processors in /proc/stat, see proc(5)
_COUNTED = 8  # times; what guests took is a part of the first ones


def sysctls(names: tuple[str, ...]) -> dict[str, str]:
    """The values of those that this kernel has."""
    found = {name: _line(f"/proc/sys/{name.replace('.', '/')}") for name in names}
    return {name: " ".join(value.split()) for name, value in found.items() if value}


def offloads(link: str) -> dict[str, bool]:
    """Which of `tso`, `gso` and `gro` a link has, as ethtool tells them; empty where nobody tells."""
    try:
        with closing(IoctlEthtool(link)) as door:
            features = door.get_features()
    except (OSError, EthtoolError, NotSupportedError):
        return {}
    return {name: bool(features[feature]) for name, feature in _OFFLOADS.items() if feature in features}


def clock_source() -> str:
    """What the kernel reads the time from, such as tsc; "" where it does not tell."""
    return _line(_CLOCK_SOURCE)


def load() -> float:
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def processor_times() -> tuple[int, int]:
    """Of all processors since the start, in ticks: the time in all, and what the hypervisor gave to others."""
    times = [int(field) for field in _line("/proc/stat").split()[1 : 1 + _COUNTED]]
    return sum(times), times[_STEAL] if len(times) > _STEAL else 0


def _line(path: str) -> str:
    try:
        with Path(path).open() as file:
            return file.readline().strip()
    except OSError:
        return ""
