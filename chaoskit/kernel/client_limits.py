"""Reads what this machine allows a client: open files, local ports, free memory."""

from __future__ import annotations

import resource
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from chaoskit.facts import ClientLimits

_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_REUSE = Path("/proc/sys/net/ipv4/tcp_tw_reuse")
_MEMORY = Path("/proc/meminfo")
_TIME_WAIT = 60  # s: TCP_TIMEWAIT_LEN, include/net/tcp.h
_REUSE_AFTER = 1  # s: a port in TIME_WAIT may be used again, net/ipv4/tcp_ipv4.c
_UNKNOWN = 2**62


def client_limits(host: str) -> ClientLimits:
    """The limits of this process's machine towards a host; what cannot be read is no limit."""
    first, last, reuse, free = 0, _UNKNOWN, "", _UNKNOWN
    with suppress(OSError, ValueError):
        first, last = map(int, _PORTS.read_text().split())
    with suppress(OSError):
        reuse = _REUSE.read_text().strip()
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in _MEMORY.read_text().splitlines() if line.startswith("MemAvailable:"))
        free = int(line.split()[1]) * 1024
    quickly = reuse == "1" or (reuse == "2" and _is_loopback(host))
    return ClientLimits(
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        ports=last - first + 1,
        memory=free,
        time_wait=_REUSE_AFTER if quickly else _TIME_WAIT,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
