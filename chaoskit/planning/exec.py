"""Plans what a user's command runs behind: a lab with one of its faults, or netems of its own.

Pure, as `compile`. A lab's plan has one phase; its length has no meaning.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from chaoskit.errors import SpecError
from chaoskit.faults.netem import NetemSpec
from chaoskit.knobs import Netem
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.injection import queue_limit
from chaoskit.planning.model import Plan
from chaoskit.seed import derive
from chaoskit.spec.exec import ExecFaults
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.phases import CLEAN_PHASES, Span
from chaoskit.spec.stage import InterfaceStage
from chaoskit.topology.steering import OneDirection
from chaoskit.units import Duration

_BASELINE, _ONE_SECOND = CLEAN_PHASES[1], Duration(10**9)


def compile_exec(experiment: Experiment, asked: Iterable[str] = ()) -> Plan:
    """The plan of a lab with these faults in force: each a name, or several as "wifi+vpn"; none without.

    It needs what every fault of the file needs, so that all of them, and none, run on the same substrate. Raises
    SpecError for a stage that is no lab, for an unknown fault, for faults that do not fit together, and for options of
    the probe's own sockets.
    """
    if isinstance(experiment.stage, InterfaceStage):
        raise SpecError(
            f"{experiment.name} uses a real interface and builds no lab: chaoskit exec --down '...' -- COMMAND "
            "runs a command behind a fault of its own"
        )
    if (segment := experiment.client.maxseg) is not None:
        headers = 40 if experiment.stage.ip == "4" else 60
        raise SpecError(
            f"{experiment.name}: client.maxseg is a socket option of the probe and does not apply to a command; write "
            f"route-mtu: {segment + headers}, which limits the segments equally"
        )
    if experiment.client.tcp_keepalive is not None:
        raise SpecError(
            f"{experiment.name}: client.tcp-keepalive is a socket option of the probe and does not apply to a command; "
            "remove it, and set SO_KEEPALIVE in the command"
        )
    faults = _select(experiment, asked)
    plan = _compile(experiment, "+".join(faults) or _BASELINE)
    return plan.model_copy(update={"needs": plan.needs | _compile(experiment, *experiment.faults).needs})


def _compile(experiment: Experiment, *phases: str) -> Plan:
    spans = tuple(Span(name=name, length=_ONE_SECOND) for name in phases or (_BASELINE,))
    return compile_plan(experiment.model_copy(update={"timeline": spans, "objectives": (), "repeats": 1}))


def _select(experiment: Experiment, asked: Iterable[str]) -> tuple[str, ...]:
    """The faults of these options, each once."""
    names = dict.fromkeys(name for each in asked for name in each.split("+") if name not in CLEAN_PHASES)
    for name in names:
        if name not in experiment.faults:
            near = difflib.get_close_matches(name, experiment.faults, n=1)
            hint = f"did you mean --fault {near[0]}?" if near else f"it has {fault_options(experiment)}"
            raise SpecError(f"--fault: {name!r} is no fault of {experiment.name}; {hint}")
    if (knob := experiment.conflict(names)) is not None:
        raise SpecError(
            f"--fault {' --fault '.join(names)}: both set {knob}, so they do not fit together; remove one of them"
        )
    return tuple(names)


def fault_options(experiment: Experiment) -> str:
    """The faults of a file, as a user types them."""
    return " or ".join(f"--fault {name}" for name in experiment.faults) or "no fault"


def check_place(plan: Plan, name: str, option: str = "--host") -> None:
    """Raise SpecError unless this is a host or a router of the plan's lab."""
    topology = plan.topology
    if name in topology.nodes:
        return
    if members := topology.groups.get(name):
        raise SpecError(f"{option}: {name} is {len(members)} hosts; name one: {' or '.join(members)}")
    near = difflib.get_close_matches(name, topology.nodes, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(topology.nodes)}"
    raise SpecError(f"{option}: {name!r} is no host of {plan.name}; {hint}")


def netem_settings(exec_faults: ExecFaults) -> dict[OneDirection, Netem]:
    """The netem setting of each direction that has one."""
    specs: dict[OneDirection, NetemSpec | None] = {"up": exec_faults.up, "down": exec_faults.down}
    return {
        direction: each.setting(each.limit or queue_limit(each), derive(exec_faults.seed, "netem", direction))
        for direction, each in specs.items()
        if each is not None
    }
