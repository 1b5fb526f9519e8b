"""Whether this process may change the network namespace that it is in."""

from __future__ import annotations

from pathlib import Path

from chaoskit.errors import RefusedError

_NET_ADMIN = 12  # capabilities(7): CAP_NET_ADMIN


def require_net_admin(interface: str, command: str = "inject") -> None:
    """Raises RefusedError without CAP_NET_ADMIN, with the three ways around it; `command` is what was typed."""
    if not _is_net_admin():
        raise RefusedError(
            f"to change {interface} takes CAP_NET_ADMIN, which you have not: sudo chaoskit {command} ...; without "
            "root, chaoskit exec puts one command behind a fault, and chaoskit run with stage: {lab: edge} builds a "
            "network of its own"
        )


def require_to_restore() -> None:
    """Raises RefusedError without CAP_NET_ADMIN."""
    if not _is_net_admin():
        raise RefusedError("to put things back takes CAP_NET_ADMIN, which you have not: sudo chaoskit restore")


def _is_net_admin() -> bool:
    status = Path("/proc/thread-self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(effective >> _NET_ADMIN & 1)
