"""Sets the target's `SocketOptions` on sockets before they connect."""

from __future__ import annotations

import errno
import os
import socket
from itertools import islice

from chaoskit.errors import RefusedError
from chaoskit.probe.target import SocketOptions

_TRIES = 64  # ports that may be in use one after the other
_ALGORITHMS = "sysctl net.ipv4.tcp_available_congestion_control"


def set_options(sock: socket.socket, options: SocketOptions) -> None:
    """Set the options. Raises the kernel's OSError."""
    if options.maxseg is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, options.maxseg)
    if options.keepalive is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for each in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            sock.setsockopt(socket.IPPROTO_TCP, each, options.keepalive)
    if options.congestion_control is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, options.congestion_control.encode())


def choose_port(sock: socket.socket, options: SocketOptions) -> None:
    """Give the socket the next of its ports that is free; where many are taken, the kernel's choice."""
    if options.ports is None:
        return
    for port in islice(options.ports, _TRIES):
        try:
            sock.bind(("", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return


def check_supported(options: SocketOptions) -> None:
    """Raise RefusedError for options that this kernel does not support or allow. Nothing is sent."""
    with socket.socket() as sock:
        try:
            set_options(sock, options)
        except OSError as error:
            raise RefusedError(_message(options, error.errno or 0)) from error


def _message(options: SocketOptions, code: int) -> str:
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
