"""`chaoskit conduct RUNDIR`: the experiment itself, in this kernel. Started by a substrate, rarely by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def conduct(run: Annotated[Path, typer.Argument(metavar="RUNDIR", help="A run directory with a plan.json.")]) -> None:
    """Do what RUNDIR/plan.json says, in this kernel, and write down what happened."""
    from chaoskit.errors import SpecError
    from chaoskit.folder import Folder
    from chaoskit.kernel.namespaces import can_create, enter_user_namespace
    from chaoskit.plan.model import load_plan

    try:
        with Folder.open(run, follow=True) as folder:
            folder.require_own()
    except OSError as error:
        raise SpecError(f"{run} cannot be used: {error.strerror}; chaoskit run makes a run directory") from error
    if load_plan(run).interface is None and not can_create():
        enter_user_namespace()

    from chaoskit.clock import RealClock
    from chaoskit.conduct.conductor import conduct as work

    raise typer.Exit(work(run, RealClock()))
