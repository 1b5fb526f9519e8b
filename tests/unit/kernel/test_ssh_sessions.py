"""Tests which connections are ssh sessions, by environment and by the kernel's table."""

from __future__ import annotations

from chaoskit.kernel.ssh_sessions import SshSession, combine, environment_sessions
from chaoskit.kernel.tcp_table import TcpSocket


def test_sessions_are_found_behind_sudo() -> None:
    """SSH_CONNECTION of any ancestor names a session; invalid values are ignored, and scopes are cut off."""
    shell = b"PATH=/bin\0SSH_CONNECTION=192.0.2.9 50000 192.0.2.1 22\0"
    through_v6 = b"SSH_CONNECTION=fe80::9%eth0 50000 fe80::1%eth0 2222\0"
    mapped = b"SSH_CONNECTION=::ffff:192.0.2.8 50000 ::ffff:192.0.2.1 22\0"
    nonsense = b"SSH_CONNECTION=who knows\0SSH_CONNECTION=\0SSH_CONNECTION=\xff\0SSH_CONNECTION=a 1 b 2\0"

    assert list(environment_sessions([b"", b"PATH=/bin\0", shell, through_v6, mapped, nonsense])) == [
        SshSession("192.0.2.9", 50000, "192.0.2.1", 22, is_own=True),
        SshSession("fe80::9", 50000, "fe80::1", 2222, is_own=True),
        SshSession("192.0.2.8", 50000, "192.0.2.1", 22, is_own=True),
    ]


def test_the_table_and_the_environment_are_put_together() -> None:
    """Connections at the ports of ssh servers, of the own session and at 22 are sessions; the own one comes first."""
    here = "192.0.2.1"
    table = [
        TcpSocket(here, 22, "198.51.100.1", 1001, 1, is_connected=True),
        TcpSocket(here, 443, "198.51.100.2", 1002, 2, is_connected=True),
        TcpSocket(here, 2222, "198.51.100.3", 1003, 3, is_connected=True),
        TcpSocket(here, 7022, "198.51.100.4", 1004, 4, is_connected=True),
        TcpSocket(here, 40000, "198.51.100.5", 22, 5, is_connected=True),
        TcpSocket("0.0.0.0", 7022, "0.0.0.0", 0, 6, is_connected=False),
        TcpSocket("0.0.0.0", 8000, "0.0.0.0", 0, 7, is_connected=False),
    ]
    own = SshSession("198.51.100.3", 1003, here, 2222, is_own=True)

    found = combine(table, frozenset({6}), (own,))

    assert found.sessions == (
        own,
        SshSession("198.51.100.1", 1001, here, 22),
        SshSession("198.51.100.4", 1004, here, 7022),
    )
    assert found.ports == {2222, 7022}
