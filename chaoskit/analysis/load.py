"""Loads every record of a run directory once. A missing file is empty: the run may have been killed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from os.path import lexists
from pathlib import Path
from typing import get_args

from chaoskit.analysis.chains.measurements import named
from chaoskit.analysis.chains.repeated_text import Numbering, candidates, read_numbering
from chaoskit.analysis.machine import Machine, read_machine
from chaoskit.analysis.provenance import Provenance, load_provenance
from chaoskit.analysis.result import RunStatus
from chaoskit.analysis.segments.captured_connections import Capture, load_capture
from chaoskit.analysis.segments.links import Links, load_links
from chaoskit.analysis.streams.assemble import Streams, assemble_streams, without
from chaoskit.analysis.streams.columns import read_signs, read_tokens
from chaoskit.analysis.streams.gaps import Reader
from chaoskit.errors import SpecError
from chaoskit.planning.model import Plan, PlannedWorkload, load_plan
from chaoskit.planning.probe_plan import ProbePlan, load_probe_plan
from chaoskit.records.directory import EXPERIMENT, MACHINE, OUTCOME, PLAN, PROBE, WORKLOADS
from chaoskit.records.host_records import ConnectionEnd, HostSocket, HostState, NamespaceCounters
from chaoskit.records.jsonl import FILES, read, read_numbered
from chaoskit.records.look_record import Look
from chaoskit.records.model import (
    DRAIN,
    Counters,
    Hop,
    Phase,
    Request,
    ServedResponse,
    TcpInfo,
    UnackedSample,
    Vitals,
)
from chaoskit.records.pcapng import CAPTURE
from chaoskit.records.spans import Exports, ModelState, Span
from chaoskit.records.untrusted_files import damage_error, excerpt, parse_json, read_document

TCP_INFO_FIELDS = (
    *("advmss", "bytes_acked", "bytes_received", "bytes_retrans", "bytes_sent", "data_segs_in", "delivered"),
    *("dsack_dups", "reord_seen"),
    *(
        "last_data_recv",
        "last_data_sent",
        "lost",
        "min_rtt",
        "options",
        "pmtu",
        "rcv_mss",
        "rcv_ooopack",
        "retransmits",
    ),
    *("rmem_alloc", "rto", "rtt", "sacked", "snd_cwnd", "snd_mss", "total_retrans", "unacked"),
)
"""The fields of TCP_INFO that the analysis uses. The others are not kept: a run has several samples per stream."""
_RUNS = Path("runs")  # where runs are written without --out
_MOST_RUNS = 10_000  # entries of a folder that is no run directory
_OF_SEVERAL = {"gameday.json": "a suite", "limit.json": "a search for a limit", "sweep.json": "a sweep"}
"""The kinds of folders that have run directories in them, by the file of each."""
_STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)


@dataclass(frozen=True)
class RawRecords:
    """The records of one run, in the order they were written. `plan` is that of an experiment, `probe` that of a probe.

    `warmups` are the requests that do not count, of which there is nothing else here. `warnings` name optional files
    that could not be read.
    """

    plan: Plan | None
    probe: ProbePlan | None
    provenance: Provenance | None
    machine: dict[str, str]
    warnings: tuple[str, ...]
    status: RunStatus
    detail: str
    phases: list[Phase]
    requests: list[Request]
    warmups: list[Request]
    has_requests_file: bool
    streams: Streams
    infos: list[TcpInfo]
    vitals: list[Vitals]
    served: list[ServedResponse]
    unacked: list[UnackedSample]
    counters: list[Counters]
    hops: list[Hop]
    looks: list[Look]
    connection_ends: list[ConnectionEnd]
    host_sockets: list[HostSocket]
    host_states: list[HostState]
    spans: list[Span]
    exports: list[Exports]
    model_states: list[ModelState]
    numbering: Mapping[int, Numbering]
    capture: Capture | None
    state: Machine | None = None
    namespaces: list[NamespaceCounters] = field(default_factory=list)
    links: Links = field(default_factory=Links)

    @property
    def end(self) -> int:
        """When the measurement ended: of a probe that finished, with its last request."""
        if self.phases or self.status != "finished":
            return self.last_stamp
        return max(self.streams.arrivals.last, *(request.ended for request in self.requests), 0)

    @property
    def last_stamp(self) -> int:
        """The latest stamp in any record; 0 when there is none."""
        return max(
            (
                *(phase.ready for phase in self.phases),
                *(request.ended for request in self.requests),
                self.streams.arrivals.last,
                *(line.at for line in self.vitals),
                *(sample.at for sample in self.counters),
            ),
            default=0,
        )


def load_records(run: Path) -> RawRecords:
    """Read a run directory.

    Raises SpecError when it is no run directory, has another schema, or holds an invalid record.
    """
    try:
        os.stat(f"{run}/.")  # noqa: PTH116 - a Path would lose the dot, which fails where files cannot be reached
    except OSError as error:
        raise SpecError(f"{run} is no run directory: {error.strerror}{_nearby(run)}") from None
    if not _is_run(run):
        raise SpecError(f"{run} is no run directory: it holds neither {PLAN} nor {FILES[Request]}{_nearby(run)}")
    plan = load_plan(run) if lexists(run / PLAN) else None
    probe = load_probe_plan(run)
    status, detail = read_outcome(run, plan is not None or probe is not None)
    provenance, provenance_warnings = load_provenance(run)
    asked = plan or probe
    reader = Reader.of(asked.workload if asked else None)
    spans = read(run, Span)
    every_request = named(_requests(run), spans)
    requests = [request for request in every_request if not request.warmup]
    warmups = [request for request in every_request if request.warmup]
    machine, state, machine_warnings = _machine(run / MACHINE)
    return RawRecords(
        plan=plan,
        probe=probe,
        provenance=provenance,
        machine=machine,
        state=state,
        warnings=(*machine_warnings, *provenance_warnings),
        status=status,
        detail=detail,
        phases=_phases(run, plan),
        requests=requests,
        has_requests_file=lexists(run / FILES[Request]),
        warmups=warmups,
        streams=assemble_streams(requests, *without(warmups, read_tokens(run), read_signs(run)), reader),
        infos=[replace(info, fields=_used_fields(info.fields)) for _, info in read_numbered(run, TcpInfo)],
        vitals=read(run, Vitals),
        served=[
            replace(one, tcp_info=_used_fields(one.tcp_info), tcp_info_at_start=_used_fields(one.tcp_info_at_start))
            for _, one in read_numbered(run, ServedResponse)
        ],
        unacked=[replace(one, fields=_used_fields(one.fields)) for _, one in read_numbered(run, UnackedSample)],
        counters=read(run, Counters),
        hops=read(run, Hop),
        looks=read(run, Look),
        connection_ends=read(run, ConnectionEnd),
        host_sockets=[replace(one, fields=_used_fields(one.fields)) for _, one in read_numbered(run, HostSocket)],
        host_states=read(run, HostState),
        spans=spans,
        exports=read(run, Exports),
        model_states=read(run, ModelState),
        numbering=read_numbering(run, candidates(requests, spans)),
        capture=_capture(run, requests),
        namespaces=read(run, NamespaceCounters),
        links=_links(run, plan, requests),
    )


def load_workload(run: Path, raw: RawRecords, other: PlannedWorkload) -> RawRecords:
    """The records of another workload of this run, as those of a run that had it alone. Raises SpecError."""
    folder = run / WORKLOADS / other.name
    every_request = named(_requests(folder), raw.spans)
    requests = [request for request in every_request if not request.warmup]
    warmups = [request for request in every_request if request.warmup]
    assert raw.plan is not None, "a probe has one workload"
    reader = Reader.of(other.workload)
    return replace(
        raw,
        plan=raw.plan.model_copy(
            update={
                "target": other.target,
                "workload": other.workload,
                "objectives": other.objectives,
                "workloads": (),
                "expectations": (),  # whether faults came about is told once, of the measured workload
            }
        ),
        requests=requests,
        warmups=warmups,
        has_requests_file=lexists(folder / FILES[Request]),
        streams=assemble_streams(requests, *without(warmups, read_tokens(folder), read_signs(folder)), reader),
        infos=[replace(info, fields=_used_fields(info.fields)) for _, info in read_numbered(folder, TcpInfo)],
        vitals=read(folder, Vitals),
        numbering=read_numbering(folder, candidates(requests, raw.spans)),
        capture=_capture(run, requests),
        links=_links(run, raw.plan, requests),
    )


def _capture(run: Path, requests: Sequence[Request]) -> Capture | None:
    return load_capture(run / CAPTURE, _ports(requests))


def _links(run: Path, plan: Plan | None, requests: Sequence[Request]) -> Links:
    if plan is None or plan.interface is not None or not plan.evidence.capture:
        return Links()
    return load_links(run, plan.topology, (each.knob for each in plan.phases[0].changes), _ports(requests))


def _ports(requests: Sequence[Request]) -> set[int]:
    return {each.port for each in requests if each.port is not None}


def _is_run(folder: Path) -> bool:
    return any(lexists(folder / name) for name in (PLAN, PROBE, FILES[Request], FILES[Phase]))


def _nearby(path: Path) -> str:
    """What to type instead: for a file of a run, its directory; for a folder of runs, the latest; for a file to run."""
    if path.suffix in (".yaml", ".yml"):
        return f"; an experiment file gets one by chaoskit run {path}"
    if not lexists(path):
        return _nearby(_RUNS) if path != _RUNS else ""
    if path.is_file():
        return f"; give its directory, {path.parent}" if _is_run(path.parent) else ""
    try:
        begun = [(when, each) for each in islice(path.iterdir(), _MOST_RUNS) if (when := _begun(each)) is not None]
    except OSError:
        return ""
    kind = next((words for name, words in _OF_SEVERAL.items() if lexists(path / name)), "")
    shown = f"; it is the folder of {kind}, which chaoskit report {path} shows" if kind else ""
    return shown + (f"; the latest one in {path} is {max(begun)[1]}" if begun else "")


def _begun(folder: Path) -> int | None:
    """When what a run or a matrix begins with was written there, in ns; None where there is nothing.

    The folder itself changes later, too: with each report.
    """
    first = next((folder / name for name in (EXPERIMENT, PROBE, PLAN) if lexists(folder / name)), None)
    return None if first is None else first.lstat().st_mtime_ns


def _used_fields(fields: dict[str, int]) -> dict[str, int]:
    return {name: fields[name] for name in TCP_INFO_FIELDS if name in fields}


def _phases(run: Path, plan: Plan | None) -> list[Phase]:
    """The phases in order of time; each must be in the plan."""
    planned = {DRAIN, *(phase.name for phase in plan.phases)} if plan is not None else None
    found: list[Phase] = []
    for number, phase in read_numbered(run, Phase):
        if planned is not None and phase.name not in planned:
            raise damage_error(run / FILES[Phase], f"{excerpt(phase.name)} is no phase of {PLAN}", number)
        if found and phase.begin < found[-1].begin:
            raise damage_error(run / FILES[Phase], "begins before the phase of the line above", number)
        found.append(phase)
    return found


def _requests(run: Path) -> list[Request]:
    """The requests; no two have the same stream number."""
    found: dict[int, Request] = {}
    for number, request in read_numbered(run, Request):
        if request.stream in found:
            raise damage_error(run / FILES[Request], f"stream {request.stream} appears a second time", number)
        found[request.stream] = request
    return list(found.values())


def _machine(path: Path) -> tuple[dict[str, str], Machine | None, tuple[str, ...]]:
    """What the conductor wrote about its machine and its state, and a warning if that cannot be read.

    All are empty when the run ended before it was written.
    """
    try:
        text = read_document(path)
    except SpecError as error:
        return {}, None, (f"clock and kernel are unknown: {error}",)
    fields = {} if text is None else parse_json(text)
    state, warnings = read_machine(fields)
    return {name: value for name, value in fields.items() if isinstance(value, str)}, state, warnings


def read_outcome(run: Path, is_experiment: bool) -> tuple[RunStatus, str]:
    """The run's status and detail, as the conductor wrote them last. A probe without a plan counts as finished."""
    path = run / OUTCOME
    try:
        text = read_document(path)
    except SpecError:
        return "interrupted", f"killed: {path.name} cannot be read"
    if text is None:
        return ("interrupted", "killed before it wrote its outcome") if is_experiment else ("finished", "")
    fields = parse_json(text)
    status, detail = fields.get("how"), fields.get("detail", "")
    if status not in _STATUSES or not isinstance(detail, str):
        return "interrupted", f"killed: {path.name} cannot be read"
    return status, detail
