"""An injection on the screen: before it, what it would do; while it lasts, how long still; after it, what it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.text import Text

from chaoskit.engine.lease import Lease
from chaoskit.faults.tc_format import format_setting
from chaoskit.knobs import Clamp, Netem, QueueCounters
from chaoskit.plan.injection import InjectionPlan
from chaoskit.report.commands import doing, undoing
from chaoskit.report.styles import styled, titled
from chaoskit.topology.steering import IFBS, OneDirection

_TOWARDS: dict[OneDirection, str] = {"down": "to us", "up": "from us"}


def render(plan: InjectionPlan, console: Console) -> None:
    """The plan: on what, whom it hits, what it does to them, how long."""
    console.print(titled(plan.interface, f"  for {plan.injection.for_}"), highlight=False)
    for line in _lines(plan):
        console.print(styled(f"  {line}"), highlight=False)
    for warning in plan.warnings:
        console.print(titled("  warning", f" {warning}", "yellow"), highlight=False)


def render_commands(plan: InjectionPlan, console: Console) -> None:
    """The same as commands, first those that set it, then those that put it back. Nothing of ours runs them."""
    for title, lines in (("sets it", doing(plan.changes)), ("puts it back", undoing(plan.changes))):
        console.print(Text(f"\nThe same in commands: what {title}", "bold"), highlight=False)
        for line in lines:
            console.print(styled(line), highlight=False, soft_wrap=True)


def render_lease(lease: Lease, is_detached: bool, console: Console) -> None:
    """All is set: until when, and how to end it before."""
    until = lease.until[11:19]
    how = f"chaoskit restore {lease.id} ends it before" if is_detached else "Ctrl-C ends it before"
    console.print(styled(f"in force until {until} UTC; {how}"), highlight=False, soft_wrap=True)


def render_end(
    counters: Mapping[OneDirection, QueueCounters], too_long: Mapping[OneDirection, int], console: Console
) -> None:
    """What passed through the fault, and what was lost for its size, by direction, once all is put back."""
    console.print(Text("ended, and put back" if counters or too_long else "put back"), highlight=False)
    for way, seen in counters.items():
        hit = f"  {way:5} {seen.packets:,} packets {_TOWARDS[way]} were hit, {seen.drops:,} of them lost"
        console.print(Text(hit), highlight=False)
    for way, lost in too_long.items():
        console.print(Text(f"  {way:5} {lost:,} packets {_TOWARDS[way]} were too long, and lost"), highlight=False)


def _lines(plan: InjectionPlan) -> Iterator[str]:
    for name, addresses in plan.addresses.items():
        yield f"{name} is {', '.join(addresses)}"
    for hit in plan.hits:
        yield f"hits  {hit}"
    for way in _TOWARDS:
        for knob, setting in plan.changes:
            if knob.name == IFBS[way] and isinstance(setting, Netem):
                yield f"{way:5} {format_setting(setting)}, by {plan.filters} filters into {IFBS[way]}"
        if way in plan.injection.size_drops:
            size = plan.injection.size_drops[way]
            yield f"{way:5} longer than {size} bytes: lost, by {plan.filters} filters before the others"
    for _, setting in plan.changes:
        if isinstance(setting, Clamp):
            yield f"both  TCP handshakes: {format_setting(setting)}, by {len(setting.of or ())} rules of nftables"
