"""Renders a plan: what it changes, what the kernel rounds, how long it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import fields

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.faults.tc_format import format_setting
from chaoskit.knobs import Change, Filter, Flow, MatchAll, Netem, Setting, U32Match
from chaoskit.planning.decidability import decidability_warnings, joint_advice, supply_until
from chaoskit.planning.model import Plan
from chaoskit.planning.phase_settings import phase_settings
from chaoskit.planning.timetable import Timetable
from chaoskit.planning.until_decided import when
from chaoskit.report.load_control import classes, controls
from chaoskit.report.requested import requested
from chaoskit.report.styles import styled, titled
from chaoskit.report.timer_table import timer_table
from chaoskit.spec.endpoint import redacted
from chaoskit.spec.host_tuning import Client
from chaoskit.spec.objectives import Objective
from chaoskit.topology.lab_build import build
from chaoskit.topology.steering import BLACKHOLE, PROTOCOLS
from chaoskit.units import Duration, counted


def render(plan: Plan, console: Console, is_whole: bool = False) -> None:
    """Print the plan; with `is_whole` what every lab is made of, too. Changes nothing."""
    for line in _head(plan):
        console.print(line, highlight=False)
    console.print(Padding(_timeline(plan), (0, 0, 0, 2)))
    for line in _measured(plan):
        console.print(line, highlight=False)
    if plan.timers:
        console.print(Text("Timers", "bold"))
        console.print(Padding(timer_table(plan.timers), (0, 0, 1, 2)))
    for line in _rest(plan, is_whole or plan.interface is not None):
        console.print(line, highlight=False)


def _head(plan: Plan) -> Iterator[Text]:
    yield titled(plan.name, f"  {plan.question}")
    yield Text()
    yield titled("Takes", f"   {_length(plan)}")
    yield titled("Needs", f"   {', '.join(sorted(plan.needs)) or 'nothing'}")
    yield titled("Sends", f"   {_traffic(plan)}")
    for other in plan.workloads:
        yield titled("Beside", f"  {other.name}: {requested(other.workload)}; to {other.target}")
    yield Text()
    told = [*filter(None, [plan.interleaved]), *([f"looks {when(plan.looks)}"] if plan.looks is not None else [])]
    yield titled("Timeline", f"  {'; '.join(told)}" if told else "")


def _measured(plan: Plan) -> Iterator[Text]:
    for pulse in dict.fromkeys(pulse for phase in plan.phases for pulse in phase.pulses):
        yield styled(f"  at each phase the {pulse}")
    yield Text()
    yield Text("Objectives", "bold")
    for objective in plan.objectives:
        yield styled(f"  {objective.text}{_supply(plan, objective)}")
    if not plan.objectives:
        yield Text("  none: the run measures and exits with 0")
    if plan.classes:
        yield Text()
        yield titled("Classes", f"  {plan.workload.carry.class_}")
        yield from (styled(f"  {line}") for line in classes(plan))
    yield from _hosts(plan)
    yield Text()


def _rest(plan: Plan, is_whole: bool) -> Iterator[Text]:
    usual = frozenset() if is_whole else frozenset(build(plan.topology, frozenset()))
    yield _place(plan)
    yield from (styled(f"  {line}") for line in _stage(plan, usual))
    if usual:
        yield styled("  links, addresses and routes, as in every lab (--all lists them)")
    for rounding in plan.roundings:
        text = f"  {rounding.where}: requested {rounding.asked}, the kernel sets {rounding.kernel}"
        yield titled("rounds", text, "yellow")
    yield from (styled(f"note    {remark}") for remark in plan.remarks)
    for warning in (*plan.warnings, *decidability_warnings(plan)):
        yield titled("warning", f" {warning}", "yellow")
    yield from (titled("advice", f"  {advice}") for advice in (*plan.advice, *joint_advice(plan)))


def _supply(plan: Plan, objective: Objective) -> str:
    """How many streams a run until all is decided gives to an objective, and at which look these can decide it."""
    if plan.looks is None:
        return ""
    most, rounds = supply_until(plan, objective)
    earliest = f"; at the earliest after {counted(rounds, 'round')}" if rounds else ""
    return f"  (at most {counted(most, 'stream')}{earliest})"


def _length(plan: Plan) -> str:
    length, drain = Duration(plan.length).spaced(), Duration(plan.drain // 10**8 * 10**8).spaced()
    if plan.looks is not None:
        length = f"at most {length} in {counted(plan.looks.rounds[-1], 'round')}"
        return f"{length}, less when all objectives are decided, then at most {drain} for open streams"
    return f"{length} in {counted(len(plan.phases), 'phase')}, then at most {drain} for open streams"


def _traffic(plan: Plan) -> str:
    work = plan.workload
    about = f" (about {counted(Timetable.of(plan).started or 0, 'stream')})" if work.is_open_loop else ""
    asks = requested(work, about)
    protocol = f"{work.protocol} over HTTP/{work.http}"
    if plan.interface is None:
        return f"{protocol}{' and TLS' if plan.target.startswith('https:') else ''}, {asks}"
    access = plan.interface.access
    holder = access.key_env or access.key_file
    told = [*([f"with the key in {holder}"] if holder else []), *access.conditions(plan.target)]
    way = "".join(f", {each}" for each in told)
    return f"{redacted(plan.target)} for {access.model or 'the model that it lists'}{way}: {protocol}, {asks}"


def _timeline(plan: Plan) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("at", "for", "phase", "sets"):
        table.add_column(column, justify="right" if column in ("at", "for") else "left", no_wrap=column != "sets")
    at, rounds = 0, plan.looks.rounds[0] if plan.looks is not None else len(plan.phases)
    for phase in (phase for phase in plan.phases if phase.round < rounds):  # the others are as these
        sets = Text("\n").join(map(styled, phase_settings(phase, plan.lab) or ["nothing"]))
        table.add_row(Duration(at).spaced(), Duration(phase.length).spaced(), styled(phase.name), sets)
        at += phase.length
    return table


def _hosts(plan: Plan) -> Iterator[Text]:
    """The hosts of a service lab: address, program, and when it is ready."""
    if not plan.hosts:
        return
    yield Text()
    yield Text("Hosts", "bold")
    width = max(len(host.name) for host in plan.hosts)
    for host in plan.hosts:
        (address,) = plan.topology.resolve(host.name, plan.ip)
        program = host.spec.shown + (", port 8000" if host.spec.run is None else "")
        ready = host.spec.ready
        told = [program, *([f"ready when it {ready}, within {ready.within}"] if ready is not None else [])]
        yield styled(f"  {host.name:{width}}  {address}  {'; '.join(told)}")
        for line in controls(plan, host.spec, host.group):
            yield styled(f"    {line}")


def _place(plan: Plan) -> Text:
    count = len(plan.stage)
    if plan.interface is None:
        return titled("The lab", f" ({counted(count, 'change')}, all in namespaces of its own, all put back)")
    where = f" in {plan.interface.namespace_name}" if plan.interface.namespace_name else ""
    title = f"The interface {plan.interface.name}{where}"
    if not plan.all_changes:
        return titled(title, " (nothing on it is changed)")
    text = counted(count, "change") if count else "changed by its phases alone"
    last = f"at the latest {Duration(plan.interface.lease).spaced()} after the run's last sign of life"
    return titled(title, f" ({text}, all put back: {last}; its own queue is not touched)")


def _stage(plan: Plan, usual: Set[Change]) -> Iterator[str]:
    """Its changes, but not the usual ones."""
    if plan.interface is not None:
        for name, addresses in plan.interface.addresses.items():
            yield f"{name} is {', '.join(addresses)}"
        yield from (f"matches {each}" for each in plan.interface.hits)
    for change in plan.stage:
        if (change.knob, change.setting) in usual:
            continue
        if not isinstance(change.setting, Filter) or not isinstance(change.setting.match, U32Match):
            place = f"{change.knob.place}: " if change.knob.place else ""
            yield f"{place}{change.knob.kind} {change.knob.name}" + _value(change.setting)
    yield from _filters_of_bytes(plan)
    yield from _sockets(plan)


def _sockets(plan: Plan) -> Iterator[str]:
    """What no knob sets. In a lab the congestion control is a parameter of its host."""
    for end, host in (("client", plan.client), ("server", plan.server)):
        given = [] if host is None or host.maxseg is None else [f"maxseg {host.maxseg}"]
        if isinstance(host, Client) and host.tcp_keepalive is not None:
            given.append(f"tcp-keepalive {host.tcp_keepalive}")
        if plan.interface is not None and host is not None and host.congestion_control is not None:
            given.append(f"congestion-control {host.congestion_control}")
        if given:
            yield f"{end}: {' and '.join(given)}, on each of its sockets"


def _filters_of_bytes(plan: Plan) -> Iterator[str]:
    """The u32 filters, of which there are many: by their hook, from the first to the last."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for change in plan.stage:
        if isinstance(change.setting, Filter) and isinstance(change.setting.match, U32Match):
            hook, _, priority = change.knob.name.rpartition(" ")
            found[hook, _action(change.setting)].append(priority)
    for (hook, action), priorities in found.items():
        yield f"filter {hook} {priorities[0]} to {priorities[-1]}: u32 on bytes of the headers (--json), {action}"


