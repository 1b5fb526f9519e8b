"""Each experiment of `experiments/tiers/` shows what its file claims."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import pytest
from clocks import known

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Metrics, Result
from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase
from chaoskit.records.span_names import ATTEMPT, RETRIEVAL_FALLBACK, RETRIEVAL_OUTCOME
from chaoskit.records.spans import Operation, Span
from chaoskit.spec.matrix import load_variants
from chaoskit.substrate.uml import GuestKernel

FILES = {path.stem: path for path in sorted((Path(__file__).parents[2] / "experiments/tiers").glob("*.yaml"))}
REPEATING = "vpn-on-retrieval-not-model"
"""The one that is run again: all of its bytes are the same."""


@dataclass(frozen=True)
class Run:
    """A variant's run directory."""

    path: Path

    @cached_property
    def result(self) -> Result:
        """Its result."""
        return analyse(self.path)

    @cached_property
    def spans(self) -> list[Span]:
        """Its spans."""
        return read(self.path, Span)

    @property
    def verdict(self) -> str:
        """Met, broken or undecided."""
        return self.result.outcome.verdict

    def metrics(self, phase: str) -> Metrics:
        """What a phase measured."""
        found = self.result.phase(phase)
        assert found is not None
        return found.metrics

    def ttft(self, phase: str) -> float:
        """The median time to the first token in a phase, ms."""
        return known(self.metrics(phase).ttft.p50_ms)

    def hops(self, operation: Operation, phase: str) -> list[Span]:
        """The gateway's hops, without their attempts, of workflows that began in a phase."""
        begins = {each.trace: each.begin for each in self.spans if each.operation == "workflow"}
        phases = read(self.path, Phase)
        return [
            each
            for each in self.spans
            if each.host == "gateway" and each.operation == operation and ATTEMPT not in each.attributes
            if [one.name for one in phases if one.ready <= begins[each.trace]][-1:] == [phase]
        ]

    def took(self, operation: Operation, phase: str) -> float:
        """The median time of such hops, ms."""
        return median(each.end - each.begin for each in self.hops(operation, phase)) / 1e6


def vpn_on_retrieval(runs: list[Run]) -> None:
    """First tokens are late by what retrieval takes; the model is as quick; late retrievals are left out."""
    (run,) = runs

    assert run.verdict == "broken"
    assert run.ttft("vpn") - run.ttft("baseline") == pytest.approx(300, abs=60)
    assert run.took("model", "vpn") == pytest.approx(run.took("model", "baseline"), abs=20)
    late = [each for each in run.hops("retrieval", "vpn") if each.attributes[RETRIEVAL_OUTCOME] == "timeout"]
    assert {each.attributes[RETRIEVAL_FALLBACK] for each in late} == {"no-context"}
    assert 0.3 < len(late) / len(run.hops("retrieval", "vpn")) < 0.7


def own_gateway_spans(runs: list[Run]) -> None:
    """A far search makes first tokens late by its way, and no answer of the model takes longer."""
    (run,) = runs

    assert run.verdict == "broken"
    assert run.ttft("far-search") - run.ttft("baseline") == pytest.approx(330, abs=150)
    assert run.took("model", "far-search") == pytest.approx(run.took("model", "baseline"), rel=0.2)


CHECKS: dict[str, Callable[[list[Run]], None]] = {
    "own-gateway-spans": own_gateway_spans,
    "vpn-on-retrieval-not-model": vpn_on_retrieval,
}


def test_every_experiment_has_a_check() -> None:
    """No file claims what nobody looks at."""
    assert CHECKS.keys() == FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_an_experiment_shows_what_it_claims(name: str, kernel: GuestKernel, tmp_path: Path) -> None:
    """All variants, in the order of the file."""
    runs = []
    for number, variant in enumerate(load_variants(FILES[name]).each):
        words = ["run", str(FILES[name]), "--clock", "virtual", "--kernel", str(kernel.path)]
        words += ["--variant", variant.name] if variant.name else []
        words += ["--verify-repeatable"] if name == REPEATING else []
        done = subprocess.run(
            [sys.executable, "-m", "chaoskit", *words, "--out", str(tmp_path / str(number))],
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        assert ("every byte the same" in done.stdout) == (name == REPEATING), done.stdout
        runs.append(Run(tmp_path / str(number)))

    CHECKS[name](runs)
