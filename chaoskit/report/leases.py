"""Shows what is in force: the state of every lease, and chaoskit's kernel objects without a lease.

Rule: it changes nothing and needs no rights; it says what it cannot read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.engine.journal import PendingRestore
from chaoskit.engine.lease import FoundLeases, Lease, Leases, Location, state_folder
from chaoskit.errors import RefusedError, SpecError
from chaoskit.faults.netem import NetemSpec
from chaoskit.faults.tc_format import format_setting
from chaoskit.knobs import Clamp, Filter, Flow, Knob, Netem, Setting
from chaoskit.middlebox import Cut, IdleTimeout
from chaoskit.programs import sudo
from chaoskit.report.null_reasons import explained
from chaoskit.report.styles import styled
from chaoskit.spec.injection import Injection, TrafficMatch
from chaoskit.terminal import ascii_json
from chaoskit.topology.steering import CLAMP, HOOKS, IFBS, OneDirection, filter_direction
from chaoskit.units import Duration, counted

State = Literal[
    "in force",
    "ending",
    "starting",
    "not restored",
    "ended",
    "namespace unknown",
    "from another boot",
    "from another machine",
]
_COLOURS: dict[State, str] = {"in force": "bold green", "ending": "bold magenta", "not restored": "bold red"}
_WAYS: tuple[OneDirection, ...] = ("down", "up")  # as everywhere on the screen
_SCHEMA = 1
_WHY_NULL = {
    "remedy": "nothing has to be done",
    "namespace": "it is the namespace of this command, or cannot be reached from here",
    "remaining": "it is not in force, or of another machine or an earlier start of this one",
    "injection": "it is the lease of a run or of exec",
    "watchdog": "it has not been started yet",
}
_MS = 1_000_000  # ns
_NETEM_LIMIT = 1000  # the kernel's own


@dataclass(frozen=True)
class LeaseStatus:
    """A lease and its state. `remaining` in ns, None where it is unknown; `remedy`: what to type.

    `is_here` tells whether it is of the present network namespace; if not, `way_in` is the option that enters its own.

    `injection` is None for what `inject` cannot repeat. `pending` are the journal's changes to restore, in that order.
    """

    lease: Lease
    state: State
    remedy: str = ""
    remaining: int | None = None
    injection: Injection | None = None
    pending: tuple[PendingRestore, ...] = ()
    leftovers: tuple[str, ...] = ()
    is_here: bool = True
    way_in: str | None = None


@dataclass(frozen=True)
class StatusReport:
    """All leases. `unreadable`: errors of folders that cannot be read; `unowned`: chaoskit's knobs without a lease."""

    leases: tuple[LeaseStatus, ...] = ()
    unreadable: tuple[str, ...] = ()
    unowned: tuple[Knob, ...] = ()
    holder: str = ""


def state_folders(environment: Mapping[str, str], uid: int) -> tuple[Path, ...]:
    """The folders of leases on this machine: this user's, and root's."""
    own = state_folder(environment, uid)
    root = () if environment.get("CHAOSKIT_STATE") else (state_folder({}, 0),)
    return tuple(dict.fromkeys((own, *root)))


def read_status(
    folders: Iterable[Path],
    here: Location,
    now: int,
    only: str | None,
    way_into: Callable[[str], str | None],
    is_held_unseen: bool = False,
) -> StatusReport:
    """Read all leases, or only one. `now` as of `clock.boottime`; `way_into` gives the option that enters a network
    namespace; `is_held_unseen`: a process of another container holds the lock of this one.

    Raises SpecError when there is no such lease."""
    standings: list[LeaseStatus] = []
    unreadable: list[str] = []
    for folder in folders:
        leases = Leases(folder)
        found = leases.all()
        wanted = (lease for lease in found.leases if only in (None, lease.id))
        standings += [_lease_status(leases, lease, here, now, way_into, is_held_unseen) for lease in wanted]
        unreadable += _unread(found, only)
    if only is not None and not standings and not unreadable:
        raise SpecError(f"there is no lease {only}: chaoskit status shows all")
    return StatusReport(tuple(standings), tuple(unreadable))


