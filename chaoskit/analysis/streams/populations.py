"""Selects the requests that an objective or a row of a report is about, by class and workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.records.model import Request
from chaoskit.spec.objectives import Objective


@dataclass(frozen=True)
class Population:
    """The requests of a traffic class and of a workflow. None: of any."""

    traffic_class: str | None = None
    workflow: str | None = None

    @classmethod
    def of(cls, objective: Objective) -> Population:
        """Those that an objective is about."""
        return cls(objective.traffic_class, objective.workflow)

    @property
    def name(self) -> str:
        """As objectives write it: `for premium of support`; "" for all requests."""
        words = (("for", self.traffic_class), ("of", self.workflow))
        return " ".join(f"{word} {name}" for word, name in words if name is not None)

    def has(self, request: Request) -> bool:
        """Whether this request is one of them."""
        return self.traffic_class in (None, request.traffic_class) and self.workflow in (None, request.workflow)


EVERYBODY = Population()


class SamplesByPopulation:
    """The samples of each phase, of any population."""

    def __init__(self, samples: Mapping[str, PhaseSamples], requests: Iterable[Request]) -> None:
        self._requests = list(requests)
        self._known: dict[Population, Mapping[str, PhaseSamples]] = {EVERYBODY: samples}

    def of(self, population: Population) -> Mapping[str, PhaseSamples]:
        """Those of these requests, by the phase's name."""
        if population not in self._known:
            numbers = frozenset(request.stream for request in self._requests if population.has(request))
            everybody = self._known[EVERYBODY]
            self._known[population] = {
                name: sample.only(numbers, population.name) for name, sample in everybody.items()
            }
        return self._known[population]
