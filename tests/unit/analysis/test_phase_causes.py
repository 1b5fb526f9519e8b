"""Whose interruptions and late first tokens were, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, ns

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import PhaseResult
from chaoskit.planning.compile import compile_plan
from chaoskit.records.model import Completion, ServedResponse, TcpInfo
from chaoskit.spec.load import parse


def wifi(made: Made, tmp_path: Path) -> PhaseResult:
    """The phase with the fault."""
    return analyse(made.write(tmp_path / "run")).phase("wifi")


@pytest.mark.parametrize(
    ("completion", "cause"),
    [("http_error", "server"), ("truncated", "server"), ("reset", "unknown"), ("idle_timeout", "unknown")],
)
def test_the_far_end_that_said_so_is_named(completion: Completion, cause: str, tmp_path: Path) -> None:
    """An error, a clean end without the marker: the server's; a reset or a silence may be anybody's."""
    made = Made().phases()
    made.stream(11_000, [11_100], completion, ended=12_000)

    assert wifi(made, tmp_path).interruption_causes == {cause: 1}


def test_what_waited_to_the_end_is_the_networks(tmp_path: Path) -> None:
    """In the stall in which a stream died, or before its first token, data was there and a segment was missing."""
    made = Made().phases()
    made.stream(11_000, [11_100, 11_120], "idle_timeout", ended=14_000)
    made.stream(11_000, [], "first_token_timeout", ended=14_000)
    made.records += [TcpInfo(stream, "stuck", ns(13_000), {"rmem_alloc": 2304}) for stream in (0, 1)]

    assert wifi(made, tmp_path).interruption_causes == {"network": 2}


@pytest.mark.parametrize(
    ("detail", "cause"), [("TCP handshake not finished within 5s", "network"), ("connection refused", "unknown")]
)
def test_a_connection_that_nothing_answered_is_the_networks(detail: str, cause: str, tmp_path: Path) -> None:
    """A refusal is an answer, from anybody on the way."""
    made = Made().phases()
    made.stream(11_000, [], "connect_failed", ended=16_000, detail=detail, sent=None, headers=None)

    assert wifi(made, tmp_path).interruption_causes == {cause: 1}


@pytest.mark.parametrize(
    ("took", "begun", "completion", "cause"),
    [
        (None, 12_000, "idle_timeout", "network"),  # nothing answered
        (4000, 12_000, "first_token_timeout", "network"),  # only after the end
        (40, 12_000, "idle_timeout", "unknown"),  # the path was alive: a server that hangs, or a black hole
        (None, 13_800, "idle_timeout", "unknown"),  # too late to be answered in the silence
        (None, 12_000, "reset", "unknown"),  # which is an answer
    ],
)
def test_attempts_to_connect_in_a_silence_tell_whether_the_path_was_dead(
    took: int | None, begun: int, completion: Completion, cause: str, tmp_path: Path
) -> None:
    """The far end's kernel answers a SYN, whatever its programs do."""
    made = Made().phases()
    made.stream(11_000, [11_100] if completion != "first_token_timeout" else [], completion, ended=14_000)
    if took is None:
        detail = "TCP handshake not finished within 5s"
        made.stream(begun, [], "connect_failed", ended=begun + 5000, detail=detail, sent=None)
    else:
        at = begun + took
        made.stream(begun, [at + 100], connect_duration=took * 10**6, sent=ns(at))

    found = wifi(made, tmp_path).interruption_causes

    assert found.get("unknown", 0) == (cause == "unknown")
    assert found.get("network", 0) == (cause == "network") + (took is None)


@pytest.mark.parametrize(("again", "cause"), [(2, "network"), (0, "unknown")])
def test_a_request_that_was_never_acknowledged_is_the_networks(again: int, cause: str, tmp_path: Path) -> None:
    """It had been sent again and again; without that the far end has it, and is silent for its own reasons."""
    made = Made().phases()
    made.stream(11_000, [], "first_token_timeout", ended=14_000)
    made.records += [TcpInfo(0, "stuck", ns(13_000), {"unacked": 2 if again else 0, "retransmits": again})]

    assert wifi(made, tmp_path).interruption_causes == {cause: 1}


def test_a_late_first_token_is_divided(tmp_path: Path) -> None:
    """What connecting took is the network's, what the client waited its own; the rest nobody knows."""
    made = Made().phases().many(0, 3000, 100)
    made.stream(11_000, [11_900, 11_920], connect_duration=300 * 10**6, started=ns(11_100), sent=ns(11_400))

    found = wifi(made, tmp_path)

    assert found.late_first_tokens == 1
    assert found.first_token_causes == {
        "network": pytest.approx(300),
        "client": pytest.approx(100),
        "unknown": pytest.approx(400),
    }


CHAIN = """\
name: chain
question: Whose is it?
stage:
  lab: service
  hosts:
    gateway: {gateway: {workflows: {chat: [generate]}}}
    model: {reference: true}
  target: http://gateway:8000/v1/chat/completions
workload: {request-rate: 10/s}
faults: {wifi: {host: model, direction: both, netem: {delay: 100ms}}}
timeline: [{baseline: 10s}, {wifi: 10s}]
"""


@pytest.mark.parametrize(("text", "rest"), [(None, "network"), (CHAIN, "between")])
def test_the_servers_stamps_divide_the_rest(text: str | None, rest: str, tmp_path: Path) -> None:
    """The reference server got the request 350 ms after it was sent, and sent its first token 200 ms later.

    Where a gateway answers, what the model's stamps leave is behind the client's connection, and no network's of it.
    """
    made = (Made() if text is None else Made(compile_plan(parse(text, "made.yaml")))).phases()
    times = [(at, at + 40, at + 60, at + 100) for at in range(0, 3000, 100)]
    for begin, received, sent, came in (*times, (11_000, 11_350, 11_550, 11_900)):
        number = made.stream(begin, [came])
        made.records[-1] = made.read(number, 0, came, seq=0, due=ns(sent), sent=ns(sent))
        made.records.append(ServedResponse(number, ns(received), ns(sent), ns(sent), 1, 1, 0, "sent"))

    found = wifi(made, tmp_path)

    assert found.first_token_causes == {"server": pytest.approx(180), rest: pytest.approx(620)}


def test_a_phase_is_not_compared_with_itself(tmp_path: Path) -> None:
    """The phase of reference has no late first tokens, whatever came late in it."""
    made = Made().phases().many(0, 3000, 100)
    made.stream(5000, [5900])
    baseline = analyse(made.write(tmp_path / "run")).phase("baseline")

    assert (baseline.late_first_tokens, baseline.first_token_causes) == (0, {})
