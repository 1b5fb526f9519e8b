"""Plans what a user's command runs behind: a lab with one of its faults, or netems of its own.

Pure, as `compile`. A lab's plan has one phase; its length has no meaning.
"""

from __future__ import annotations

from chaoskit.errors import SpecError
from chaoskit.faults.netem import NetemSpec
from chaoskit.knobs import Netem
from chaoskit.plan.compile import compile_plan
from chaoskit.plan.injection import queue_limit
from chaoskit.plan.model import Plan
from chaoskit.seed import derive
from chaoskit.spec.exec import ExecFaults
from chaoskit.spec.experiment import CLEAN_PHASES, Experiment, Span
from chaoskit.spec.stage import InterfaceStage
from chaoskit.topology.steering import OneDirection
from chaoskit.units import Duration

_ONE_SECOND = Duration(10**9)


def compile_exec(experiment: Experiment, fault: str | None) -> Plan:
    """The plan of a lab with this fault applied: "wifi", several as "wifi+vpn", or a clean phase's name for none.

    `fault` None selects the only fault of the file. Raises SpecError for a stage that is no lab, for an unknown fault,
    for several faults to choose from, and for options of the probe's own sockets.
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
    span = Span(name=_select_fault(experiment, fault), length=_ONE_SECOND)
    for name in span.faults:
        if name not in experiment.faults:
            raise SpecError(f"--fault: {name!r} is no fault of {experiment.name}; {_fault_options(experiment)}")
    return compile_plan(experiment.model_copy(update={"timeline": (span,), "objectives": (), "repeats": 1}))


def _select_fault(experiment: Experiment, fault: str | None) -> str:
    if fault is not None:
        return fault
    if len(experiment.faults) > 1:
        raise SpecError(f"{experiment.name} has several faults; {_fault_options(experiment)}")
    return next(iter(experiment.faults), CLEAN_PHASES[1])


def _fault_options(experiment: Experiment) -> str:
    return " or ".join(f"--fault {name}" for name in (*experiment.faults, CLEAN_PHASES[1]))


def netem_settings(exec_faults: ExecFaults) -> dict[OneDirection, Netem]:
    """The netem setting of each direction that has one."""
    specs: dict[OneDirection, NetemSpec | None] = {"up": exec_faults.up, "down": exec_faults.down}
    return {
        direction: each.setting(each.limit or queue_limit(each), derive(exec_faults.seed, "netem", direction))
        for direction, each in specs.items()
        if each is not None
    }
