"""Checks the rights to change a network namespace, to read its packets, and to enter one."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.programs import sudo

_NET_ADMIN, _NET_RAW, _SYS_ADMIN = 12, 13, 21  # capabilities(7)
_NS_GET_USERNS = 0xB701  # ioctl_ns(2)


def require_net_admin(interface: str, command: str = "inject") -> None:
    """Raises RefusedError without CAP_NET_ADMIN, with three alternatives; `command` is the command that was typed."""
    if not has_net_admin():
        raise RefusedError(
            f"changing {interface} needs CAP_NET_ADMIN, which you do not have: {_remedy(f'{command} ...')}; without "
            "it, chaoskit exec puts one command behind a fault, and chaoskit run with stage: {lab: edge} builds a "
            "network of its own"
        )


def require_net_raw(option: str, command: str) -> None:
    """Raises RefusedError without CAP_NET_RAW; `option` asked for packets, `command` is the command that was typed."""
    if not (_has(_NET_RAW) and _is_over_this_network()):
        raise RefusedError(
            f"{option}: reading packets needs CAP_NET_RAW, which you do not have: "
            f"{_remedy(f'{command} ... {option}', 'NET_RAW')}; without {option} it needs no rights"
        )


def require_restore_rights() -> None:
    """Raises RefusedError without CAP_NET_ADMIN."""
    if not has_net_admin():
        raise RefusedError(f"restoring needs CAP_NET_ADMIN, which you do not have: {_remedy('restore')}")


def require_sys_admin(option: str) -> None:
    """Raises RefusedError without CAP_SYS_ADMIN; `option` names the namespace to enter, as `--netns blue`."""
    if not has_sys_admin():
        remedy = _remedy("...", "SYS_ADMIN")
        raise RefusedError(f"{option}: entering a network namespace needs root (CAP_SYS_ADMIN): {remedy}")


def _remedy(words: str, capability: str = "NET_ADMIN") -> str:
    """How to get a capability: root without it is in a container that was started so."""
    return f"{sudo()} {words}" if os.geteuid() else f"start the container with docker run --cap-add {capability}"


def has_net_admin() -> bool:
    """Whether this process may change its network namespace."""
    return _has(_NET_ADMIN) and _is_over_this_network()


def has_sys_admin() -> bool:
    """Whether this process may enter network namespaces."""
    return _has(_SYS_ADMIN)


def _has(capability: int) -> bool:
    status = Path("/proc/thread-self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(effective >> capability & 1)


def _is_over_this_network() -> bool:
    """Whether the capabilities of this process count in its network namespace.

    In a user namespace of its own they do not, where the network is that of another one outside.
    """
    if not Path("/proc/thread-self/ns/user").exists():
        return True  # a kernel without user namespaces
    with Path("/proc/thread-self/ns/net").open() as network:
        try:
            os.close(fcntl.ioctl(network, _NS_GET_USERNS))
        except PermissionError:
            return False
    return True
