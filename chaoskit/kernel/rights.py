"""Checks that this process may change its network namespace (CAP_NET_ADMIN)."""

from __future__ import annotations

from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.programs import sudo

_NET_ADMIN = 12  # capabilities(7): CAP_NET_ADMIN


def require_net_admin(interface: str, command: str = "inject") -> None:
    """Raises RefusedError without CAP_NET_ADMIN, with three alternatives; `command` is the command that was typed."""
    if not _is_net_admin():
        raise RefusedError(
            f"changing {interface} needs CAP_NET_ADMIN, which you do not have: {sudo()} {command} ...; without "
            "root, chaoskit exec puts one command behind a fault, and chaoskit run with stage: {lab: edge} builds a "
            "network of its own"
        )


def require_restore_rights() -> None:
    """Raises RefusedError without CAP_NET_ADMIN."""
    if not _is_net_admin():
        raise RefusedError(f"restoring needs CAP_NET_ADMIN, which you do not have: {sudo()} restore")


def _is_net_admin() -> bool:
    status = Path("/proc/thread-self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(effective >> _NET_ADMIN & 1)
