"""Phases in an order that the seed draws: every round has all of them, and pairs of rounds cancel a steady drift."""

from __future__ import annotations

import json
import re

import pytest
from decidable_files import LAB, Words

from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.decidability import decidability_warnings
from chaoskit.planning.model import Plan
from chaoskit.planning.timetable import Timetable
from chaoskit.spec.load import parse

THREE = [{"warm-up": "2s"}, {"baseline": "20s"}, {"wifi": "30s"}, {"vpn": "10s"}]
FAULTS = {
    "wifi": {"link": "client-router", "direction": "down", "netem": "delay 30ms"},
    "vpn": {"link": "client-router", "direction": "up", "netem": "delay 9ms"},
}


def planned(**more: object) -> Plan:
    """The plan of eight interleaved rounds."""
    words: Words = LAB | {"timeline": THREE, "faults": FAULTS, "order": "interleaved", "repeats": 8, **more}
    return compile_plan(parse(json.dumps(words), "made.yaml"))


def rounds(plan: Plan) -> list[list[str]]:
    """The names of each round's phases."""
    return [[each.name for each in plan.phases if each.round == number] for number in range(8)]


def test_each_pair_of_rounds_is_an_order_and_its_reverse() -> None:
    """The warm-up stays first, and every phase has the same mean place in the run."""
    found = rounds(planned())

    assert len({tuple(each) for each in found}) > 2
    for one, other in zip(found[::2], found[1::2], strict=True):
        assert one[0] == other[0] == "warm-up"
        assert one[1:] == other[:0:-1]
        assert sorted(one) == ["baseline", "vpn", "warm-up", "wifi"]


def test_the_order_follows_from_the_seed_alone() -> None:
    """The same seed draws the same order, however the file lists the phases; another seed another one."""
    assert rounds(planned()) == rounds(planned(timeline=[THREE[0], *THREE[:0:-1]]))
    assert rounds(planned()) != rounds(planned(seed=7))


def test_what_is_told_before_a_run_goes_by_that_order() -> None:
    """Streams are counted in the phases as they come, and lengths and repeats that are advised keep the order."""
    plan = planned()
    table = Timetable.of(plan)

    assert [stretch.name for stretch, _, _ in table._all()] == [phase.name for phase in plan.phases]
    assert sum(table.gives("goodput", name).streams for name in FAULTS) == pytest.approx(8 * 40 * 2, rel=0.1)
    assert decidability_warnings(planned(objectives=["ttft_p95 during wifi < 3x baseline"])) == ()


def test_a_round_without_its_reverse_is_told() -> None:
    """An odd number of rounds leaves one over, and no advice asks for it."""
    assert planned(repeats=7).warnings == ("order: the last round has no reverse one beside it; write repeats: 8",)
    (warning,) = decidability_warnings(planned(repeats=2, objectives=["ttft_p99 during vpn < 3s"]))
    (advised,) = re.findall(r"repeats: (\d+)", warning)
    assert int(advised) % 2 == 0


def test_a_phase_sets_what_it_sets_in_any_order() -> None:
    """Whatever came before, a phase of one name has the same settings in every round."""
    for name in ("baseline", "wifi", "vpn"):
        assert len({each.changes for each in planned().phases if each.name == name}) == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"repeats": 1}, "interleaved draws an order for each round, and there is one; write repeats: 8"),
        ({"timeline": [{"wifi": "9s"}]}, "interleaved needs two phases to compare; write for example - baseline: 30s"),
        (
            {"timeline": [{"wifi": "9s"}, {"recovery": "9s"}]},
            "interleaved has nothing before or after; call the phase recovery baseline, or remove order",
        ),
        (
            {"objectives": ["recovers within 5s after wifi"]},
            "recovers within 5s after wifi asks what follows a phase, which an order that is drawn leaves open",
        ),
        ({"order": "random"}, "order: "),
    ],
)
def test_what_cannot_be_interleaved_is_told(more: Words, told: str) -> None:
    """One clear sentence, with what to write."""
    with pytest.raises(SpecError) as refused:
        planned(**more)

    assert told in str(refused.value)
