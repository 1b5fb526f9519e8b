"""Writes `machine.json`: what a run was made on, and what of it could not be recorded.

Rules: in virtual time nothing of the host's state is in it, for the same run has the same result.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaoskit import __version__
from chaoskit.clock import wall
from chaoskit.evidence.connection_ends import Namespaces
from chaoskit.kernel import machine_state
from chaoskit.records.directory import MACHINE
from chaoskit.topology.lab import CLIENT

_BY_MEMORY = ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")


@dataclass
class MachineFile:
    """The file of one run; `write` writes it whole, as far as it is known."""

    run: Path
    _missing: dict[str, str] = field(default_factory=dict)
    _state: dict[str, Any] = field(default_factory=dict)
    _began: tuple[int, int] | None = None

    def add_state(self, kernel: Namespaces, places: Sequence[str], link: str) -> None:
        """What is so when the run begins, in the client's namespace: that of a lab, or one with this link."""
        sysctls = {place: _own_sysctls(kernel, place) for place in places or ("",)}
        client = sysctls[CLIENT if places else ""]
        others = {
            place: {name: value for name, value in each.items() if value != client.get(name)}
            for place, each in sysctls.items()
        }
        with kernel.inside(CLIENT if places else ""):
            link = link or "eth0"
            offloads = machine_state.offloads(link)
        shared = machine_state.sysctls(machine_state.SHARED)
        every = (*machine_state.OWN, *machine_state.SHARED)
        self._state = {
            "processors": os.cpu_count() or 1,
            "kernel": platform.release(),
            "clock_source": machine_state.clock_source(),
            "sysctls": client | shared,
            "missing": [name for name in every if name not in client | shared],
            "others": {place: each for place, each in others.items() if each},
            "link": link,
            "offloads": offloads,
        }
        if not _is_virtual():
            self._began = machine_state.processor_times()
            self._state["load"] = [machine_state.load()]

    def add_end(self) -> None:
        """How busy the machine was until now."""
        if self._began is not None:
            total, stolen = (
                after - before for before, after in zip(self._began, machine_state.processor_times(), strict=True)
            )
            self._state["load"].append(machine_state.load())
            self._state["steal"] = round(stolen / total, 4) if total > 0 else 0.0

    def add_missing(self, unseen: str, uncaptured: Mapping[str, str]) -> None:
        """Why a lab's connections are not all recorded, and why no packets are, by router."""
        if unseen:
            self._missing["unseen"] = unseen
        for router, reason in uncaptured.items():
            self._missing["-".join(filter(None, ("uncaptured", router)))] = reason

    def write(self) -> None:
        """Write all that is known."""
        machine: dict[str, Any] = {
            "chaoskit": __version__,
            "kernel": platform.release(),
            "clock": "virtual" if _is_virtual() else "real",
            "python": platform.python_version(),
            "started": wall(),
        }
        if self._state:
            machine["state"] = self._state
        (self.run / MACHINE).write_text(json.dumps(machine | self._missing, indent=1) + "\n")


def _own_sysctls(kernel: Namespaces, place: str) -> dict[str, str]:
    with kernel.inside(place):
        found = machine_state.sysctls(machine_state.OWN)
    if _is_virtual():  # the kernel takes the largest buffer from what memory was free when it began
        found |= {name: found[name].rpartition(" ")[0] for name in _BY_MEMORY if name in found}
    return found


def _is_virtual() -> bool:
    try:
        return "time-travel=" in Path("/proc/cmdline").read_text()
    except OSError:
        return False
