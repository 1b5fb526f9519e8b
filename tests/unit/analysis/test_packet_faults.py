"""Each parameter of a netem: measured where something counts it, else not measured, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, ns, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import FidelityCheck
from chaoskit.records.model import Counters, ServedResponse

FRAME = 1500
MBIT = 1_000_000


def queue(made: Made, mbit: float, backlog: int, seconds: int = 5) -> Made:
    """Samples of the shaped queue, one a second: what left it, and the bytes that it held."""
    for second in range(seconds + 1):
        packets = round(second * mbit * MBIT / 8 / FRAME)
        at = ns(11_000 + 1000 * second)
        name, place = "to-client", "router"
        made.records.append(Counters(at, place, name, "wifi", 0, packets, packets * FRAME, 0, 0, 20, backlog))
    return made


def senders(made: Made, segments: int, **counts: int) -> Made:
    """The server's TCP_INFO of a connection in wifi that sent so many segments."""
    start = {"snd_mss": 1448, "delivered": 1, **dict.fromkeys(counts, 0)}
    end = {"snd_mss": 1448, "delivered": 1 + segments, **counts}
    made.stream(12_000, [12_100, 12_120], connection=0)
    made.records.append(ServedResponse(0, ns(12_001), ns(12_090), ns(12_130), 2, 2, 0, "sent", end, start))
    return made


def check(tmp_path: Path, made: Made, kind: str) -> FidelityCheck:
    """The check of this parameter."""
    found = {each.kind: each for each in analyse(made.many(0, 1000, 100).write(tmp_path / "run")).fidelity}
    return found[kind]  # type: ignore[index]


@pytest.mark.parametrize(
    ("mbit", "backlog", "verdict", "remark"),
    [
        (2, 60_000, "achieved", ""),
        (2, 1_000, "not-measured", "the queue was never seen full; at most 1.99 Mbit/s passed"),
        (1.2, 60_000, "not-measured", "the queue ran empty at times; 1.2 Mbit/s passed"),
        (3, 0, "not-achieved", "more than that passed"),
    ],
)
def test_a_rate_is_what_leaves_a_full_queue(
    tmp_path: Path, mbit: float, backlog: int, verdict: str, remark: str
) -> None:
    """Without traffic that fills it nothing is measured, and more than the rate is never achieved."""
    made = queue(Made(plan(netem="{rate: 2mbit, delay: 30ms}")).phases(), mbit, backlog)

    found = check(tmp_path, made, "rate")

    assert (found.verdict, found.remark, found.requested) == (verdict, remark, 2 * MBIT)
    assert (found.measured == pytest.approx(mbit * MBIT, rel=0.01)) == (verdict in ("achieved", "not-achieved"))


def test_a_rate_fixes_no_round_trip(tmp_path: Path) -> None:
    """The report says so, instead of leaving the delay out."""
    found = check(tmp_path, Made(plan(netem="{rate: 2mbit, delay: 30ms}")).phases(), "round-trip")

    assert (found.verdict, found.requested, found.measured) == ("not-measured", None, None)
    assert "depends on the traffic" in found.remark


@pytest.mark.parametrize(
    ("twice", "verdict"), [(50, "achieved"), (62, "achieved"), (0, "not-achieved"), (300, "not-measured")]
)
def test_duplicates_are_what_receivers_tell(tmp_path: Path, twice: int, verdict: str) -> None:
    """By the sender's DSACK count; far more of them have other causes, and none among many is none."""
    made = senders(Made(plan(netem="{duplicate: 5%}")).phases(), 1000, dsack_dups=twice)

    found = check(tmp_path, made, "duplicate")

    assert found.verdict == verdict
    assert found.requested == pytest.approx(0.05)


@pytest.mark.parametrize(("seen", "verdict"), [(7, "achieved"), (0, "not-exercised")])
def test_reordering_is_seen_or_not(tmp_path: Path, seen: int, verdict: str) -> None:
    """Tokens far apart do not overtake each other, which is no failure."""
    made = senders(Made(plan(netem="{delay: 5ms, reorder: 25%}")).phases(), 1000, reord_seen=seen)

    found = check(tmp_path, made, "reorder")

    assert (found.verdict, found.measured) == (verdict, seen)


@pytest.mark.parametrize(
    ("netem", "kind"),
    [
        ("{delay: 30ms, jitter: 5ms}", "jitter"),
        ("{corrupt: 1%}", "corrupt"),
        ("{slot: {min: 10ms}}", "slot"),
        ("{loss: {share: 1%}, ecn: true}", "ecn"),
        ("{duplicate: 5%}", "duplicate"),
        ("{delay: 5ms, reorder: 25%}", "reorder"),
        ("{duplicate: 5%}", "loss"),
        ("{loss: {share: 1%, correlation: 25%}}", "loss"),
    ],
)
def test_what_nothing_counts_is_not_measured(tmp_path: Path, netem: str, kind: str) -> None:
    """Each parameter that was asked for has a line, and without evidence it is never achieved."""
    found = check(tmp_path, Made(plan(netem=netem)).phases().counters("wifi", 900, 0, 10_000, 20_000), kind)

    assert found.verdict == "not-measured"
    assert found.remark
