"""What became of full segments, on a real kernel: one run through every kind of path, and each phase says its own.

Every answer takes more than a second to begin with, so that sockets are looked at in every phase. Requests and
answers are both longer than a segment.
"""

from __future__ import annotations

import pytest
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import PathMtu
from chaoskit.analysis.result import Result
from chaoskit.substrate.uml import GuestKernel

EVERY_PATH = """\
name: every-path
question: Does the result say what became of full segments?
stage: {lab: edge}
workload:
  request-rate: 1/s
  burstiness: 0
  prompt-size: 8kB
  output-tokens: 100
  timeouts: {connect: 4s, first-token: 5s, idle: 5s}
server: {first-token: {median: 1200ms, p99: 1200ms}, token-interval: 10us}
faults:
  hole-up:
    - &away {link: client-router, direction: down, netem: {delay: 20ms}}
    - &up {direction: up, pmtu: {mtu: 1300, signal: dropped}}
  hole-down:
    - *away
    - &down {direction: down, pmtu: {mtu: 1300, signal: dropped}}
  probed-up: [*away, *up, {node: client, sysctl: {net.ipv4.tcp_mtu_probing: 1}}]
  probed-down: [*away, *down, {node: server, sysctl: {net.ipv4.tcp_mtu_probing: 1}}]
  loss: {link: client-router, direction: both, netem: {delay: 20ms, loss: 30%}}
  blackout-up: {link: client-router, direction: up, netem: {loss: 100%}}
  blackout-down: {link: client-router, direction: down, netem: {loss: 100%}}
  clamp: {mss-clamp: 1240}
  signalled-up: {direction: up, pmtu: 1300}
  signalled-down: [*away, {direction: down, pmtu: 1300}]
timeline:
  - baseline: 3s
"""
LENGTHS = {
    "hole-up": 7,
    "hole-down": 7,
    "probed-up": 8,
    "probed-down": 8,
    "loss": 9,
    "blackout-up": 8,
    "blackout-down": 8,
    "clamp": 4,
    "signalled-up": 4,
    "signalled-down": 4,
}
SOUND = ("baseline", "recovery", "loss", "blackout-up", "blackout-down")
HOLED = (("hole-up", "up"), ("hole-down", "down"), ("probed-up", "up"), ("probed-down", "down"))


@pytest.fixture(scope="module")
def result(kernel: GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Of one run through them all; what a router signals is known for ten minutes, so that comes last."""
    folder = tmp_path_factory.mktemp("paths")
    phases = "".join(f"  - {name}: {length}s\n  - recovery: 4s\n" for name, length in LENGTHS.items())
    file = folder / "every-path.yaml"
    file.write_text(EVERY_PATH + phases.replace("  - recovery: 4s\n  - signalled", "  - signalled"))
    words = ["run", str(file), "--kernel", str(kernel.path), "--clock", "virtual", "--out", str(folder / "run")]
    answer = warm.chaoskit(*words, limit=280)
    assert answer.returncode in (0, 5), answer.stdout + answer.stderr
    return analyse(folder / "run")


def findings(result: Result, phase: str) -> list[PathMtu]:
    """Those of one phase."""
    found = result.phase(phase)
    return list(found.path_mtu)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("phase", SOUND)
def test_where_full_segments_pass_nothing_is_found(phase: str, result: Result) -> None:
    """Neither where all is well, nor where a third of everything is lost, nor where nothing passes at all."""
    assert [one.sentence for one in findings(result, phase) if one.kind != "signalled"] == []


@pytest.mark.parametrize(("phase", "direction"), HOLED)
def test_a_black_hole_is_found(phase: str, direction: str, result: Result) -> None:
    """On its way and no other, with full segments of 1448 bytes and a path MTU that nobody corrected.

    It is certain, and likely where all but two or three streams escaped it.
    """
    found = [one for one in findings(result, phase) if one.kind == "black-hole"]

    assert [(one.direction, one.segment, one.path_mtu) for one in found] == [(direction, 1448, 1500)]
    assert found[0].confidence in (("certain", "likely") if phase.startswith("probed") else ("certain",))
    assert found[0].streams >= 2
    assert found[0].retransmissions >= 2


@pytest.mark.parametrize(("phase", "direction"), HOLED)
def test_probing_is_found_where_it_was_on(phase: str, direction: str, result: Result) -> None:
    """Half the streams and more came out with segments of 1024 bytes where the sender probed, elsewhere none."""
    found = [one for one in findings(result, phase) if one.kind == "probed"]

    if phase.startswith("probed"):
        assert [(one.direction, one.confidence, one.segment, one.path_mtu) for one in found] == [
            (direction, "certain", 1024, 1500)
        ]
        assert 2 * found[0].streams >= found[0].of_streams
    else:
        assert found == []


@pytest.mark.parametrize(("phase", "direction"), HOLED)
def test_what_died_was_counted(phase: str, direction: str, result: Result) -> None:
    """The router could not send on some packets, made a signal for each, and each of them was lost on its way back."""
    place = {"up": "signals to the client", "down": "signals to the server"}[direction]
    found = {each.kind: each for each in result.fidelity if each.phase == phase and each.unit == "count"}

    assert {(each.kind, each.where, each.verdict) for each in found.values()} == {
        ("oversized", "the router", "achieved"),
        ("icmp-lost", place, "achieved"),
    }
    assert 0 < (found["oversized"].measured or 0) == found["icmp-lost"].measured == found["icmp-lost"].samples


@pytest.mark.parametrize("phase", ["signalled-up", "signalled-down"])
def test_what_was_signalled_was_counted(phase: str, result: Result) -> None:
    """A signal for each packet, and none lost."""
    found = {each.kind: each for each in result.fidelity if each.phase == phase and each.unit == "count"}

    assert {(each.kind, each.verdict) for each in found.values()} == {
        ("oversized", "achieved"),
        ("icmp-sent", "achieved"),
    }
    assert found["icmp-sent"].measured == found["icmp-sent"].samples == found["oversized"].measured


def test_a_clamp_is_seen_at_both_ends(result: Result) -> None:
    """As it was asked for, by the sockets of clients and servers."""
    (found,) = (each for each in result.fidelity if each.phase == "clamp")

    assert (found.kind, found.verdict, found.measured) == ("mss", "achieved", 1240)
    assert found.samples >= 2 * 4


def test_a_clamp_is_found_both_ways(result: Result) -> None:
    """All streams of the phase sent 1228 bytes to a segment, from the first one on."""
    found = findings(result, "clamp")

    assert [(one.kind, one.direction, one.segment, one.path_mtu) for one in found] == [
        ("clamped", "up", 1228, 1500),
        ("clamped", "down", 1228, 1500),
    ]
    assert all(one.streams == one.of_streams >= 4 for one in found)


@pytest.mark.parametrize(("phase", "directions"), [("signalled-up", ["up"]), ("signalled-down", ["up", "down"])])
def test_a_signal_is_found_and_stays(phase: str, directions: list[str], result: Result) -> None:
    """The sender knows of 1300 bytes; the client still does a phase later, on a path that takes 1500 again."""
    found = findings(result, phase)

    assert [one.direction for one in found] == directions
    assert {(one.kind, one.segment, one.path_mtu, one.confidence) for one in found} == {
        ("signalled", 1248, 1300, "certain")
    }
