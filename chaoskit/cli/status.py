"""`chaoskit status`: shows the leases on this machine: since when, until when, started by whom."""

from __future__ import annotations

from typing import Annotated

import typer

from chaoskit.terminal import say_json


def status(
    lease: Annotated[str | None, typer.Argument(metavar="LEASE", help="Show only this lease.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON; chaoskit inject - accepts that of one lease.")
    ] = False,
) -> None:
    """Show the leases in force and changes not yet restored. Needs no privileges."""
    import os
    from dataclasses import replace

    from chaoskit import clock
    from chaoskit.engine import lock
    from chaoskit.engine.lease import Location
    from chaoskit.kernel import orphans
    from chaoskit.report.leases import as_json, folders, look, render, strays
    from chaoskit.report.screen import Screen

    places = folders(os.environ, os.geteuid())
    outlook = look(places, Location.current(), clock.boottime(), lease)
    if lease is None:
        holder = str(lock.holder() or "")
        outlook = replace(outlook, strays=strays(orphans.find_orphans_here(), outlook), holder=holder)
    if json:
        say_json(as_json(outlook))
    else:
        render(outlook, Screen())
