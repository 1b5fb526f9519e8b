"""Defines the options that choose a network namespace, for the commands that have them."""

from __future__ import annotations

from typing import Annotated

import typer

Netns = Annotated[
    str | None, typer.Option("--netns", metavar="NAME", help="In this network namespace: ip netns NAME, or a path.")
]
Pid = Annotated[str | None, typer.Option("--pid", metavar="PID", help="In the network namespace of this process.")]
Container = Annotated[
    str | None, typer.Option("--container", metavar="NAME", help="In that of a container of Docker or Podman.")
]


def enter_chosen(netns: str | None, pid: str | None, container: str | None) -> None:
    """Enter the network namespace that the options choose, if any. Raises SpecError and RefusedError."""
    if (netns, pid, container) == (None, None, None):
        return
    from chaoskit.conduct.network_namespace import enter
    from chaoskit.spec.options import namespace_choice

    enter(namespace_choice(netns, pid, container))
