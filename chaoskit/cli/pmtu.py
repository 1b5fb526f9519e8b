"""`chaoskit pmtu HOST[:PORT]`: finds the path MTU to a host, and black holes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from chaoskit.cli.namespace_options import Container, Netns, Pid, enter_chosen
from chaoskit.terminal import say_json


def pmtu(
    to: Annotated[
        str, typer.Argument(metavar="HOST[:PORT]", help="Host; with a port, a long request body is sent too.")
    ],
    ip: Annotated[str | None, typer.Option(help="IP version, 4 or 6. Default: 4 if the host has it.")] = None,
    max_packets: Annotated[int, typer.Option(metavar="N", help="Maximum number of packets to send.")] = 120,
    max_time: Annotated[str, typer.Option(metavar="TIME", help="Maximum duration.")] = "30s",
    netns: Netns = None,
    pid: Pid = None,
    container: Container = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find the path MTU to a host, the hop that hides it, and a fix.

    Exit 0: no problem; 1: a black hole, or long request bodies get stuck; 5: undecided.
    """
    from chaoskit.pathmtu.prepare import prepare
    from chaoskit.pathmtu.verdict import judge
    from chaoskit.report import pathmtu as report
    from chaoskit.report.screen import Screen
    from chaoskit.spec.options import parse_far_end

    enter_chosen(netns, pid, container)
    wanted = parse_far_end(to)
    examination = prepare(wanted.host or "", wanted.port, ip, max_packets, max_time)
    with report.Progress(to, Screen(sys.stderr)) as progress:
        findings = examination.run(progress.tell)
    verdict = judge(findings)
    if json:
        say_json(report.as_json(findings, verdict))
    else:
        report.render(findings, verdict, Screen())
    raise typer.Exit(verdict.exit_code)