def _unread(found: FoundLeases, only: str | None) -> Iterator[str]:
    return (sentence for name, sentence in found.broken.items() if only in (None, name))


def unowned_knobs(knobs: Iterable[Knob], known: StatusReport) -> tuple[Knob, ...]:
    """The knobs with chaoskit's names that are in the journal of no lease of this network namespace and boot."""
    journalled = {
        entry.knob
        for each in known.leases
        for entry in each.pending
        if each.is_here and not each.state.startswith("from another")
    }
    return tuple(knob for knob in knobs if knob not in journalled)


def _lease_status(
    leases: Leases, lease: Lease, here: Location, now: int, way_into: Callable[[str], str | None], is_held_unseen: bool
) -> LeaseStatus:
    """The lease's state, from its journal and its processes."""
    is_here = lease.namespace == here.namespace
    is_near = (lease.machine, lease.boot) == (here.machine, here.boot)
    way_in = way_into(lease.namespace) if is_near and not is_here else None
    try:
        pending = tuple(leases.pending(lease.id))
    except RefusedError as error:
        return LeaseStatus(lease, "not restored", str(error), None, _injection(lease), is_here=is_here, way_in=way_in)
    watchdog, owner = (process.state if process else "" for process in (lease.watchdog, lease.owner))
    if is_held_unseen and is_near and is_here and lease.watchdog is not None and not lease.watchdog.is_visible:
        watchdog = "S"  # it holds the lock, and nobody else does
    left = lease.deadline - now if is_near else None
    state, remedy = lease_state(lease, here, left, (watchdog, owner), bool(pending), way_in)
    leftovers = tuple(leases.leftovers(lease.id))
    return LeaseStatus(lease, state, remedy, left, _injection(lease), pending, leftovers, is_here, way_in)


def lease_state(
    lease: Lease, here: Location, left: int | None, processes: tuple[str, str], is_pending: bool, way_in: str | None
) -> tuple[State, str]:
    """The lease's state and what to type. `processes`: the states of watchdog and owner."""
    watchdog, owner = processes
    is_here = lease.namespace == here.namespace
    restore = f"chaoskit restore {way_in + ' ' if way_in else ''}{lease.id}"
    as_root = restore.replace("chaoskit", sudo(), 1)
    if lease.machine != here.machine:
        return "from another machine", "its journal does not apply to this one"
    if lease.boot != here.boot:
        return "from another boot", f"its changes ended with that boot; to delete the lease: {restore}"
    if is_pending and not (watchdog or owner or is_here or way_in):
        if way_in == "":
            gone = "its network namespace is gone, and its changes with it"
            return "ended", f"{gone}; to delete the lease: {restore}"
        return "namespace unknown", f"not restored, and its network namespace is not visible from here: {as_root}"
    if watchdog == "T":
        return "in force", f"its watchdog is stopped and will not end it: {restore}"
    if watchdog:
        return ("in force", "") if left is None or left > 0 else ("ending", "")
    if owner and lease.watchdog is None:
        return "starting", ""
    if is_pending:
        return "not restored", f"its watchdog is dead: {restore}"
    return "ended", f"nothing to restore; to delete the lease: {restore}"


def _injection(lease: Lease) -> Injection | None:
    try:
        return Injection.model_validate(lease.injection)
    except ValueError:  # the lease of a run
        return None


def as_json(report: StatusReport) -> str:
    """The whole report; with a single lease `chaoskit inject -` can repeat its injection."""
    fields = {
        "schema": _SCHEMA,
        "leases": [_as_object(each) for each in report.leases],
        "unreadable": report.unreadable,
        "unowned": [str(knob) for knob in report.unowned],
        "holder": report.holder or None,
    }
    text = json.dumps(explained(fields, {"holder": "nothing of chaoskit runs here"}), indent=1, allow_nan=False)
    return ascii_json(text) + "\n"


