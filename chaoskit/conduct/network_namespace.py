"""Enters the network namespace that the user chose, for good, and finds the way into others.

It is entered before any socket is made, so that lock, lease, journal, watchdog and probe are those of that namespace,
as after `ip netns exec` or `nsenter --net`. Names resolve as its programs resolve them: with the files of
/etc/netns/NAME, as ip-netns(8) says, or with the resolv.conf and hosts of the process, in a mount namespace of our own.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaoskit import file_trust
from chaoskit.engine.lease import Leases, Location
from chaoskit.errors import RefusedError
from chaoskit.kernel import namespaces
from chaoskit.kernel.foreign_namespaces import held_process, open_below, open_named, open_of_process, sees_all, ways_in
from chaoskit.kernel.rights import has_sys_admin, require_sys_admin
from chaoskit.spec.network_namespace import NamespaceChoice

NETNS_FILES = Path("/etc/netns")
_RESOLVER_FILES = ("resolv.conf", "hosts", "nsswitch.conf", "gai.conf", "host.conf")
_PROCESS_FILES = ("resolv.conf", "hosts")
_MAX_FILE = 1 << 20  # bytes
_HOSTS_LINE = re.compile(r"^[ \t]*hosts:.*$", re.MULTILINE)  # nsswitch.conf(5)


def enter(choice: NamespaceChoice) -> None:
    """Enter it, if one is chosen. Raises RefusedError with what to type."""
    if not choice.chosen:
        return
    require_sys_admin(choice.namespace_option)
    fd, files = _open(choice)
    try:
        if os.path.sameopenfile(fd, own := namespaces.open_current()):
            files = {}
        os.close(own)
        namespaces.enter(fd)
    finally:
        os.close(fd)
    _mount(files)


def enter_namespace_of(leases: Leases, id: str) -> None:
    """Enter the network namespace of this lease, where it is another one of this machine that can be found."""
    try:
        lease = leases.read(id)
    except RefusedError:
        return  # it is dealt with by who restores it
    here = Location.current()
    is_elsewhere = (lease.machine, lease.boot) == (here.machine, here.boot) and lease.namespace != here.namespace
    if is_elsewhere and has_sys_admin() and (way_in := way_into(lease.namespace)):
        enter(_choice(way_in))


def way_into(namespace: str) -> str | None:
    """The option that enters this network namespace (of `Location`): `--netns blue`.

    "" when it is gone, and None when it may be out of this process's sight.
    """
    inode = namespace.partition("-")[0]
    for option in ways_in(int(inode)) if inode.isdecimal() else ():
        if not has_sys_admin():
            return option
        with suppress(RefusedError, OSError), _opened(option) as fd, namespaces.inside(fd):
            if Location.current().namespace == namespace:
                return option
    return "" if sees_all() else None


@contextmanager
def _opened(option: str) -> Iterator[int]:
    fd, _ = _open(_choice(option))
    try:
        yield fd
    finally:
        os.close(fd)


def _choice(option: str) -> NamespaceChoice:
    """The choice that this option of `way_into` makes."""
    key, _, value = option.removeprefix("--").partition(" ")
    return NamespaceChoice.model_validate({key: value})


def _open(choice: NamespaceChoice) -> tuple[int, dict[str, str]]:
    """A descriptor of the namespace, and the files in /etc that its programs resolve names with."""
    if choice.netns is not None:
        return open_named(choice.netns), _files_of_name(choice.netns) if "/" not in choice.netns else {}
    if choice.pid is not None:
        with held_process(choice.pid) as process:
            return open_of_process(process), _files_of_process(process)
    from chaoskit.container_engines import find_container  # loads httpx

    container = find_container(choice.container or "", os.environ, os.geteuid())
    with held_process(container.pid) as process:
        if not container.has_process(process):
            raise RefusedError(
                f"process {container.pid} here is not of container {choice.container}: its engine is in a virtual "
                "machine, or in another PID namespace; run chaoskit there, or give --pid PID"
            )
        return open_of_process(process), _files_of_process(process)


def _files_of_name(name: str) -> dict[str, str]:
    """The files of /etc/netns/NAME. Raises RefusedError where another user could have written one."""
    files = {}
    for file in _RESOLVER_FILES:
        path = NETNS_FILES / name / file
        if path.exists():
            if reason := file_trust.untrusted(path, os.geteuid()):
                raise RefusedError(f"{reason}, so names are not resolved with it: sudo chown root {path}")
            with path.open(errors="replace") as opened:
                files[file] = opened.read(_MAX_FILE)
    return files


def _files_of_process(process: Path) -> dict[str, str]:
    """The files in the process's own /etc; links in it lead to its own files, and never out of its root."""
    files = {}
    for name in _PROCESS_FILES:
        with suppress(OSError), open(open_below(process / "root", f"etc/{name}"), errors="replace") as file:  # noqa: PTH123
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                files[name] = file.read(_MAX_FILE)
    return files


def _mount(files: dict[str, str]) -> None:
    """Have this process, and its children, read these in /etc. Raises RefusedError.

    Where a resolv.conf is among them, names are not asked of systemd-resolved, which answers for this machine.
    """
    if "resolv.conf" in files and "nsswitch.conf" not in files:
        with suppress(OSError):
            ours = Path("/etc/nsswitch.conf").read_text()
            files = files | {"nsswitch.conf": _HOSTS_LINE.sub("hosts: files dns", ours)}
    for name, text in files.items():
        place = Path("/etc", name).resolve()
        if not place.is_file() or place.read_text(errors="replace") == text:
            continue
        with tempfile.NamedTemporaryFile("w", prefix="chaoskit-", dir="/run") as file:
            Path(file.name).chmod(0o644)  # for children without root's rights
            file.write(text)
            file.flush()
            namespaces.bind_mount(str(place), file.name)
