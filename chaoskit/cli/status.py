"""`chaoskit status`: what is in force on this machine, until when, and by whom."""

from __future__ import annotations

from typing import Annotated

import typer

from chaoskit.terminal import say_json


def status(
    lease: Annotated[str | None, typer.Argument(metavar="[LEASE]", help="Only this one.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="As JSON. With one lease in it, chaoskit inject - repeats that.")
    ] = False,
) -> None:
    """Show what is in force. Since when, until when, by whom, whom it hits; and what is owed. Needs no rights."""
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
