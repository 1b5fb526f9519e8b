"""What is in force, for whoever looks: every lease with what has become of it, and what of ours has none.

Rule: looking changes nothing and takes no rights; what cannot be seen is said to be unseen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from chaoskit.engine.journal import PendingRestore
from chaoskit.engine.lease import FoundLeases, Lease, Leases, Location, state_folder
from chaoskit.errors import RefusedError
from chaoskit.faults.netem import NetemSpec
from chaoskit.faults.tc_format import format_setting
from chaoskit.knobs import Clamp, Filter, Flow, Knob, Netem, Setting
from chaoskit.report.styles import styled
from chaoskit.spec.injection import Injection, TrafficMatch
from chaoskit.terminal import ascii_json
from chaoskit.topology.edge import affected_direction
from chaoskit.topology.steering import CLAMP, HOOKS, IFBS, OneDirection
from chaoskit.units import Duration

State = Literal[
    "in force", "ending", "beginning", "not restored", "ended", "elsewhere", "of another boot", "of another machine"
]
_COLOURS: dict[State, str] = {"in force": "bold green", "ending": "bold magenta", "not restored": "bold red"}
_WAYS: tuple[OneDirection, ...] = ("down", "up")  # as everywhere on the screen
_SCHEMA = 1
_MS = 1_000_000  # ns
_NETEM_LIMIT = 1000  # the kernel's own


@dataclass(frozen=True)
class LeaseStatus:
    """A lease and what has become of it. `left` in ns, None where time does not tell; `remedy`: what to type.

    `injection` is None for what no `inject` can repeat. `pending` are the journal's pending restores, in their order.
    """

    lease: Lease
    state: State
    remedy: str = ""
    left: int | None = None
    injection: Injection | None = None
    pending: tuple[PendingRestore, ...] = ()
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True)
class StatusReport:
    """All there is to see. `broken`: folders that cannot be read; `strays`: knobs of ours that no lease knows."""

    standings: tuple[LeaseStatus, ...] = ()
    broken: tuple[str, ...] = ()
    strays: tuple[Knob, ...] = ()
    holder: str = ""


def folders(environment: Mapping[str, str], uid: int) -> tuple[Path, ...]:
    """Where leases may lie that concern this machine: this user's, and root's."""
    own = state_folder(environment, uid)
    everybody = () if environment.get("CHAOSKIT_STATE") else (state_folder({}, 0),)
    return tuple(dict.fromkeys((own, *everybody)))


def look(places: Iterable[Path], here: Location, now: int, only: str | None = None) -> StatusReport:
    """Read all leases, or the one that is named. `now` as of `clock.boottime`. Raises RefusedError for no such one."""
    standings: list[LeaseStatus] = []
    broken: list[str] = []
    for place in places:
        leases = Leases(place)
        found = leases.all()
        standings += [_standing(leases, lease, here, now) for lease in found.leases if only in (None, lease.id)]
        broken += _unread(found, only)
    if only is not None and not standings and not broken:
        raise RefusedError(f"there is no lease {only}: chaoskit status shows all")
    return StatusReport(tuple(standings), tuple(broken))


def _unread(found: FoundLeases, only: str | None) -> Iterator[str]:
    return (sentence for name, sentence in found.broken.items() if only in (None, name))


def strays(ours: Iterable[Knob], known: StatusReport) -> tuple[Knob, ...]:
    """The knobs with chaoskit's names that no lease of this machine, boot and namespace has in its journal."""
    journalled = {
        entry.knob for each in known.standings for entry in each.pending if not each.state.startswith("of another")
    }
    return tuple(knob for knob in ours if knob not in journalled)


def _standing(leases: Leases, lease: Lease, here: Location, now: int) -> LeaseStatus:
    """What has become of it."""
    try:
        pending = tuple(leases.pending(lease.id))
    except RefusedError as error:
        return LeaseStatus(lease, "not restored", str(error), None, _injection(lease))
    watchdog, owner = (process.state if process else "" for process in (lease.watchdog, lease.owner))
    left = lease.deadline - now if here.boot == lease.boot and here.machine == lease.machine else None
    state, remedy = judge(lease, here, left, (watchdog, owner), bool(pending))
    return LeaseStatus(lease, state, remedy, left, _injection(lease), pending, tuple(leases.leftovers(lease.id)))


