"""Checks the timers of a service lab against each other, against the load and against objectives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from chaoskit.planning.model import Plan, PlannedTimer
from chaoskit.planning.workflow_timers import GatewayKeys, gateway_reading, late_fallbacks, tier_answer
from chaoskit.spec.host_timers import Timers
from chaoskit.spec.hosts import ServiceHost
from chaoskit.spec.key_lines import KeyLines, Keys
from chaoskit.spec.objectives import Objective
from chaoskit.spec.server import Pause, Server
from chaoskit.spec.sizes import late_tokens
from chaoskit.spec.workload import Timeouts, Workload
from chaoskit.timeouts.chain import Chain, Lab, chains
from chaoskit.timeouts.files import Files
from chaoskit.timeouts.known_programs import reading_of
from chaoskit.timeouts.lint import Answer, Budget, lint
from chaoskit.timeouts.timers import CALLS, PROBE, SECOND, Callee, Hold, Kind, Reading, Retries, Route, Timer, mended
from chaoskit.units import Duration, Share, counted

_GIVEN: dict[str, Kind] = {
    "connect": "connect",
    "first_byte": "first-byte",
    "idle": "idle",
    "total": "total",
    "reuse": "reuse",
}
_OF_CLIENT: dict[str, Kind] = {"connect": "connect", "first_token": "first-byte", "idle": "gap", "stream": "total"}
_UNKNOWN_FIRST, _UNKNOWN_RATE = 1, 20  # seconds and tokens/s that are taken of a server that is not known
_SHOWN_WITHOUT = ("connect", "first-byte", "idle")
_OF_BEGIN = ("ttft", "ttfb", "ttfo", "e2el")


@dataclass(frozen=True)
class HostOfLab:
    """A host: its name in the file, all its names, its keys, and how it responds where it is the reference server."""

    name: str
    names: tuple[str, ...]
    spec: ServiceHost
    server: Server | None


@dataclass(frozen=True)
class TimerCheck:
    """The timers of a lab, and what is said of them."""

    rows: tuple[PlannedTimer, ...] = ()
    warnings: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def hosts_of(plan: Plan) -> tuple[HostOfLab, ...]:
    """The hosts of a plan, replicas together."""
    groups = dict.fromkeys(each.group for each in plan.hosts)
    replicas = {group: [each for each in plan.hosts if each.group == group] for group in groups}
    return tuple(
        HostOfLab(group, (group, *(each.name for each in found)), found[0].spec, found[0].server)
        for group, found in replicas.items()
    )


def check_timers(
    hosts: Sequence[HostOfLab],
    target: str,
    workload: Workload,
    objectives: Sequence[Objective],
    files: Mapping[str, Files],
    lines: KeyLines = KeyLines(),  # noqa: B008  frozen
) -> TimerCheck:
    """Read and check the timers of these hosts. `files`: what each host sees, by its name; `lines`: of the file."""
    keys = {host.name: host.spec for host in hosts}
    readings = {
        host.name: _reading(host, files[host.name], lines)
        if host.spec.gateway is None
        else gateway_reading(GatewayKeys(keys, host.name, host.spec.gateway, lines))
        for host in hosts
    }
    lab = Lab(readings, {name: host.name for host in hosts for name in host.names})
    url = urlsplit(target)
    port = url.port or (443 if url.scheme == "https" else 80)
    client = _client(workload, Callee(url.hostname or "", port, lines.place(("stage", "target"))), lines)
    found = chains(lab, client, url.path or "/v1/")
    ends = {chain[-1].callee for chain in found}
    answers = {host.name: _answer(host.server, workload) for host in hosts if host.server or ends == {host.name}}
    answers |= {name: answer for name, spec in keys.items() if (answer := tier_answer(spec)) is not None}
    told = lint(lab, found, answers, list(_budgets(objectives)))
    remarks = [f"{name}: {reading.remark}" for name, reading in readings.items() if reading.remark]
    return TimerCheck(
        rows=tuple(_rows(lab, found)),
        warnings=(*remarks, *late_fallbacks(keys, found, lines), *(each.sentence for each in told if each.is_warning)),
        advice=tuple(each.sentence for each in told if not each.is_warning),
    )


def _reading(host: HostOfLab, files: Files, lines: KeyLines) -> Reading:
    """What its configuration says, and over it what the experiment file says."""
    found = Reading() if host.spec.run is None else reading_of(host.spec.run, files)
    given, keys = host.spec.timers, ("stage", "hosts", host.name, "timers")
    routes = found.routes
    if host.spec.calls:
        general = next((route for route in routes if not route.callees), Route((), ()))
        routes = tuple(_called(host, name, timers, general, lines) for name, timers in host.spec.calls.items())
    elif given is not None:
        routes = tuple(_with(route, given, keys, lines) for route in routes)
    own = found.own
    if given is not None and given.keep_alive is not None:
        place = lines.place(keys, "keep-alive")
        kept = Timer("keep-alive", given.keep_alive, "keep-alive", place, "keep-alive: {}s")
        own = (*(each for each in own if each.kind != "keep-alive"), kept)
    return replace(found, routes=routes, own=own, in_turn=bool(host.spec.calls))


def _called(host: HostOfLab, name: str, timers: Timers, general: Route, lines: KeyLines) -> Route:
    """The route of an entry of `calls`: its timers, else those of the host, else those of its program."""
    keys: Keys = ("stage", "hosts", host.name)
    route = replace(general, callees=(Callee(name, None, lines.place((*keys, "calls"))),))
    if host.spec.timers is not None:
        route = _with(route, host.spec.timers, (*keys, "timers"), lines)
    return _with(route, timers, (*keys, "calls", name), lines)


def _with(route: Route, given: Timers, keys: Keys, lines: KeyLines) -> Route:
    """The route with what is given by these keys; each kind of timer replaces all of its kind."""
    named = [
        Timer(kind, value, kind, lines.place(keys, kind), f"{kind}: {{}}s")
        for key, kind in _GIVEN.items()
        if (value := getattr(given, key)) is not None
    ]
    kinds = {each.kind for each in named}
    found = replace(route, timers=(*(each for each in route.timers if each.kind not in kinds), *named))
    if given.retries is not None:
        after: frozenset[Kind] = frozenset({"connect", "first-byte", "idle", "total"})
        found = replace(found, retries=Retries(given.retries, after, "retries", lines.place(keys, "retries")))
    if given.buffering is not None:
        place = lines.place(keys, "buffering")
        mend = mended("buffering: false", place)
        holds = (Hold(f"buffers responses (buffering in {place})", mend, True),) if given.buffering else ()
        found = replace(found, holds=holds)
    return found


def _client(workload: Workload, target: Callee, lines: KeyLines) -> Route:
    given, usual, keys = workload.timeouts, Timeouts().at_target(), ("workload", "timeouts")
    timers = []
    for key, kind in _OF_CLIENT.items():
        name = key.replace("_", "-")
        is_default = getattr(given, key) == getattr(usual, key)
        place = lines.place(keys, name)
        timers.append(Timer(kind, getattr(given, key), name, place, f"{name}: {{}}s", is_default, PROBE))
    return Route((target,), tuple(timers))


def _answer(server: Server | None, workload: Workload) -> Answer:
    """What an answer takes at its slowest hundredth; of an unknown server what is usual."""
    tokens = late_tokens(workload)
    zero = Duration(0)
    if server is None or not server.is_scripted:
        whole = Duration((_UNKNOWN_FIRST * _UNKNOWN_RATE + tokens) * SECOND // _UNKNOWN_RATE)
        says = f"{counted(tokens, 'token')} at {_UNKNOWN_RATE} tokens/s, as is taken of a server that is not known"
        return Answer(zero, "", zero, "", whole, says, is_assumed=True)
    tokens += server.reasoning_tokens
    before = Duration(sum(each.for_ for each in server.pause if each.after == 0))
    paused = [each for each in server.pause if 0 < each.after < tokens]
    within = [each.for_ for each in paused]
    longest = max(paused, key=lambda each: each.for_, default=None)
    first, pace = Duration(server.first_token.p99 + before), server.token_interval
    silence = Duration(max(within, default=0) + pace * server.tokens_per_event)
    whole = Duration(first + (tokens - 1) * pace + sum(within))
    first_says = f"first-token p99 {server.first_token.p99}" + (f" and a pause of {before}" if before else "")
    pauses = f" and pauses of {Duration(sum(within))}" if within else ""
    return Answer(
        first=first,
        first_says=first_says,
        silence=silence,
        silence_says=f"token-interval {pace}" if longest is None else _words_of(longest),
        whole=whole,
        whole_says=f"{first_says}, then {counted(tokens - 1, 'token')} at {pace} each{pauses}",
    )


def _words_of(pause: Pause) -> str:
    return f"a pause of {pause.for_}" + ("" if pause.share == Share.largest else f" in {pause.share} of the responses")


def _budgets(objectives: Sequence[Objective]) -> Iterator[Budget]:
    for each in objectives:
        if each.bound is not None and each.operator in ("<", "<=") and each.metric.split("_")[0] in _OF_BEGIN:
            is_whole = each.metric.startswith("e2el")
            yield Budget(Duration(round(each.bound)), f"the objective is {each.text}", is_whole)


def _rows(lab: Lab, found: Sequence[Chain]) -> Iterator[PlannedTimer]:
    """Each timer once: those of calls in the order of the chains, then those towards callers."""
    rows: dict[PlannedTimer, None] = {}
    for call in (call for chain in found for call in chain):
        for timer in sorted(call.route.timers, key=lambda each: CALLS.index(each.kind)):
            rows[_row(call.caller, call.callee, timer)] = None
    for name, reading in lab.readings.items():
        for timer in reading.own:
            rows[_row(name, None, timer)] = None
    yield from (row for row in rows if row.value is not None or row.kind in _SHOWN_WITHOUT)


def _row(host: str, callee: str | None, timer: Timer) -> PlannedTimer:
    return PlannedTimer(host=host, callee=callee, kind=timer.kind, value=timer.value, source=timer.source)