def _value(setting: Setting) -> str:
    if setting is None:
        return ""
    if isinstance(setting, Filter):
        return f": {_match(setting)}, {_action(setting)}"
    if isinstance(setting, Netem):
        return f": netem, {format_setting(setting)}"
    values = {f.name: getattr(setting, f.name) for f in fields(setting) if getattr(setting, f.name) != f.default}
    return " " + " ".join(f"{k.replace('_', '-')}={v}" for k, v in values.items()) if values else ""


def _action(setting: Filter) -> str:
    """What happens to the packets: `through chaos-up`, `dropped when longer than 1400 bytes`."""
    action = "dropped" if setting.redirect_to in (None, BLACKHOLE) else f"through {setting.redirect_to}"
    return f"{action} when longer than {setting.over} bytes" if setting.over else action


def _match(setting: Filter) -> str:
    """Which packets it matches: `ip tcp from 192.0.2.7/32 port 443`."""
    match setting.match:
        case MatchAll():
            return "everything"
        case U32Match(keys):
            return f"{setting.family} by {counted(len(keys), '32-bit word')} of its headers"
        case Flow() as flow:
            names = {number: name for name, number in PROTOCOLS.items()}
            words = [setting.family, names.get(flow.protocol, f"protocol {flow.protocol}") if flow.protocol else ""]
            for side, prefix, port in (
                ("from", flow.source, flow.source_port),
                ("to", flow.destination, flow.destination_port),
            ):
                if prefix or port:
                    words += [side, prefix or "", f"port {port}" if port else ""]
            return " ".join(filter(None, (*words, "fragments of any port" if flow.is_fragment else "")))
