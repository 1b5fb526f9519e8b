"""Renders an injection: its plan before it, its end time while it is in force, its counters after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from chaoskit.counters import QueueCounters
from chaoskit.engine.lease import Lease
from chaoskit.facts import Facts
from chaoskit.faults.tc_format import format_setting
from chaoskit.knobs import Clamp, Netem
from chaoskit.middlebox import Cut, IdleTimeout
from chaoskit.planning.injection import InjectionPlan
from chaoskit.planning.obstacles import kernel_obstacle
from chaoskit.report.commands import apply_commands, revert_commands
from chaoskit.report.console import two_columns
from chaoskit.report.styles import styled, titled
from chaoskit.topology.steering import IFBS, OneDirection
from chaoskit.units import counted, plural

_TOWARDS: dict[OneDirection, str] = {"down": "to this machine", "up": "from this machine"}


def _where(plan: InjectionPlan) -> str:
    name = plan.injection.namespace_name
    return f" in {name}" if name else ""


def render_dry_run(plan: InjectionPlan, facts: Facts, console: Console) -> None:
    """What would be done: the plan and its commands; and first why this kernel, by its `facts`, cannot."""
    if obstacle := kernel_obstacle(plan.interface, plan.needs, facts):
        console.print(two_columns([(styled("note", "yellow"), styled(obstacle))], indent=0))
    render(plan, console)
    _render_commands(plan, console)


def render(plan: InjectionPlan, console: Console) -> None:
    """The plan: the interface, the matched traffic, the faults, the duration."""
    console.print(titled(plan.interface, f"  for {plan.injection.for_}{_where(plan)}"), highlight=False)
    for line in _lines(plan):
        console.print(Padding(styled(line), (0, 0, 0, 2)), highlight=False)
    if plan.warnings:
        console.print(two_columns([(styled("warning", "yellow"), styled(each)) for each in plan.warnings]))


def _render_commands(plan: InjectionPlan, console: Console) -> None:
    """The plan as commands, first those that apply it, then those that revert it. They are printed, never executed."""
    for title, lines in (("apply", apply_commands(plan.changes)), ("revert", revert_commands(plan.changes))):
        console.print()
        console.print(styled(f"Equivalent commands to {title} it{_where(plan)}", "bold"), highlight=False)
        for line in lines:
            console.print(styled(line), highlight=False, soft_wrap=True)


def render_lease(lease: Lease, is_detached: bool, console: Console) -> None:
    """When the injection ends, and how to end it earlier."""
    until = lease.until[11:19]
    how = f"chaoskit restore {lease.id} ends it earlier" if is_detached else "Ctrl-C ends it earlier"
    console.print(styled(f"in force until {until} UTC; {how}"), highlight=False, soft_wrap=True)


def render_end(
    counters: Mapping[OneDirection, QueueCounters],
    too_long: Mapping[OneDirection, int],
    ended: QueueCounters | None,
    console: Console,
) -> None:
    """The packets that passed the fault, and those dropped for their size, by direction, after the restore; and the
    connections that were ended."""
    console.print(Text("ended and restored" if counters or too_long or ended else "restored"), highlight=False)
    for way, seen in counters.items():
        matched = f"{seen.packets:,} {plural(seen.packets, 'packet')} {_TOWARDS[way]} matched"
        console.print(Text(f"  {way:5} {matched}, {seen.drops:,} of them dropped"), highlight=False)
    if ended is not None:
        said = f"{counted(ended.overlimits, 'connection')} ended, {counted(ended.drops, 'packet')} dropped"
        console.print(Text(f"  both  {said}"), highlight=False)
    for way, lost in too_long.items():
        console.print(
            Text(f"  {way:5} {lost:,} {plural(lost, 'packet')} {_TOWARDS[way]} too long, and dropped"), highlight=False
        )


def _lines(plan: InjectionPlan) -> Iterator[str]:
    for name, addresses in plan.addresses.items():
        yield f"{name} is {', '.join(addresses)}"
    for hit in plan.hits:
        yield f"match {hit}"
    for way in _TOWARDS:
        for knob, setting in plan.changes:
            if knob.name == IFBS[way] and isinstance(setting, Netem):
                yield f"{way:5} {format_setting(setting)}, by {counted(plan.filters, 'filter')} into {IFBS[way]}"
        if way in plan.injection.size_drops:
            size = plan.injection.size_drops[way]
            yield f"{way:5} longer than {size} bytes: dropped, by {counted(plan.filters, 'filter')} before the others"
    for _, setting in plan.changes:
        if isinstance(setting, Clamp):
            rules = counted(len(setting.of or ()), "rule")
            yield f"both  TCP handshakes: {format_setting(setting)}, by {rules} of nftables"
        if isinstance(setting, Cut | IdleTimeout):
            yield f"both  TCP connections: {format_setting(setting)}, by nftables"
