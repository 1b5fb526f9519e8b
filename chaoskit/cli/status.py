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
    from chaoskit.report.leases import as_json, read_status, render, state_folders, unowned_knobs
    from chaoskit.report.screen import Screen

    places = state_folders(os.environ, os.geteuid())
    outlook = read_status(places, Location.look(), clock.boottime(), lease)
    if lease is None:
        holder = str(lock.holder() or "")
        outlook = replace(outlook, unowned=unowned_knobs(orphans.seen(), outlook), holder=holder)
    if json:
        say_json(as_json(outlook))
    else:
        render(outlook, Screen())
