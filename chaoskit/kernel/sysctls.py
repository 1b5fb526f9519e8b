"""Reads and writes kernel parameters of a network namespace, under /proc/sys/net."""

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
    """The parameter's value in the namespace behind `fd`; None when the kernel has no such parameter."""
    path = _path(name)
    with inside(fd):
        try:
            return normalized(Sysctl(path.read_text()))
        except FileNotFoundError:
            return None


def write(fd: int, name: str, wanted: Sysctl | None) -> None:
    """Set the parameter. Raises RefusedError for None: a parameter cannot be removed."""
    path = _path(name)
    if wanted is None:
        raise RefusedError(f"sysctl {name} cannot be removed; to see it: sysctl {name}")
    try:
        with inside(fd):
            path.write_text(wanted.value)
    except OSError as error:
        if name == _ALGORITHM and error.errno in (errno.ENOENT, errno.EPERM):
            raise RefusedError(_congestion_control_error(wanted.value, error.errno)) from error
        raise


def _congestion_control_error(name: str, code: int) -> str:
    """net/ipv4/tcp_cong.c, tcp_set_default_congestion_control: a namespace may use unrestricted algorithms only."""
    if code == errno.ENOENT:
        return (
            f"congestion-control {name}: this kernel has no such algorithm; to see which it has: "
            f"sysctl net.ipv4.tcp_available_congestion_control; or sudo modprobe tcp_{name}, or --substrate uml"
        )
    allowed = "net.ipv4.tcp_allowed_congestion_control"
    return (
        f"congestion-control {name}: this kernel restricts it in network namespaces; to allow it: "
        f'sudo sysctl -w {allowed}="$(sysctl -n {allowed}) {name}", or --substrate uml'
    )


def normalized(sysctl: Sysctl) -> Sysctl:
    """The value with its fields separated by single spaces: /proc shows tabs and a newline."""
    return Sysctl(" ".join(sysctl.value.split()))


def _path(name: str) -> Path:
    parts = name.translate(_SWAP).split("/")
    if parts[0] != "net" or ".." in parts:
        raise RefusedError(f"sysctl {name} does not belong to a network namespace; only those under net. do")
    return _PROC.joinpath(*parts)
