"""Completes the values of arguments and options."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import get_args

from typer._click.core import Context, Parameter
from typer._click.shell_completion import CompletionItem

from chaoskit.cli.file_completers import INCOMPLETE, experiments, faults, hosts, paths, variants
from chaoskit.errors import SpecError


def complete_value(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """What the value of this parameter could be. Nothing where its file cannot be read."""
    context.meta[INCOMPLETE] = incomplete
    try:
        found = COMPLETERS[str(parameter.name)](context)
    except (OSError, SpecError, LookupError, StopIteration):
        return []
    return [CompletionItem(each) for each in found if each.startswith(incomplete)]


def _examples(_context: Context) -> Iterable[str]:
    from chaoskit.spec.examples import questions

    return questions()


def _metrics(_context: Context) -> Iterable[str]:
    from chaoskit.spec.metrics import METRICS

    return METRICS


def _protocols(context: Context) -> Iterable[str]:
    from chaoskit.spec.workload import Protocol

    return get_args(Protocol) if context.info_name == "probe" else ("tcp", "udp", "icmp")


def _scripts(_context: Context) -> Iterable[str]:
    from chaoskit.server.malformations import BY_NAME

    return BY_NAME


COMPLETERS: dict[str, Callable[[Context], Iterable[str]]] = {
    "file": experiments,
    "files": experiments,
    "fault": faults,
    "host": hosts,
    "variant": variants,
    "vary": paths,
    "set_": paths,
    "example": _examples,
    "objective": _metrics,
    "metric": _metrics,
    "protocol": _protocols,
    "script": _scripts,
    "interface": lambda _: [name for _, name in socket.if_nameindex()],
    "ip": lambda _: ("4", "6"),
    "http": lambda _: ("1.1", "2"),
    "connections": lambda _: ("fresh", "kept", "shared"),
}
"""By the name of the argument or option, in whatever command."""
