"""`chaoskit status`: shows the leases on this machine: since when, until when, started by whom."""

from __future__ import annotations

from typing import Annotated

import typer

from chaoskit.cli.namespace_options import Container, Netns, Pid, enter_chosen
from chaoskit.terminal import say_json


def status(
    lease: Annotated[str | None, typer.Argument(metavar="LEASE", help="Show only this lease.")] = None,
    netns: Netns = None,
    pid: Pid = None,
    container: Container = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON; chaoskit inject - accepts that of one lease.")
    ] = False,
) -> None:
    """Show the leases in force and changes not yet restored. Needs no privileges."""
    import os
    from dataclasses import replace

    from chaoskit import clock
    from chaoskit.conduct.network_namespace import way_into
    from chaoskit.engine import lock
    from chaoskit.engine.lease import Location
    from chaoskit.kernel import orphans
    from chaoskit.report.leases import as_json, read_status, render, state_folders, unowned_knobs
    from chaoskit.report.screen import Screen

    enter_chosen(netns, pid, container)
    places = state_folders(os.environ, os.geteuid())
    holder = lock.holder()
    is_unseen = holder is not None and holder.pid == 0
    outlook = read_status(places, Location.current(), clock.boottime(), lease, way_into, is_unseen)
    if lease is None:
        unowned = unowned_knobs(orphans.find_orphans_here(), outlook)
        outlook = replace(outlook, unowned=unowned, holder=str(holder or ""))
    if json:
        say_json(as_json(outlook))
    else:
        render(outlook, Screen())
