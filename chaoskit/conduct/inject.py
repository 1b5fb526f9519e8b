"""An injection from its words to its end: looked up, planned, set, held for its lease, put back.

Rules: the lease ends by itself, whoever dies; an interrupt ends it early; what passed through the fault is
counted before it goes.
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
from chaoskit.engine.apply_restore import apply, examine
from chaoskit.engine.lease import Lease, user
from chaoskit.errors import NotRestoredError, RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.host_lookups import look_up
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.rights import require_net_admin
from chaoskit.knobs import Filter, Kernel, QueueCounters
from chaoskit.plan.injection import InjectionPlan, compile_injection
from chaoskit.spec.injection import Injection
from chaoskit.topology.edge import affected_direction
from chaoskit.topology.steering import HOOKS, OneDirection, qdisc

_TICK = 200_000_000  # ns between two looks at the guard


@dataclass(frozen=True)
class End:
    """How an injection ended: the signal that ended it early (0: none), what had passed through it, and how many
    packets had been lost for their size."""

    sign: int
    counters: dict[OneDirection, QueueCounters] = field(default_factory=dict)
    too_long: dict[OneDirection, int] = field(default_factory=dict)


def prepare(injection: Injection) -> tuple[InjectionPlan, Facts]:
    """The plan on this machine, and what this machine can do. Changes nothing.

    Raises RefusedError and SpecError for what cannot, or must not, be done here.
    """
    facts = detect_features()
    ground = look_up(injection.interface, [to.host for to in injection.to if to.host])
    classifier = "u32" if "u32" in facts.features and "flower" not in facts.features else "flower"
    return compile_injection(injection, ground, classifier), facts


def hold(plan: InjectionPlan, facts: Facts, state: Path, in_force: Callable[[Lease], bool]) -> End:
    """Set it, hold it until its lease ends or a signal comes, put it back.

    `in_force` is called once all is set; when it says so, the lease is left to its guard, and this returns.
    Raises RefusedError, and then nothing is changed any more, and NotRestoredError.
    """
    require_net_admin(plan.interface)
    if lacking := facts.lacks(plan.needs):
        raise RefusedError("; ".join(dict.fromkeys(facts.missing[feature] for feature in lacking)))
    clock = RealClock()
    end = End(0)
    try:
        with signals.raised(), hold_lease(_order(plan), lambda: LinuxKernel(facts, clock), state) as held:
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
                end = End(0, _counted(held.kernel), _too_long(held.kernel, plan))
    except signals.Interrupted as interrupted:
        return replace(end, sign=interrupted.sign)
    except NotRestoredError as error:
        raise NotRestoredError(f"{plan.interface}: {error}") from None
    return end


def _order(plan: InjectionPlan) -> LeaseRequest:
    injection = plan.injection
    told = injection.model_copy(update={"interface": plan.interface}).written()
    return LeaseRequest("inject", user(os.environ, os.getuid()), plan.interface, injection.for_, told)


def _wait(held: HeldLease[LinuxKernel], clock: Clock) -> None:
    """Until the lease ends. Raises RefusedError when its guard was killed: nothing stays without one."""
    while (left := held.lease.ends - boottime()) > 0:
        held.renew()
        clock.sleep_until(clock.now() + min(left, _TICK))


def _counted(kernel: Kernel) -> dict[OneDirection, QueueCounters]:
    seen = {way: kernel.counters(qdisc(way)) for way in HOOKS}
    return {way: counters for way, counters in seen.items() if counters is not None}


def _too_long(kernel: Kernel, plan: InjectionPlan) -> dict[OneDirection, int]:
    """For each direction in which sizes matter."""
    cuts = tuple(knob for knob, setting in plan.changes if isinstance(setting, Filter) and setting.over)
    lost = Counter({affected_direction(knob): 0 for knob in cuts})
    for knob, seen in kernel.taken(cuts).items():
        lost[affected_direction(knob)] += seen.drops
    return dict(lost)
