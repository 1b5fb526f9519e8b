"""Defines the keys of an experiment file, and the values that each may have.

The keys are the names of the fields in kebab-case; every quantity has a unit. Nothing here looks at the machine.
`load.py` reads a file into an `Experiment`, `objectives.py` parses the objectives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, PrivateAttr, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from chaoskit.faults import Fault, knobs
from chaoskit.faults.schema import (
    SpecModel,
    again,
    error_at,
    suggestion,
    together,
)
from chaoskit.knobs import Knob
from chaoskit.spec.classes import Classes, class_errors
from chaoskit.spec.control_checks import control_errors, senders
from chaoskit.spec.demand_mismatches import demand_mismatches
from chaoskit.spec.host_tuning import Client
from chaoskit.spec.interleaving import Order, in_order, order_mismatch
from chaoskit.spec.kept_evidence import Evidence
from chaoskit.spec.key_lines import KeyLines
from chaoskit.spec.objectives import Objective, parse
from chaoskit.spec.other_workloads import OtherWorkload, WrittenObjective
from chaoskit.spec.phases import CLEAN_PHASES, PhaseName, Span, WrittenSpan, faults_of, with_free_names
from chaoskit.spec.populations import population_mismatches
from chaoskit.spec.server import Server
from chaoskit.spec.stage import EdgeStage, InterfaceStage, ServiceStage, Stage
from chaoskit.spec.telemetry import Telemetry
from chaoskit.spec.workload import Workload
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.lab import CLIENT
from chaoskit.topology.steering import TrafficSelector
from chaoskit.units import Duration

_SHORTEST_PHASE = Duration(10**9)
LONGEST = Duration(7 * 24 * 3600 * 10**9)  # of all phases together
_FAULT_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")


def _listed(words: Any) -> Any:
    if words == []:
        raise ValueError("an empty list; give a fault, for example {direction: down, netem: delay 30ms}")
    return [words] if isinstance(words, dict) else words


_FaultList = Annotated[list[Fault], Field(min_length=1)]
WrittenFaults = Annotated[tuple[Fault, ...], BeforeValidator(_listed, json_schema_input_type=Fault | _FaultList)]


class Experiment(SpecModel):
    """One experiment: a question, where it runs, its load, its faults and its objectives."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")] = Field(
        description="Lower-case letters, digits and `-`; run directories are named after it."
    )
    question: Annotated[str, Field(min_length=1)] = Field(description="What the experiment answers, in one sentence.")
    stage: Stage = Field(description="The lab, or the real interface and the endpoint.")
    workload: Workload = Field(description="The requests of the client.")
    classes: Classes = Field(
        default_factory=dict,
        description="Classes of requests by name: their shares, and who goes first where requests wait.",
    )
    workloads: Annotated[dict[PhaseName, OtherWorkload], Field(max_length=16)] = Field(
        default_factory=dict,
        description="In a lab, by name: other clients whose requests share its links, with the keys of `workload`.",
    )
    client: Client = Field(Client(), description="Settings of the client's host for the whole run.")
    server: Server = Field(
        Server(), description="Settings of the server's host, and how the reference server responds. Lab only."
    )
    faults: dict[str, WrittenFaults] = Field(
        default_factory=dict,
        description="By name, one fault or a list.",
        json_schema_extra={
            "propertyNames": {"pattern": f"^(?!(?:{'|'.join(CLEAN_PHASES)})$){_FAULT_NAME.pattern[1:]}"}
        },
    )
    timeline: Annotated[tuple[WrittenSpan, ...], Field(min_length=1, max_length=1000)] = Field(
        description="The phases, in order: `[{baseline: 20s}, {wifi: 30s}]`."
    )
    repeats: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="How often the timeline is run, in one run.")
    order: Order = Field(
        "as-written",
        description="`interleaved`: each round's phases in an order that the seed draws, so that drift is no effect.",
    )
    telemetry: Telemetry | None = Field(
        None, description="Spans of programs: where they arrive, and what they are. Hosts of a lab need no word of it."
    )
    evidence: Evidence = Field(Evidence(), description="What is recorded beside the streams.")
    objectives: tuple[WrittenObjective, ...] = Field(
        (), description="Sentences that must hold: `ttft_p95 < 800ms during wifi`."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="Arrivals, prompts, the server's times and netem's losses follow from it."
    )
    matrix: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="Dotted paths of this file, each with a list of values. Every combination becomes one variant, an "
        "experiment without a matrix.",
    )

    _key_lines: KeyLines = PrivateAttr(KeyLines())

    @property
    def key_lines(self) -> KeyLines:
        """Where its keys stand, if it is of a file."""
        return self._key_lines

    def with_lines(self, lines: KeyLines) -> Experiment:
        """The same, read from these lines."""
        found = self.model_copy()
        found._key_lines = lines
        return found

    @property
    def site(self) -> Site:
        """Where its faults apply, as far as the file says; the interface and the addresses are looked up later."""
        if isinstance(self.stage, InterfaceStage):
            return Interface(self.stage.interface or "eth0", TrafficSelector(protocol=self.stage.protocol))
        return Lab(int(self.stage.ip), self.stage.topology)

    def round(self, number: int) -> tuple[Span, ...]:
        """The phases of this round, from 0 on, in their order."""
        return in_order(self.timeline, self.order, number, self.seed)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        mismatches = [*self._site_mismatches(), *self._tuning_mismatches(), *self._timeline_mismatches()]
        mismatches += [*_objective_mismatches(self.objectives), *self._workload_mismatches()]
        mismatches += [*self._class_mismatches(), *self._telemetry_mismatches()]
        mismatches += demand_mismatches(self.workload, self.stage, self.timeline, bool(self.classes))
        if mismatches:
            raise together(type(self).__name__, mismatches)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _with_wrong_names(cls, words: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """A server for a target, and phases that do not exist, are told together with all that is wrong with values."""
        if isinstance(words, dict) and isinstance(faults := words.get("faults") or {}, dict) and "timeline" in words:
            words = {**words, "timeline": with_free_names(words["timeline"], faults)}
        names = [*_server_of_a_target(words), *_wrong_names(words)] if isinstance(words, dict) else []
        try:
            found = handler(words)
        except ValidationError as error:
            raise together(cls.__name__, [*map(again, error.errors()), *names]) from None
        if names:
            raise together(cls.__name__, names)
        return found

    @model_validator(mode="wrap")
    @classmethod
    def _with_timeouts_of_its_stage(cls, words: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Those that are not given are longer at a target, and where programs of the user answer."""
        found = handler(words)
        if isinstance(found.stage, EdgeStage):
            return found
        work = found.workload.at_target()
        if isinstance(found.stage, InterfaceStage):
            work = work.model_copy(update={"carry": work.carry.at_endpoint()})
        return found.model_copy(update={"workload": work})

    def _site_mismatches(self) -> Iterator[PydanticCustomError]:
        if isinstance(self.stage, ServiceStage) and "server" in self.model_fields_set and not self.stage.references:
            sentence = "no host of this lab is the reference server; write reference: true at one, or remove server"
            yield error_at(sentence, "server")
        for name, parts in self.faults.items():
            for number, part in enumerate(parts):
                mismatch = part.site_error(self.site)
                if mismatch:
                    yield error_at(mismatch, "faults", name, number)

    def _telemetry_mismatches(self) -> Iterator[PydanticCustomError]:
        if self.telemetry is not None and isinstance(self.stage, EdgeStage):
            yield error_at(
                "the server of this lab exports no spans; remove telemetry, or use lab: service", "telemetry"
            )
        elif self.telemetry is not None and isinstance(self.stage, ServiceStage):
            if self.telemetry.listen:
                sentence = "hosts of a lab export to their own 127.0.0.1:4318; remove listen"
                yield error_at(sentence, "telemetry", "listen")
            for name in self.telemetry.map.calls.keys() - self.stage.hosts.keys():
                sentence = f"{name!r} is no host of this lab; {suggestion(name, tuple(self.stage.hosts))}"
                yield error_at(sentence, "telemetry", "map", "calls", name)

    def _workload_mismatches(self) -> Iterator[PydanticCustomError]:
        if self.workloads and isinstance(self.stage, InterfaceStage):
            yield error_at(
                "other workloads are for labs; remove workloads, or run a load generator beside", "workloads"
            )
        elif self.workloads and isinstance(self.stage, EdgeStage):
            for name in [name for name, each in self.workloads.items() if each.target is not None]:
                yield error_at("this lab has one server, which all ask; remove target", "workloads", name, "target")
        elif isinstance(self.stage, ServiceStage):
            known = [name for name in self.stage.topology.names if name != CLIENT]
            for name, each in self.workloads.items():
                host = urlsplit(each.target or self.stage.target).hostname or ""
                if host not in known:
                    sentence = f"{host!r} is no host of this lab; {suggestion(host, known)}"
                    yield error_at(sentence, "workloads", name, "target")
                elif each.target is not None and (wrong := self.stage.wrong_port(each.target)):
                    yield error_at(wrong, "workloads", name, "target")
        phases = dict.fromkeys(span.name for span in self.timeline)
        for name, each in self.workloads.items():
            for number, objective in enumerate(each.objectives):
                for phase in filter(None, (objective.phase, objective.reference)):
                    if phase not in phases:
                        sentence = f"{phase!r} is no phase of the timeline; {suggestion(phase, phases)}"
                        yield error_at(sentence, "workloads", name, "objectives", number)

    def _class_mismatches(self) -> Iterator[PydanticCustomError]:
        work = self.workload
        if isinstance(self.stage, ServiceStage):
            for sentence, keys in control_errors(self.stage.hosts, self.classes, self.server):
                yield error_at(sentence, "stage", *keys)
        asked: dict[tuple[str, ...], str | None] = {}
        asked |= {("workloads", name): each.class_ for name, each in self.workloads.items()}
        asked |= {("workload", "demand", name): each.class_ for name, each in work.demand.items()}
        for where, named in asked.items():
            if named is not None and named not in self.classes:
                hint = suggestion(named, self.classes) if self.classes else "write classes: at the top of the file"
                yield error_at(f"{named!r} is no class of this file; {hint}", *where, "class")
        if not self.classes:
            if "class_" in work.carry.model_fields_set:
                yield error_at(
                    "no classes in this file; write classes: at its top, or remove carry", "workload", "carry"
                )
            return
        length = self.repeats * sum(span.length for span in self.timeline) / 1e9
        requests = None if work.request_rate is None else work.request_rate.per_second * length
        for sentence, where in class_errors(self.classes, work.carry.class_place, requests, list(asked.values())):
            yield error_at(sentence, "classes", *where)
        sent = senders(work.demand, [each.class_ for each in self.workloads.values()])
        for name in () if sent is None else [name for name in self.classes if name not in sent]:
            sentence = f"nobody sends {name}: every workflow of demand has another class; remove it, or give it one"
            yield error_at(sentence, "classes", name)
        place = work.carry.class_place
        headers = self.stage.headers if not isinstance(self.stage, EdgeStage) else {}
        if place.kind == "header" and place.name in map(str.lower, headers):
            yield error_at(f"the stage has a header {place.name} as well; remove one of them", "workload", "carry")
        if place.kind != "header" and place.name.partition(".")[0] in work.extra_body:
            yield error_at(f"extra-body has {place.name} as well; remove one of them", "workload", "carry")

    def _tuning_mismatches(self) -> Iterator[PydanticCustomError]:
        if isinstance(self.stage, InterfaceStage):
            found = {"client": self.client.mismatch_on_interface()}
        else:
            ip = self.stage.ip
            found = {"client": self.client.mismatch_in_lab(ip), "server": self.server.mismatch_in_lab(ip)}
        for host, mismatch in found.items():
            if mismatch is not None:
                word, sentence = mismatch
                yield error_at(sentence, host, word)

    def _timeline_mismatches(self) -> Iterator[PydanticCustomError]:
        for name in self.faults:
            if name in CLEAN_PHASES:
                sentence = f"{name!r} cannot name a fault, as it names a phase without one; choose another"
                yield error_at(sentence, "faults", name)
            elif not _FAULT_NAME.match(name):
                yield error_at(f"{name!r} cannot name a fault; use letters, digits, - and _", "faults", name)
        for index, span in enumerate(self.timeline):
            if span.length < _SHORTEST_PHASE:
                yield error_at(f"{span.length} is too short for a phase; give it a second or more", "timeline", index)
            if (knob := self.conflict(fault for fault in span.faults if fault in self.faults)) is not None:
                yield error_at(f"{span.name} sets {knob} twice; put it in one fault", "timeline", index)
            if mismatch := span.mismatch(self.timeline[:index], self.faults):
                yield error_at(mismatch, "timeline", index)
        if self.order == "interleaved" and (mismatch := self._order_mismatch()):
            yield error_at(mismatch, "order")
        length = Duration(self.repeats * sum(span.length for span in self.timeline))
        if length > LONGEST:
            yield error_at(f"its phases take {length} together; a run may take {LONGEST}", "timeline")

    def _order_mismatch(self) -> str | None:
        used = dict.fromkeys(fault for span in self.timeline for fault in span.faults if fault in self.faults)
        for_good = (fault for fault in used if any(part.is_for_good for part in self.faults[fault]))
        recoveries = (each.text for each in self.objectives if each.metric == "recovery_time")
        return order_mismatch([span.name for span in self.timeline], self.repeats, for_good, recoveries)

    def conflict(self, faults: Iterable[str]) -> Knob | None:
        """A knob that two of these faults set, which therefore cannot be in force together."""
        seen: set[Knob] = set()
        parts = [part for fault in faults for part in self.faults[fault] if not part.site_error(self.site)]
        for knob in (knob for part in parts for knob in knobs(part, self.site)):
            if knob in seen:
                return knob
            seen.add(knob)
        return None


def _server_of_a_target(words: dict[str, Any]) -> Iterator[PydanticCustomError]:
    """Of a raw file, so that it is told instead of what is wrong inside."""
    stage = words.get("stage")
    is_real = isinstance(stage, dict) and "target" in stage and "lab" not in stage and "hosts" not in stage
    if "server" in words and (isinstance(stage, InterfaceStage) or is_real):
        yield error_at("the target is a real server, which chaoskit cannot configure; remove server", "server")


def _wrong_names(words: dict[str, Any]) -> Iterator[PydanticCustomError]:
    """An error for each phase that names no fault, and for each objective that names no phase; of a raw file.

    Not for what may follow from another mistake: a fault that cannot have its name, a phase that is misspelled.
    """
    faults, spans = words.get("faults") or {}, _items(words.get("timeline"))
    phases = [_phase(span) for span in spans]
    if not isinstance(faults, dict) or not phases or not all(map(is_fault_name, faults)):
        return
    unknown = [[fault for fault in _faults(span) if fault not in faults] for span in spans]
    for index, fault in ((index, fault) for index, missing in enumerate(unknown) for fault in missing if fault):
        is_spaced = fault.strip() in faults
        hint = "write no blanks around +" if is_spaced else suggestion(fault, [*CLEAN_PHASES, *faults])
        yield error_at(f"{fault!r} is neither a fault nor a clean phase; {hint}", "timeline", index)
    doubtful = {*CLEAN_PHASES, *faults} if any(unknown) or any(map(_repeats, spans)) else set()
    for index, sentence in enumerate(_items(words.get("objectives"))):
        for phase in _phases_of(sentence):
            if phase not in phases and phase not in doubtful:
                hint = suggestion(phase, dict.fromkeys(phases))
                yield error_at(f"{phase!r} is no phase of the timeline; {hint}", "objectives", index)
    for told, where in population_mismatches(words, phases):
        yield error_at(told, *where)


def _repeats(span: Any) -> bool:
    return len(set(_faults(span))) < len(_faults(span))


def is_fault_name(name: object) -> bool:
    """Whether a fault may be called so."""
    return isinstance(name, str) and name not in CLEAN_PHASES and _FAULT_NAME.match(name) is not None


def _items(words: Any) -> Sequence[Any]:
    return words if isinstance(words, list | tuple) else ()


def _phase(span: Any) -> str:
    """The name of a raw span; "", which names no fault, where it has none."""
    if isinstance(span, Span):
        return span.name
    return next((str(name) for name in span), "") if isinstance(span, dict) and len(span) == 1 else ""


def _faults(span: Any) -> tuple[str, ...]:
    """The faults of a raw span, as far as they can be read."""
    if isinstance(span, Span):
        return span.faults
    keys = next(iter(span.values())) if isinstance(span, dict) and len(span) == 1 else None
    own = keys.get("faults") if isinstance(keys, dict) else None
    if isinstance(own, str | list):
        return tuple(map(str, own)) if isinstance(own, list) else tuple(own.split("+"))
    return faults_of(_phase(span))


def _phases_of(sentence: Any) -> list[str]:
    """The phases that a raw objective names; none where it is no objective."""
    try:
        found = parse(sentence) if isinstance(sentence, str) else sentence
    except ValueError:
        return []
    return [each for each in (found.phase, found.reference) if each] if isinstance(found, Objective) else []


def _objective_mismatches(objectives: Sequence[Objective]) -> Iterator[PydanticCustomError]:
    """An error for each objective that says what one before it says, or that compares a phase with itself."""
    said = [each.model_copy(update={"text": ""}) for each in objectives]
    for index, each in enumerate(said):
        if each in said[:index]:
            yield error_at(f"says what objectives.{said.index(each)} says; keep one", "objectives", index)
        elif each.reference is not None and each.reference == each.phase:
            sentence = f"compares {each.phase} with itself; name another phase, for example baseline"
            yield error_at(sentence, "objectives", index)
