"""`chaoskit restore [LEASE]`: restores what chaoskit changed on this machine, after a crash too."""

from __future__ import annotations

from typing import Annotated

import typer

from chaoskit import terminal
from chaoskit.cli.namespace_options import Container, Netns, Pid, enter_chosen


def restore(
    lease: Annotated[
        str | None, typer.Argument(metavar="LEASE", help="Restore only this lease. Default: everything.")
    ] = None,
    netns: Netns = None,
    pid: Pid = None,
    container: Container = None,
) -> None:
    """Restore everything that chaoskit changed. Ends all leases of this network namespace, and undoes crashed runs."""
    import os
    from functools import cache

    from chaoskit.conduct.network_namespace import enter_namespace_of
    from chaoskit.conduct.recovery import Recovery
    from chaoskit.engine.lease import Leases, state_folder
    from chaoskit.errors import NotRestoredError
    from chaoskit.kernel.features import detect_features
    from chaoskit.kernel.linux import LinuxKernel
    from chaoskit.kernel.rights import require_restore_rights

    require_restore_rights()
    enter_chosen(netns, pid, container)
    lines: list[str] = []
    facts = cache(detect_features)

    def say(line: str) -> None:
        lines.append(line)
        terminal.say(line)

    leases = Leases(state_folder(os.environ, os.geteuid()))
    if lease is not None:
        enter_namespace_of(leases, lease)
    recovery = Recovery(leases, lambda: LinuxKernel(facts()), say)
    if lease is None:
        recovery.restore_all()
    else:
        recovery.restore_one(lease)
    if recovery.leftovers:
        raise NotRestoredError("not restored: " + "; ".join(recovery.leftovers))
    if not lines:
        terminal.say("nothing to restore: chaoskit has changed nothing here")
