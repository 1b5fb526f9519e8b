"""Performs an injection: looks up the host, plans, applies, holds it for its lease, restores.

Rules: the lease ends by itself, whichever process dies; an interrupt ends it early; the packets that passed through
the fault are counted before it is removed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaoskit.clock import Clock, RealClock, boottime
from chaoskit.conduct import signals
from chaoskit.conduct.lease_scope import HeldLease, LeaseRequest, hold_lease
from chaoskit.conduct.network_namespace import enter
from chaoskit.counters import QueueCounters
from chaoskit.engine.apply_restore import apply, examine
from chaoskit.engine.lease import Lease, user_name
from chaoskit.errors import NotRestoredError, RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.host_lookups import look_up
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.rights import require_net_admin
from chaoskit.knobs import Filter, Kernel
from chaoskit.middlebox import Cut, IdleTimeout
from chaoskit.planning.injection import InjectionPlan, compile_injection
from chaoskit.planning.obstacles import classifier
from chaoskit.spec.injection import Injection
from chaoskit.topology.steering import HOOKS, OneDirection, filter_direction, qdisc

_TICK = 200_000_000  # ns between two checks of the watchdog


@dataclass(frozen=True)
class InjectionOutcome:
    """How an injection ended: the signal that ended it early (0: none), the counters of its queues, how many packets
    were dropped for their size, and the counters of what ended connections."""

    sign: int
    counters: dict[OneDirection, QueueCounters] = field(default_factory=dict)
    too_long: dict[OneDirection, int] = field(default_factory=dict)
    ended: QueueCounters | None = None


def prepare(injection: Injection) -> tuple[InjectionPlan, Facts]:
    """The plan for this machine, and what this machine can do. Enters the chosen network namespace; changes nothing.

    Raises RefusedError and SpecError for what cannot, or must not, be done here.
    """
    enter(injection)
    facts = detect_features()
    lookups = look_up(injection.interface, [to.host for to in injection.to if to.host])
    return compile_injection(injection, lookups, classifier(facts)), facts


def hold(plan: InjectionPlan, facts: Facts, state: Path, in_force: Callable[[Lease], bool]) -> InjectionOutcome:
    """Apply it, hold it until its lease ends or a signal arrives, restore.

    `in_force` is called once everything is set; when it returns True, the lease is left to its watchdog, and this
    function returns. Raises RefusedError, after which nothing is changed any more, and NotRestoredError.
    """
    require_net_admin(plan.interface)
    if lacking := facts.lacks(plan.needs):
        raise RefusedError("; ".join(dict.fromkeys(facts.missing[feature] for feature in lacking)))
    clock = RealClock()
    outcome = InjectionOutcome(0)
    try:
        with signals.raised(), hold_lease(_request(plan), lambda: LinuxKernel(facts, clock), state) as held:
            examine(held.kernel, plan.changes)
            for change in plan.changes:
                apply(held.kernel, held.journal, change)
            held.begin()
            try:
                if in_force(held.lease):
                    held.detach()
                else:
                    _wait(held, clock)
            finally:
                seen = _queue_counters(held.kernel), _oversize_drops(held.kernel, plan), _ended(held.kernel, plan)
                outcome = InjectionOutcome(0, *seen)
    except signals.Interrupted as interrupted:
        return replace(outcome, sign=interrupted.sign)
    except NotRestoredError as error:
        raise NotRestoredError(f"{plan.interface}: {error}") from None
    return outcome


def _request(plan: InjectionPlan) -> LeaseRequest:
    injection = plan.injection
    as_given = injection.model_copy(update={"interface": plan.interface}).written()
    return LeaseRequest("inject", user_name(os.environ, os.getuid()), plan.interface, injection.for_, as_given)


def _wait(held: HeldLease[LinuxKernel], clock: Clock) -> None:
    """Wait until the lease ends. Raises RefusedError when its watchdog was killed: no fault stays without one."""
    while (left := held.lease.deadline - boottime()) > 0:
        held.renew()
        clock.sleep_until(clock.now() + min(left, _TICK))


def _queue_counters(kernel: Kernel) -> dict[OneDirection, QueueCounters]:
    seen = {way: kernel.counters(qdisc(way)) for way in HOOKS}
    return {way: counters for way, counters in seen.items() if counters is not None}


def _ended(kernel: Kernel, plan: InjectionPlan) -> QueueCounters | None:
    """The counters of all that ended connections together; None without such a fault."""
    knobs = (knob for knob, setting in plan.changes if isinstance(setting, Cut | IdleTimeout))
    seen = [counters for knob in knobs if (counters := kernel.counters(knob)) is not None]
    if not seen:
        return None
    packets, drops, ended = (sum(getattr(each, name) for each in seen) for name in ("packets", "drops", "overlimits"))
    return QueueCounters(packets, 0, drops, ended, 0, 0, 0)


def _oversize_drops(kernel: Kernel, plan: InjectionPlan) -> dict[OneDirection, int]:
    """Packets dropped for their size, for each direction that has such a fault."""
    size_filters = tuple(knob for knob, setting in plan.changes if isinstance(setting, Filter) and setting.over)
    dropped = Counter({filter_direction(knob): 0 for knob in size_filters})
    for knob, seen in kernel.filter_counters(size_filters).items():
        dropped[filter_direction(knob)] += seen.drops
    return dict(dropped)