def judge(
    lease: Lease, here: Location, left: int | None, processes: tuple[str, str], is_pending: bool
) -> tuple[State, str]:
    """Its state and what to type. `processes`: the states of watchdog and owner as `engine.lease.Process` has them."""
    watchdog, owner = processes
    command = f"chaoskit restore {lease.id}"
    if lease.machine != here.machine:
        return "of another machine", "its journal says nothing about this one"
    if lease.boot != here.boot:
        return "of another boot", f"what it set ended with that boot; to remove the lease: {command}"
    if lease.namespace != here.namespace:
        if watchdog:
            state = "in force there"
        else:
            state = f"its watchdog is dead: there, {command}" if is_pending else "nothing is pending"
        return "elsewhere", f"in another network namespace; {state}"
    if watchdog == "T":
        return "in force", f"its watchdog is stopped and will not end it: {command}"
    if watchdog:
        return ("in force", "") if left is None or left > 0 else ("ending", "")
    if owner and lease.watchdog is None:
        return "beginning", ""
    if is_pending:
        return "not restored", f"its watchdog is dead: {command}"
    return "ended", f"nothing is pending; to remove the lease: {command}"


def _injection(lease: Lease) -> Injection | None:
    try:
        return Injection.model_validate(lease.injection)
    except ValueError:  # a run's
        return None


def as_json(outlook: StatusReport) -> str:
    """All of it; the injection of the only lease can be given to `chaoskit inject -`."""
    told = {
        "schema": _SCHEMA,
        "leases": [_as_words(each) for each in outlook.standings],
        "broken": outlook.broken,
        "strays": [str(knob) for knob in outlook.strays],
        "holder": outlook.holder or None,
    }
    return ascii_json(json.dumps(told, indent=1)) + "\n"


