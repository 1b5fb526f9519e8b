"""`chaoskit pmtu HOST[:PORT]`: whether it is the MTU."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from chaoskit.terminal import say_json


def pmtu(
    to: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="With a port a long body is sent there, too.")],
    ip: Annotated[str | None, typer.Option(help="4 or 6. Default: what the name has, IPv4 first.")] = None,
    max_packets: Annotated[int, typer.Option(metavar="N", help="To send at most, all of them counted.")] = 120,
    max_time: Annotated[str, typer.Option(metavar="TIME", help="To take at most.")] = "30s",
    json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
) -> None:
    """Find the path MTU to a host, the hop that is silent about it, and what mends it.

    Exit 0: no trouble; 1: a black hole, or long bodies do not get through; 5: undecided.
    """
    from chaoskit.pathmtu.prepare import prepare
    from chaoskit.pathmtu.verdict import judge
    from chaoskit.report import pathmtu as report
    from chaoskit.report.screen import Screen
    from chaoskit.spec.options import far_end

    wanted = far_end(to)
    examination = prepare(wanted.host or "", wanted.port, ip, max_packets, max_time)
    with report.Progress(to, Screen(sys.stderr)) as progress:
        findings = examination.run(progress.tell)
    verdict = judge(findings)
    if json:
        say_json(report.as_json(findings, verdict))
    else:
        report.render(findings, verdict, Screen())
    raise typer.Exit(verdict.exit_code)
