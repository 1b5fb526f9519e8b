"""What a command of somebody else's meets: the lab of an experiment with one of its faults, or a fault of its own.

Pure, as `compile`. A lab's plan has one phase, whose length means nothing.
"""

from __future__ import annotations

from chaoskit.errors import SpecError
from chaoskit.faults.netem import NetemSpec
from chaoskit.knobs import Netem
from chaoskit.plan.compile import compile_plan
from chaoskit.plan.injection import queue
from chaoskit.plan.model import Plan
from chaoskit.seed import derive
from chaoskit.spec.exec import ExecFaults
from chaoskit.spec.experiment import CLEAN_PHASES, Experiment, Span
from chaoskit.spec.stage import InterfaceStage
from chaoskit.topology.steering import OneDirection
from chaoskit.units import Duration

_A_SECOND = Duration(10**9)


def visit(experiment: Experiment, fault: str | None) -> Plan:
    """The plan of a lab with this fault in force: "wifi", several as "wifi+vpn", or a clean phase's name for none.

    None is the only fault there is, if it is the only one. Raises SpecError for a stage that is no lab, for a fault
    that the file does not have, for several to choose from, and for sockets to tune that are not ours.
    """
    if isinstance(experiment.stage, InterfaceStage):
        raise SpecError(
            f"{experiment.name} happens on a real interface and builds no lab: chaoskit exec --down '...' -- COMMAND "
            "runs a command behind a fault of its own"
        )
    if (segment := experiment.client.maxseg) is not None:
        headers = 40 if experiment.stage.ip == "4" else 60
        raise SpecError(
            f"{experiment.name}: client.maxseg is set on the probe's sockets, and a command's are its own: write "
            f"route-mtu: {segment + headers}, which bounds its segments alike"
        )
    span = Span(name=_chosen(experiment, fault), length=_A_SECOND)
    for name in span.faults:
        if name not in experiment.faults:
            raise SpecError(f"--fault: {name!r} is no fault of {experiment.name}; {_choice(experiment)}")
    return compile_plan(experiment.model_copy(update={"timeline": (span,), "objectives": (), "repeats": 1}))


def _chosen(experiment: Experiment, fault: str | None) -> str:
    if fault is not None:
        return fault
    if len(experiment.faults) > 1:
        raise SpecError(f"{experiment.name} has several faults; {_choice(experiment)}")
    return next(iter(experiment.faults), CLEAN_PHASES[1])


def _choice(experiment: Experiment) -> str:
    return " or ".join(f"--fault {name}" for name in (*experiment.faults, CLEAN_PHASES[1]))


def shaped(outing: ExecFaults) -> dict[OneDirection, Netem]:
    """The netem of each direction that something happens in."""
    words: dict[OneDirection, NetemSpec | None] = {"up": outing.up, "down": outing.down}
    return {
        way: each.setting(each.limit or queue(each), derive(outing.seed, "netem", way))
        for way, each in words.items()
        if each is not None
    }