def _as_object(lease_status: LeaseStatus) -> dict[str, Any]:
    lease = lease_status.lease
    fields = {
        "id": lease.id,
        "state": lease_status.state,
        "remedy": lease_status.remedy or None,
        "interface": lease.interface,
        "is_here": lease_status.is_here,
        "namespace": lease_status.way_in or None,
        "command": lease.command,
        "user": lease.user,
        "since": lease.since,
        "until": lease.until,
        "remaining": None
        if lease_status.remaining is None
        else str(Duration(max(0, lease_status.remaining) // _MS * _MS)),
        "matches": list(_matches(lease_status)),
        "effects": dict(_effects(lease_status)),
        "injection": lease_status.injection.written() if lease_status.injection else None,
        "to_restore": [str(entry.knob) for entry in lease_status.pending],
        "leftovers": list(lease_status.leftovers),
        "watchdog": lease.watchdog.pid if lease.watchdog else None,
    }
    return explained(fields, _WHY_NULL)


def render(report: StatusReport, console: Console) -> None:
    """Print the report; one sentence when there is no lease."""
    for section in _sections(report):
        console.print(section, highlight=False)


def _sections(report: StatusReport) -> Iterator[RenderableType]:
    for number, lease_status in enumerate(report.leases):
        yield from ("",) if number else ()
        yield _heading(lease_status)
        yield _pairs(_lines(lease_status))
    if report.leases and (report.unreadable or report.unowned):
        yield ""
    for sentence in report.unreadable:
        yield styled(f"unreadable: {sentence}", "bold red")
    if report.unowned:
        names = ", ".join(_named(report.unowned))
        yield styled(f"chaoskit's, but in no lease that can be read here: {names}; {sudo()} restore", "bold red")
    if report.holder and not any(
        each.is_here and each.state in ("in force", "starting", "ending") for each in report.leases
    ):
        yield styled(f"Active in this network namespace: {report.holder}")
    elif report == StatusReport():
        yield Text("No chaoskit fault is in force here, and nothing is left to restore.")


def _heading(lease_status: LeaseStatus) -> Text:
    lease = lease_status.lease
    heading = styled(lease_status.state.upper(), _COLOURS.get(lease_status.state, "bold"))
    if lease_status.state in ("in force", "ending") and lease_status.remaining is not None:
        heading.append(f"  {whole_seconds(max(0, lease_status.remaining))} left", style="default not bold")
    return heading.append_text(styled(f"  on {lease.interface}  lease {lease.id}", "default not bold"))


def _lines(lease_status: LeaseStatus) -> Iterator[tuple[str, str]]:
    lease = lease_status.lease
    if not lease_status.is_here and lease_status.state != "from another machine":
        way_in = {None: "not visible from here", "": "gone"}.get(lease_status.way_in, lease_status.way_in)
        yield "where", f"in another network namespace: {way_in}"
    if lease_status.remedy:
        yield "note", lease_status.remedy
    yield from (("match", match) for match in _matches(lease_status))
    yield from _effects(lease_status)
    yield "since", f"{_date(lease.since)}, until {_date(lease.until)}"
    yield "by", f"{lease.user}: {lease.command}"
    if lease_status.state == "not restored":
        yield "to do", ", ".join(_named(entry.knob for entry in lease_status.pending))
    yield from (("left", leftover) for leftover in lease_status.leftovers)


def _named(knobs: Iterable[Knob]) -> Iterator[str]:
    """Knobs by name; filters, of which there may be hundreds, counted by their link."""
    filters: Counter[str] = Counter()
    others = []
    for knob in knobs:
        if knob.kind == "filter":
            filters[knob.name.split(" ")[0]] += 1
        else:
            others.append(str(knob))
    yield from (f"{counted(count, 'filter')} on {link}" for link, count in filters.items())
    yield from others


def _date(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S %Z}"


def _matches(lease_status: LeaseStatus) -> Iterator[str]:
    """The matched traffic as the injection names it, with the addresses of names; of a run, from its filters."""
    found = tuple(dict.fromkeys(_flows(lease_status.pending)))
    if lease_status.injection is not None:
        addresses = dict.fromkeys(prefix for prefix, _ in found if prefix)
        is_named = any(to.name for to in lease_status.injection.to)
        yield _target(lease_status.injection) + (f" ({', '.join(addresses)})" if addresses and is_named else "")
    else:
        yield from (f"{prefix or 'any address'}{f' at port {port}' if port else ''}" for prefix, port in found)


def _flows(pending: Iterable[PendingRestore]) -> Iterator[tuple[str | None, int | None]]:
    """The remote address and port of each filter and of the clamp."""
    for entry in reversed(tuple(pending)):
        if isinstance(entry.wanted, Filter) and isinstance(flow := entry.wanted.match, Flow) and not flow.is_fragment:
            is_up = entry.knob.name.split(" ")[1] == HOOKS["up"]
            yield (flow.destination, flow.destination_port) if is_up else (flow.source, flow.source_port)
        if isinstance(entry.wanted, Clamp | Cut | IdleTimeout):
            for each in entry.wanted.of or ():
                if each.hook == HOOKS["up"]:
                    yield each.destination, each.destination_port


def _target(target: TrafficMatch) -> str:
    if target.everything:
        return "everything"
    narrow = [
        target.protocol or "",
        f"IPv{target.ip}" if target.ip else "",
        f"at local port {target.local_port}" if target.local_port else "",
    ]
    return ", ".join(filter(None, (*map(str, target.to), *narrow)))


def _effects(lease_status: LeaseStatus) -> Iterator[tuple[str, str]]:
    """Each direction in tc's notation: as the journal has it now, else as requested."""
    now = {entry.knob: entry.wanted for entry in lease_status.pending}
    for way in _WAYS:
        if effects := [*_delays(lease_status, now, way), *_size_drops(lease_status, now, way)]:
            yield way, "; ".join(effects)
    for setting in now.values():
        if isinstance(setting, Cut | IdleTimeout):
            yield "both", f"TCP connections: {format_setting(setting)}"
    clamp = now.get(CLAMP)
    asked_mss = lease_status.injection.mss_clamp if lease_status.injection is not None else None
    if isinstance(clamp, Clamp):
        yield "both", f"TCP handshakes: {format_setting(clamp)}"
    elif asked_mss is not None:
        yield "both", f"TCP handshakes: {format_setting(Clamp(asked_mss))}"


def _delays(lease_status: LeaseStatus, now: Mapping[Knob, Setting], way: OneDirection) -> Iterator[str]:
    setting = now.get(Knob("qdisc", "", IFBS[way]))
    asked: NetemSpec | None = getattr(lease_status.injection, way, None)
    if isinstance(setting, Netem):
        yield format_setting(setting)
    elif asked is not None:
        yield format_setting(asked.setting(asked.limit or _NETEM_LIMIT, 0))


def _size_drops(lease_status: LeaseStatus, now: Mapping[Knob, Setting], way: OneDirection) -> Iterator[str]:
    sizes = {
        each.over
        for knob, each in now.items()
        if isinstance(each, Filter) and each.over and filter_direction(knob) == way
    }
    asked = lease_status.injection.size_drops.get(way) if lease_status.injection is not None else None
    for size in sorted(sizes) or ([asked] if asked is not None else []):
        yield f"longer than {size} bytes: dropped"


def _pairs(rows: Iterable[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for word, rest in rows:
        table.add_row(styled(f"  {word}"), styled(rest))
    return table
