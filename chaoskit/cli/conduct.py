"""`chaoskit conduct RUNDIR`: executes the plan of a run directory in this kernel. Substrates start it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def conduct(
    run: Annotated[Path, typer.Argument(metavar="RUNDIR", help="Run directory that holds a plan.json.")],
) -> None:
    """Execute RUNDIR/plan.json in this kernel and record the results."""
    from chaoskit.errors import SpecError
    from chaoskit.folder import Folder
    from chaoskit.kernel.namespaces import can_create, enter_user_namespace
    from chaoskit.planning.model import load_plan

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
