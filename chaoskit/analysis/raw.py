"""Everything that a run directory holds, read once. What is not there is empty: a run may have been killed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from chaoskit.analysis.result import How
from chaoskit.errors import SpecError
from chaoskit.plan.model import Plan, load_plan
from chaoskit.records.directory import OUTCOME
from chaoskit.records.files import FILES, read
from chaoskit.records.model import Counters, Hop, Phase, Read, Request, Served, TcpInfo, Unacked, Vitals

_HOWS: tuple[How, ...] = ("finished", "interrupted", "refused", "crashed", "dirty")


@dataclass(frozen=True)
class Raw:
    """The records of one run, in the order they were written. `plan` is None for a bare probe."""

    plan: Plan | None
    machine: dict[str, str]
    how: How
    detail: str
    phases: list[Phase]
    requests: list[Request]
    reads: list[Read]
    infos: list[TcpInfo]
    vitals: list[Vitals]
    served: list[Served]
    unacked: list[Unacked]
    counters: list[Counters]
    hops: list[Hop]

    @property
    def last(self) -> int:
        """The latest stamp in any record; 0 when there is none."""
        return max(
            (
                *(phase.ready for phase in self.phases),
                *(request.ended for request in self.requests),
                *(line.at for line in self.reads),
                *(line.at for line in self.vitals),
                *(sample.at for sample in self.counters),
            ),
            default=0,
        )


def load(run: Path) -> Raw:
    """Read a run directory.

    Raises SpecError when it is none or of a later chaoskit, RefusedError when a record cannot be understood.
    """
    if not any((run / name).exists() for name in ("plan.json", FILES[Request], FILES[Phase])):
        raise SpecError(f"{run} is no run directory: it holds neither plan.json nor {FILES[Request]}")
    plan = load_plan(run) if (run / "plan.json").exists() else None
    how, detail = how_it_went(run, plan is not None)
    return Raw(
        plan=plan,
        machine=_machine(run / "machine.json"),
        how=how,
        detail=detail,
        phases=read(run, Phase),
        requests=read(run, Request),
        reads=read(run, Read),
        infos=read(run, TcpInfo),
        vitals=read(run, Vitals),
        served=read(run, Served),
        unacked=read(run, Unacked),
        counters=read(run, Counters),
        hops=read(run, Hop),
    )


def _machine(path: Path) -> dict[str, str]:
    """What the conductor noted of its machine; nothing when it did not come so far."""
    try:
        return {name: str(value) for name, value in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def how_it_went(run: Path, is_experiment: bool) -> tuple[How, str]:
    """How it went, as the conductor wrote it last. A bare probe has no conductor: it went as it went."""
    path = run / OUTCOME
    if not path.exists():
        return ("interrupted", "killed: nobody wrote down how it ended") if is_experiment else ("finished", "")
    try:
        told = json.loads(path.read_bytes())
        how = next(how for how in _HOWS if how == told["how"])
        return how, str(told.get("detail", ""))
    except (ValueError, KeyError, TypeError, StopIteration):
        return "interrupted", f"killed: {path.name} cannot be read"
