"""Kernel parameters of a network namespace: text files under /proc/sys/net."""

from __future__ import annotations

import errno
from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.kernel.namespaces import inside
from chaoskit.knobs import Sysctl

_PROC = Path("/proc/sys")
_ALGORITHM = "net.ipv4.tcp_congestion_control"
_SWAP = str.maketrans("./", "/.")  # sysctl(8): net.ipv4.conf.eth0/100.rp_filter is of link eth0.100


def read(fd: int, name: str) -> Sysctl | None:
    """The parameter's text in the namespace behind `fd`; None when the kernel has no such parameter."""
    path = _path(name)
    with inside(fd):
        try:
            return held(Sysctl(path.read_text()))
        except FileNotFoundError:
            return None


def write(fd: int, name: str, wanted: Sysctl | None) -> None:
    """Set it. Raises RefusedError for None: a parameter cannot be taken away."""
    path = _path(name)
    if wanted is None:
        raise RefusedError(f"sysctl {name} cannot be taken away; to see it: sysctl {name}")
    try:
        with inside(fd):
            path.write_text(wanted.value)
    except OSError as error:
        if name == _ALGORITHM and error.errno in (errno.ENOENT, errno.EPERM):
            raise RefusedError(_no_algorithm(wanted.value, error.errno)) from error
        raise


def _no_algorithm(name: str, code: int) -> str:
    """tcp_set_default_congestion_control of the kernel's net/ipv4/tcp_cong.c: a namespace may have what all may."""
    if code == errno.ENOENT:
        return (
            f"congestion-control {name}: this kernel has none of that name; what it has: "
            f"sysctl net.ipv4.tcp_available_congestion_control; or sudo modprobe tcp_{name}, or --substrate uml"
        )
    allowed = "net.ipv4.tcp_allowed_congestion_control"
    return (
        f"congestion-control {name}: this kernel lets no namespace have what not everybody may; to allow it: "
        f'sudo sysctl -w {allowed}="$(sysctl -n {allowed}) {name}", or --substrate uml'
    )


def held(sysctl: Sysctl) -> Sysctl:
    """Its words with one blank between, whatever stood there: /proc shows tabs and a newline."""
    return Sysctl(" ".join(sysctl.value.split()))


def _path(name: str) -> Path:
    parts = name.translate(_SWAP).split("/")
    if parts[0] != "net" or ".." in parts:
        raise RefusedError(f"sysctl {name} does not belong to a network namespace; only those under net. do")
    return _PROC.joinpath(*parts)
