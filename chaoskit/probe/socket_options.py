"""Sockets to connect with, tuned as the target's `SocketOptions` say before they connect."""

from __future__ import annotations

import errno
import os
import socket

from chaoskit.errors import RefusedError
from chaoskit.probe.target import SocketOptions

_ALGORITHMS = "sysctl net.ipv4.tcp_available_congestion_control"


def tune(sock: socket.socket, options: SocketOptions) -> None:
    """Set them. Raises OSError in the kernel's words."""
    if options.maxseg is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, options.maxseg)
    if options.congestion_control is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, options.congestion_control.encode())


def try_out(options: SocketOptions) -> None:
    """Raises RefusedError for what this kernel will have on no socket of ours. Nothing is sent."""
    with socket.socket() as sock:
        try:
            tune(sock, options)
        except OSError as error:
            raise RefusedError(_sentence(options, error.errno or 0)) from error


def _sentence(options: SocketOptions, code: int) -> str:
    algorithm = options.congestion_control
    match code:
        case errno.ENOENT:
            return (
                f"congestion-control {algorithm}: this kernel has none of that name; what it has: {_ALGORITHMS}; or "
                f"sudo modprobe tcp_{algorithm}"
            )
        case errno.EPERM:
            return (
                f"congestion-control {algorithm} is for root alone here: run as root, or choose one of "
                "sysctl net.ipv4.tcp_allowed_congestion_control"
            )
        case _:
            return f"maxseg {options.maxseg}: the kernel says {os.strerror(code)!r}; give 88 to 32767"
