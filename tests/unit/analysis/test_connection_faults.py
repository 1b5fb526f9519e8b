"""What becomes of cuts and idle timeouts: counted by their own rules, and never taken for another cause."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, ns

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import Evidence, Intermediary
from chaoskit.analysis.network.connection_faults import silences, with_own_timer
from chaoskit.analysis.result import FidelityCheck
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.records.model import Counters
from chaoskit.report.fidelity import counts
from chaoskit.spec.load import parse

TEXT = """\
name: ended
question: Does it end?
stage: {{lab: edge}}
workload: {{request-rate: 10/s, output-tokens: 5}}
faults: {{nat: {fault}}}
timeline: [{{baseline: 10s}}, {{nat: 90s}}]
objectives: []
seed: 42
"""


def plan(fault: str) -> Plan:
    """The plan of an experiment with this fault in its second phase."""
    return compile_plan(parse(TEXT.format(fault=fault), "made.yaml"))


def check(folder: Path, fault: str, *seen: tuple[int, int, int]) -> FidelityCheck:
    """The check of a run whose samples had these packets, ended connections and drops."""
    made = Made(plan(fault)).phases(settling=10)
    kind = "cut" if "cut" in fault else "idle-timeout"
    for index, (packets, ended, drops) in enumerate(seen):
        at = ns(10_000 + 1000 * index)
        made.records.append(Counters(at, "router", "connections", "nat", 0, packets, 0, drops, ended, 0, 0, kind))
    (found,) = (each for each in analyse(made.write(folder / "run")).fidelity if each.kind == kind)
    return found


@pytest.mark.parametrize(
    ("fault", "seen", "verdict", "measured", "dropped", "remark"),
    [
        ("{cut: 1kB}", [(0, 0, 0), (90, 14, 31)], "achieved", 14, 31, "after 1kB, by reset"),
        ("{cut: 2s by silence}", [(5, 1, 1), (9, 3, 8)], "achieved", 2, 7, "after 2s, by silence"),
        ("{cut: 2s}", [(0, 0, 0), (90, 0, 0)], "not-exercised", 0, 0, "no connection had data after 2s"),
        (
            "{idle-timeout: 60s}",
            [(0, 0, 0), (90, 0, 0)],
            "not-exercised",
            0,
            0,
            "no connection was idle for 60s and then used",
        ),
        ("{idle-timeout: 60s}", [(0, 0, 0), (0, 0, 0)], "not-exercised", 0, 0, "no packet of a connection passed"),
        ("{idle-timeout: 60s}", [], "too-few-packets", None, 0, "no counters were recorded"),
    ],
)
def test_connections_are_counted_by_the_rules(
    tmp_path: Path,
    fault: str,
    seen: list[tuple[int, int, int]],
    verdict: str,
    measured: int | None,
    dropped: int,
    remark: str,
) -> None:
    """Between the samples of the phase; one that ends nothing is not exercised, and says what it waited for."""
    found = check(tmp_path, fault, *seen)

    assert (found.where, found.verdict, found.measured) == ("connections through the router", verdict, measured)
    assert (found.samples, found.remark) == (dropped, remark)


def test_it_is_said_in_words(tmp_path: Path) -> None:
    """How many connections, and how many packets."""
    found = check(tmp_path, "{cut: 1kB}", (0, 0, 0), (90, 1, 2))

    assert counts(found) == "ended 1 connection, dropped 2 packets"


def test_silence_is_no_black_hole() -> None:
    """In the phase of a fault that silences, and in no other."""
    assert silences(plan("{cut: 1kB by silence}"), "nat")
    assert silences(plan("{idle-timeout: 60s}"), "nat")
    assert not silences(plan("{idle-timeout: 60s by reset}"), "nat")
    assert not silences(plan("{idle-timeout: 60s}"), "baseline")
    assert not silences(None, "nat")


def test_a_link_that_is_cut_is_no_black_hole() -> None:
    """Nothing passes, small packets neither; a path MTU whose signals are lost is one."""
    assert silences(plan("{host: server, link: cut}"), "nat")
    assert not silences(plan("{direction: down, pmtu: {mtu: 1400, signal: dropped}}"), "nat")
    assert not silences(plan("{link: client-router, direction: down, size-drop: 1400}"), "nat")


@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        ("{idle-timeout: 60s by reset}", "a timer (the idle-timeout that is in force)"),
        ("{cut: 59s}", "a timer (the cut that is in force)"),
        ("{idle-timeout: 50s}", "a timer (60 s by default: nginx)"),
        ("{cut: 1kB}", "a timer (60 s by default: nginx)"),
    ],
)
def test_its_own_timer_is_named(fault: str, ending: str) -> None:
    """Instead of a guess whose it is."""
    finding = Intermediary(
        kind="idle-timer",
        streams=9,
        of_streams=9,
        seconds=60.0,
        spread_ms=1.0,
        confidence="certain",
        reason="",
        evidence=Evidence(file="requests.jsonl", count=9),
        sentence="9 of 9 streams were cut off after 60.00 s of silence (spread 1 ms): a timer (60 s by default: nginx)",
    )

    assert with_own_timer(finding, plan(fault)).sentence.endswith(f"(spread 1 ms): {ending}")
