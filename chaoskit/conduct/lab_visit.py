"""Finds the way into a place of a running lab: the client, a router, or a host.

| place                          | what a command finds there                                                     |
|--------------------------------|--------------------------------------------------------------------------------|
| a host with a program          | its network, files, processes, environment, rights: what its program has       |
| the client, a router, any host | its network; the machine's files, with the names of the lab and no name server |
| with a reference server        |                                                                                |
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaoskit.conduct.hosts import filesystem, init
from chaoskit.conduct.hosts.host_programs import Hosts
from chaoskit.conduct.hosts.process import HostProcess
from chaoskit.errors import RefusedError
from chaoskit.kernel import namespaces


@dataclass(frozen=True)
class Entrance:
    """How a command gets in: as `user_command.run` takes it."""

    enter: Callable[[], None]
    through: Callable[[], None] | None = None


_SWITCH, _MOST = Path("/etc/nsswitch.conf"), 1 << 16
_FROM_OUTSIDE = ("TERM", "COLORTERM", "PS1", "PROMPT_COMMAND")
"""Variables of the caller's terminal, which commands on a host get beside the host's own."""


def environment(hosts: Hosts, place: str, own: Mapping[str, str]) -> dict[str, str]:
    """What a command at this place gets of the environment that it would have."""
    member = hosts.members.get(place)
    if not isinstance(member, HostProcess):
        return dict(own)
    return {name: own[name] for name in _FROM_OUTSIDE if name in own} | dict(member.program.environment)


def entrance(hosts: Hosts, place: str, network: int, files: Mapping[str, Path], enter: Callable[[], None]) -> Entrance:
    """The way in; `network` is the descriptor of its namespace.

    Where the place has the machine's files, these `files` are mounted over their names, and `enter` is called last.
    Raises RefusedError when the processes of a host have ended.
    """
    member = hosts.members.get(place)
    if isinstance(member, HostProcess):
        return _to_program(member)

    def go() -> None:
        namespaces.enter(network)
        for name, source in files.items():
            namespaces.bind_mount(name, str(source))
        enter()

    return Entrance(go)


def name_files(folder: Path, etc_hosts: str) -> dict[str, Path]:
    """Write the files by which names are looked up in a lab, as far as this machine has them."""
    content = {"/etc/hosts": etc_hosts, "/etc/resolv.conf": filesystem.RESOLV_CONF}
    with suppress(OSError), _SWITCH.open(errors="surrogateescape") as found:
        content[str(_SWITCH)] = filesystem.names_from_files(found.read(_MOST))
    made = {}
    for name, text in content.items():
        if Path(name).exists():
            made[name] = folder / Path(name).name
            made[name].write_text(text, errors="surrogateescape")
            made[name].chmod(0o644)  # the command may be another user's
    return made


def _to_program(host: HostProcess) -> Entrance:
    first = host.first
    if first is None or not host.is_alive:
        raise RefusedError(f"no program runs on the host {host.name}: name another, or remove the fault")

    def through() -> None:
        namespaces.enter(host.network)
        namespaces.enter_processes_of(first)

    def enter() -> None:
        os.chdir(host.program.directory)
        init.confine()

    return Entrance(enter, through)
