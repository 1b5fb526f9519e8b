"""Reads a run directory for a comparison: its samples, what it was made with, and how it ended."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path
from typing import Any

from chaoskit.analysis.judge import Judgement, judge
from chaoskit.analysis.load import RawRecords, load_records, load_workload
from chaoskit.analysis.machine import Machine
from chaoskit.analysis.objectives import UndecidedReason
from chaoskit.analysis.provenance import Provenance
from chaoskit.analysis.result import RunStatus
from chaoskit.analysis.run_comparison.result import ComparedRun
from chaoskit.analysis.run_spec import RunSpec, spec_of
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.analysis.streams.populations import SamplesByPopulation
from chaoskit.errors import SpecError
from chaoskit.folder import display_path
from chaoskit.planning.model import Plan
from chaoskit.planning.probe_plan import ProbePlan
from chaoskit.records.directory import EXPERIMENT, MACHINE, PLAN, PROBE, WORKLOADS, is_running
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Request, SocketRead
from chaoskit.records.untrusted_files import read_whole
from chaoskit.spec.load import EXPERIMENT as EXPERIMENT_KIND
from chaoskit.spec.load import parse_document
from chaoskit.spec.objectives import Objective

_OF_STREAMS = (FILES[Request], FILES[SocketRead])
_OF_A_COPY = (EXPERIMENT, PLAN, PROBE, MACHINE, *FILES.values())


@dataclass(frozen=True, eq=False)
class MeasuredWorkload:
    """What one client of a run measured; `reasons` say why some of it decides nothing."""

    samples: Mapping[str, PhaseSamples]
    populations: SamplesByPopulation
    estimates: Estimates
    objectives: tuple[Objective, ...]
    reasons: tuple[UndecidedReason, ...]


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """One run. `workloads` are by name, "" is the measured one; `words` are the keys and values of its file."""

    path: Path
    plan: Plan | ProbePlan | None
    spec: RunSpec
    words: Mapping[str, Any]
    machine: Mapping[str, str]
    state: Machine | None
    provenance: Provenance | None
    status: RunStatus
    detail: str
    stall_threshold_ms: float
    workloads: Mapping[str, MeasuredWorkload]

    @property
    def name(self) -> str:
        """Its directory, for people."""
        return str(display_path(self.path))

    @property
    def kernel(self) -> str:
        """The release of the kernel that was measured in."""
        return self.machine.get("kernel") or (self.provenance.kernel if self.provenance else "")

    @property
    def about(self) -> ComparedRun:
        """What the result says of it."""
        made = self.provenance
        return ComparedRun(
            run=self.name,
            status=self.status,
            started=made.started if made else None,
            chaoskit=made.chaoskit if made else None,
            chaoskit_commit=made.chaoskit_commit if made else None,
            commit=made.commit if made else None,
            seed=self.plan.seed if self.plan else None,
        )

    def has_records_of(self, other: MeasuredRun) -> bool:
        """Whether all workloads of both have the same requests and tokens, byte for byte."""
        if self.workloads.keys() != other.workloads.keys() or not lexists(self.path / FILES[Request]):
            return False
        folders = [Path(WORKLOADS, name) if name else Path() for name in self.workloads]
        return self._has_files_of(other, (folder / name for folder in folders for name in _OF_STREAMS))

    def is_copy_of(self, other: MeasuredRun) -> bool:
        """Whether both are the same run: one directory, or a copy of it, which has the same plan and records."""
        if os.path.samefile(self.path, other.path):  # noqa: PTH121  both are paths
            return True
        if self.provenance is None or self.provenance != other.provenance:
            return False
        return self.has_records_of(other) and self._has_files_of(other, _OF_A_COPY)

    def _has_files_of(self, other: MeasuredRun, names: Iterable[Path | str]) -> bool:
        """Whether each of these files is the same in both, or in neither."""
        return all(_are_alike(self.path / name, other.path / name) for name in names)


def _are_alike(one: Path, other: Path) -> bool:
    if not (lexists(one) and lexists(other)):
        return lexists(one) == lexists(other)
    return filecmp.cmp(one, other, shallow=False)


def measure(run: Path) -> MeasuredRun:
    """Read the run in this directory. Raises SpecError as `load_records` does."""
    raw = load_records(run)
    asked = raw.plan or raw.probe
    spec = spec_of(asked)
    workloads = {"": _of(judge(raw, spec), spec)}
    for other in raw.plan.workloads if raw.plan is not None else ():
        if lexists(run / WORKLOADS / other.name):
            records = load_workload(run, raw, other)
            of_other = spec_of(records.plan)
            workloads[other.name] = _of(judge(records, of_other), of_other)
    is_going = raw.status == "interrupted" and is_running(run)
    return MeasuredRun(
        path=run,
        plan=asked,
        spec=spec,
        words=_words(run),
        machine=raw.machine,
        state=raw.state,
        provenance=raw.provenance,
        status="running" if is_going else raw.status,
        detail="" if is_going else raw.detail,
        stall_threshold_ms=_stall_threshold(raw),
        workloads=workloads,
    )


def _of(judged: Judgement, spec: RunSpec) -> MeasuredWorkload:
    return MeasuredWorkload(judged.samples, judged.populations, judged.estimates, spec.objectives, judged.reasons)


def _stall_threshold(raw: RawRecords) -> float:
    return raw.streams.table.reader.stall / MS


def _words(run: Path) -> Mapping[str, Any]:
    """Those of the experiment file in it; none where there is no such file, or no readable one."""
    try:
        text = (read_whole(run / EXPERIMENT) or b"").decode()
        return parse_document(text, EXPERIMENT, EXPERIMENT_KIND).words if text else {}
    except (SpecError, UnicodeDecodeError):
        return {}