def _as_words(standing: LeaseStatus) -> dict[str, Any]:
    lease = standing.lease
    return {
        "id": lease.id,
        "state": standing.state,
        "remedy": standing.remedy or None,
        "interface": lease.interface,
        "command": lease.command,
        "user": lease.user,
        "since": lease.since,
        "until": lease.until,
        "left": None if standing.left is None else str(Duration(max(0, standing.left) // _MS * _MS)),
        "hits": list(_hits(standing)),
        "does": dict(_does(standing)),
        "injection": standing.injection.written() if standing.injection else None,
        "pending": [str(entry.knob) for entry in standing.pending],
        "leftovers": list(standing.leftovers),
        "watchdog": lease.watchdog.pid if lease.watchdog else None,
    }


def render(outlook: StatusReport, console: Console) -> None:
    """Print it. One sentence when there is nothing."""
    for section in _sections(outlook):
        console.print(section, highlight=False)


def _sections(outlook: StatusReport) -> Iterator[RenderableType]:
    for number, standing in enumerate(outlook.standings):
        yield from ("",) if number else ()
        yield _heading(standing)
        yield _pairs(_lines(standing))
    if outlook.standings and (outlook.broken or outlook.strays):
        yield ""
    for sentence in outlook.broken:
        yield styled(f"unreadable: {sentence}", "bold red")
    if outlook.strays:
        names = ", ".join(_named(outlook.strays))
        yield styled(f"of ours, but of no lease that can be seen from here: {names}; sudo chaoskit restore", "bold red")
    if outlook.holder and not any(each.state in ("in force", "beginning", "ending") for each in outlook.standings):
        yield styled(f"At work in this network namespace: {outlook.holder}")
    elif outlook == StatusReport():
        yield Text("Nothing of chaoskit's is in force here, and no restore is pending.")


def _heading(standing: LeaseStatus) -> Text:
    lease = standing.lease
    heading = styled(standing.state.upper(), _COLOURS.get(standing.state, "bold"))
    if standing.state in ("in force", "ending") and standing.left is not None:
        heading.append(f"  {max(0, standing.left) // 10**9} s left", style="default not bold")
    return heading.append_text(styled(f"  on {lease.interface}  lease {lease.id}", "default not bold"))


def _lines(standing: LeaseStatus) -> Iterator[tuple[str, str]]:
    lease = standing.lease
    if standing.remedy:
        yield "but" if standing.state == "in force" else "so", standing.remedy
    yield from (("hits", hit) for hit in _hits(standing))
    yield from _does(standing)
    yield "since", f"{_date(lease.since)}, until {_date(lease.until)}"
    yield "by", f"{lease.user}: {lease.command}"
    if standing.state == "not restored":
        yield "pending", ", ".join(_named(entry.knob for entry in standing.pending))
    yield from (("left", leftover) for leftover in standing.leftovers)


def _named(knobs: Iterable[Knob]) -> Iterator[str]:
    """Knobs by name; filters, of which there may be hundreds, counted by their link."""
    filters: Counter[str] = Counter()
    others = []
    for knob in knobs:
        if knob.kind == "filter":
            filters[knob.name.split(" ")[0]] += 1
        else:
            others.append(str(knob))
    yield from (f"{count} filter{'s' if count > 1 else ''} on {link}" for link, count in filters.items())
    yield from others


def _date(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S %Z}"


def _hits(standing: LeaseStatus) -> Iterator[str]:
    """In the author's words, and the addresses that names stand for; of a run, as its filters say."""
    found = tuple(dict.fromkeys(_flows(standing.pending)))
    if standing.injection is not None:
        addresses = dict.fromkeys(prefix for prefix, _ in found if prefix)
        is_named = any(to.name for to in standing.injection.to)
        yield _whom(standing.injection) + (f" ({', '.join(addresses)})" if addresses and is_named else "")
    else:
        yield from (f"{prefix or 'anybody'}{f' at port {port}' if port else ''}" for prefix, port in found)


def _flows(pending: Iterable[PendingRestore]) -> Iterator[tuple[str | None, int | None]]:
    """The far ends that the filters and the clamp look for."""
    for entry in reversed(tuple(pending)):
        if isinstance(entry.wanted, Filter) and isinstance(flow := entry.wanted.match, Flow) and not flow.is_fragment:
            is_up = entry.knob.name.split(" ")[1] == HOOKS["up"]
            yield (flow.destination, flow.destination_port) if is_up else (flow.source, flow.source_port)
        if isinstance(entry.wanted, Clamp):
            for each in entry.wanted.of or ():
                if each.hook == HOOKS["up"]:
                    yield each.flow.destination, each.flow.destination_port


def _whom(whom: TrafficMatch) -> str:
    if whom.everything:
        return "everything"
    narrow = [
        whom.protocol or "",
        f"IPv{whom.ip}" if whom.ip else "",
        f"at our port {whom.local_port}" if whom.local_port else "",
    ]
    return ", ".join(filter(None, (*map(str, whom.to), *narrow)))


def _does(standing: LeaseStatus) -> Iterator[tuple[str, str]]:
    """Each direction in tc's words: as the journal has it now, else as was asked."""
    now = {entry.knob: entry.wanted for entry in standing.pending}
    for way in _WAYS:
        if does := [*_delays(standing, now, way), *_loses(standing, now, way)]:
            yield way, "; ".join(does)
    clamp = now.get(CLAMP)
    asked_mss = standing.injection.mss_clamp if standing.injection is not None else None
    if isinstance(clamp, Clamp):
        yield "both", f"TCP handshakes: {format_setting(clamp)}"
    elif asked_mss is not None:
        yield "both", f"TCP handshakes: {format_setting(Clamp(asked_mss))}"


def _delays(standing: LeaseStatus, now: Mapping[Knob, Setting], way: OneDirection) -> Iterator[str]:
    setting = now.get(Knob("qdisc", "", IFBS[way]))
    asked: NetemSpec | None = getattr(standing.injection, way, None)
    if isinstance(setting, Netem):
        yield format_setting(setting)
    elif asked is not None:
        yield format_setting(asked.setting(asked.limit or _NETEM_LIMIT, 0))


def _loses(standing: LeaseStatus, now: Mapping[Knob, Setting], way: OneDirection) -> Iterator[str]:
    sizes = {
        each.over
        for knob, each in now.items()
        if isinstance(each, Filter) and each.over and affected_direction(knob) == way
    }
    asked = standing.injection.size_drops.get(way) if standing.injection is not None else None
    for size in sorted(sizes) or ([asked] if asked is not None else []):
        yield f"longer than {size} bytes: lost"


def _pairs(rows: Iterable[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for word, rest in rows:
        table.add_row(styled(f"  {word}"), styled(rest))
    return table
