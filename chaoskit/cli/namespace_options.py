"""Defines the options that choose a network namespace, for the commands that have them."""

from __future__ import annotations

from typing import Annotated

import typer

Netns = Annotated[
    str | None, typer.Option("--netns", metavar="NAME", help="Network namespace: a name of ip netns, or a path.")
]
Pid = Annotated[str | None, typer.Option("--pid", metavar="PID", help="That of this process.")]
Container = Annotated[
    str | None, typer.Option("--container", metavar="NAME", help="That of this Docker or Podman container; or its id.")
]


def enter_chosen(netns: str | None, pid: str | None, container: str | None) -> None:
    """Enter the network namespace that the options choose, if any. Raises SpecError and RefusedError."""
    if (netns, pid, container) == (None, None, None):
        return
    from chaoskit.conduct.network_namespace import enter
    from chaoskit.spec.options import namespace_choice

    enter(namespace_choice(netns, pid, container))
