"""Shares of causes: every line names the same ones."""

from __future__ import annotations

from pathlib import Path

from made_runs import Made, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import PhaseResult, Result, StallAttribution
from chaoskit.report.headline import headline
from chaoskit.report.shares import named
from chaoskit.report.stalls import stall_rows

STALLS = StallAttribution(
    stalls=9,
    server_ms=0,
    network_ms=100,
    network_kinds={"loss": 95, "reorder": 4, "delay": 1},
    network_places={"between router and client": 60, "between server and router": 40},
    client_ms=0,
    unknown_ms=0,
)


def result(tmp_path: Path) -> Result:
    """Of a run that stalled under wifi, by a little of everything."""

    def changed(each: PhaseResult) -> PhaseResult:
        return each.model_copy(update={"stall_attribution": STALLS}) if each.name == "wifi" else each

    made = Made(plan(["itl_p95 < 1ms during wifi"])).phases().many(0, 9900, 100).many(10_000, 19_900, 100)
    found = analyse(made.write(tmp_path / "run"))
    return found.model_copy(update={"phases": tuple(map(changed, found.phases))})


def test_no_two_lines_name_other_kinds(tmp_path: Path) -> None:
    """The whole run, the phase, and the headline: the same kinds with the same shares, and none that is small."""
    found = result(tmp_path)
    whole, phase = (text.plain for _, text in stall_rows(found))

    assert "95 % of the stall time is the network (loss), 4 % the network (reorder)." in whole
    assert "the network (loss) 95 %, the network (reorder) 4 %; mostly between router and client" in phase
    assert "95 % of the stall time is the network (loss), 4 % the network (reorder)." in headline(found)


def test_a_part_of_the_network_without_a_kind_is_the_networks() -> None:
    """What nothing tells the kind of is named as the network's, the largest first; a hundredth is not named."""
    assert named({"server": 1.0, "the network (loss)": 30.0, "network": 69.0}) == [
        ("the network", "69 %"),
        ("the network (loss)", "30 %"),
    ]
    assert named({"server": 0.0}) == []
