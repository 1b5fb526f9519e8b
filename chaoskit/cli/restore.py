"""`chaoskit restore [LEASE]`: restores what chaoskit changed on this machine, after a crash too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chaoskit import terminal
from chaoskit.cli.namespace_options import Container, Netns, Pid, enter_chosen

if TYPE_CHECKING:
    from chaoskit.conduct.recovery import Recovery


def restore(
    lease: Annotated[
        str | None, typer.Argument(metavar="LEASE", help="Restore only this lease. Default: everything.")
    ] = None,
    netns: Netns = None,
    pid: Pid = None,
    container: Container = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay; restore what a killed chaoskit leaves, and end none that runs.")
    ] = False,
) -> None:
    """Restore everything that chaoskit changed. Ends all leases of this network namespace, and undoes crashed runs."""
    import os
    from functools import cache

    from chaoskit.conduct.network_namespace import enter_namespace_of
    from chaoskit.conduct.recovery import Recovery
    from chaoskit.engine.lease import Leases, state_folder
    from chaoskit.errors import NotRestoredError, SpecError
    from chaoskit.kernel.features import detect_features
    from chaoskit.kernel.linux import LinuxKernel
    from chaoskit.kernel.rights import require_restore_rights

    if watch and lease is not None:
        raise SpecError("--watch restores everything that is left: leave out the lease")
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
    if watch:
        _watch(recovery)
    elif lease is None:
        recovery.restore_all()
    else:
        recovery.restore_one(lease)
    if recovery.leftovers:
        raise NotRestoredError("not restored: " + "; ".join(recovery.leftovers))
    if not lines:
        terminal.say("nothing to restore: chaoskit has changed nothing here")


def _watch(recovery: Recovery) -> None:
    from chaoskit.clock import RealClock
    from chaoskit.conduct.abandoned_watch import AbandonedWatch
    from chaoskit.conduct.signals import Interrupted, raised
    from chaoskit.kernel.orphans import find_orphans_here

    terminal.say("watching this network namespace: what a killed chaoskit leaves is restored")
    try:
        with raised():
            AbandonedWatch(recovery, find_orphans_here, terminal.complain, RealClock()).run()
    except Interrupted as end:
        if not recovery.leftovers:
            raise typer.Exit(128 + end.sign) from None
