"""Says what a phase sets, a line for each knob in tc's notation, and what it multiplies the rate by."""

from __future__ import annotations

from chaoskit.faults.tc_format import format_setting
from chaoskit.knobs import Rule
from chaoskit.planning.model import PlannedPhase
from chaoskit.spec.multiple import shown
from chaoskit.topology.display_names import display_name
from chaoskit.topology.lab import Topology
from chaoskit.units import Duration


def phase_settings(phase: PlannedPhase, topology: Topology | None) -> tuple[str, ...]:
    """`to model: delay 20ms`, each line once. A rule only selects a table of routes, which have lines of their own."""
    until = {knob: f", for {Duration(after)}" for after, knob in phase.ends if after < phase.length}
    lines = (
        f"{display_name(change.knob, topology)}: {format_setting(change.setting)}{until.get(change.knob, '')}"
        for change in phase.changes
        if change.setting is not None and not isinstance(change.setting, Rule)
    )
    demand = () if phase.demand == 1 else (f"demand: {shown(phase.demand)}",)
    return (*demand, *dict.fromkeys(lines))
