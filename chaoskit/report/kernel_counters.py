"""Shows what the namespaces counted of their TCP in each phase, and how busy the machine was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.machine import Machine
from chaoskit.analysis.result import NamespaceCounts, PhaseResult
from chaoskit.report.styles import styled
from chaoskit.units import counted

_HERE = "this machine"


def counter_rows(phases: Iterable[PhaseResult]) -> Iterator[tuple[Text, Text]]:
    """A row for each namespace that counted something in a phase; the first one has the phase's name."""
    for phase in phases:
        told = [words for each in phase.namespaces if (words := _counted(each))]
        yield from ((styled("" if place else phase.name), styled(words)) for place, words in enumerate(told))


def machine_words(machine: Machine | None) -> str:
    """How busy the machine was, behind a comma; "" in virtual time, and where it is not known."""
    if machine is None or machine.steal is None or not machine.load:
        return ""
    processors = counted(machine.processors, "processor")
    load = " to ".join(dict.fromkeys(f"{each:.1f}" for each in machine.load))
    return f", {processors}, load {load}, steal {format_value(machine.steal, 'share')}"


def _counted(namespace: NamespaceCounts) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in namespace.counters.items() if count)
    return f"{namespace.place or _HERE}: {counts}" if counts else ""
