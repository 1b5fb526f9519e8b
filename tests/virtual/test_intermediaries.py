"""What stands between client and server is named: unmodified nginx, HAProxy, Caddy and Envoy, with their timers."""

from __future__ import annotations

import sys

import intermediaries_world
import pytest

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration


@pytest.fixture(scope="module")
def results(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """The result of each case."""
    folder = tmp_path_factory.mktemp("between")
    (folder / "runs").mkdir()
    words = (sys.executable, intermediaries_world.__file__, str(folder))
    guest = uml.Uml(kernel, options=uml.virtual_time(1)).launch(
        Command(words, folder, Duration.parse("200s")), RealClock()
    )
    assert guest.finish() == 0, guest.log.read_text()
    return {case: analyse(folder / "runs" / case) for case in intermediaries_world.CASES}


@pytest.mark.parametrize("case", ["direct", "random"])
def test_nothing_is_claimed_without_cause(case: str, results: dict[str, Result]) -> None:
    """Neither of a server that is asked directly, nor where streams are reset after silences of any length."""
    assert results[case].intermediaries == ()
    assert results[case].overall.completions == ({"complete": 6} if case == "direct" else {"reset": 12})


@pytest.mark.parametrize(
    ("case", "streams", "seconds", "whose"),
    [
        ("nginx-silent", 5, 60, "nginx proxy_read_timeout"),
        ("nginx-mute", 5, 60, "nginx proxy_read_timeout"),
        ("haproxy-silent", 6, 50, "HAProxy timeout server"),
        ("caddy-silent", 6, 2, "nginx proxy_read_timeout, HAProxy timeout server"),
    ],
)
def test_an_idle_timer_is_named_with_its_time(
    case: str, streams: int, seconds: float, whose: str, results: dict[str, Result]
) -> None:
    """Whether it cuts the body, ends it cleanly, or answers 504; our own default timeouts are longer."""
    (found,) = results[case].intermediaries

    assert (found.kind, found.streams, found.of_streams) == ("idle-timer", streams, streams)
    assert found.seconds == pytest.approx(seconds, rel=0.02)
    cut = f"{streams} of {streams} streams that did not end by themselves were cut off"
    assert f"{cut} after {found.seconds:.2f} s of silence" in found.sentence
    assert whose in found.sentence


@pytest.mark.parametrize("case", ["limited", "envoy-limits"])
def test_a_limit_on_the_whole_response_is_no_idle_timer(case: str, results: dict[str, Result]) -> None:
    """Streams that are cut off while data arrives, always after the same time: Envoy's 15 s cut a healthy answer."""
    (found,) = results[case].intermediaries

    assert (found.kind, found.streams) == ("response-timer", 6)
    assert found.seconds == pytest.approx(15, rel=0.02)
    assert "Envoy's route timeout" in found.sentence


@pytest.mark.parametrize(
    ("case", "remedy", "confidence"),
    [
        ("nginx-buffers", "nginx: proxy_buffering off", "certain"),
        ("nginx-compresses", "gzip off", "certain"),
        ("nginx-compresses-foreign", "gzip off", "likely"),
        ("haproxy-corks", "HAProxy: option http-no-delay", "certain"),
        ("nginx-buffers-foreign", "nginx: proxy_buffering off", "likely"),
    ],
)
def test_what_holds_a_stream_back_is_named(case: str, remedy: str, confidence: str, results: dict[str, Result]) -> None:
    """With the size and the interval of its pieces and the remedy; its stalls are not the network's."""
    result = results[case]
    (found,) = result.intermediaries
    stalls = [phase.stall_attribution for phase in result.phases]

    assert (found.kind, found.streams, found.confidence) == ("buffering", 6, confidence)
    assert f"{found.bytes} bytes" in found.sentence
    assert remedy in found.sentence
    assert sum(each.between_ms for each in stalls) > 0 or "whole" in found.sentence
    assert sum(each.network_ms for each in stalls) == 0


def test_what_compresses_is_named(results: dict[str, Result]) -> None:
    """nginx compresses for a client that accepts it, as SDKs do, and holds events back until it has a block."""
    compressed, plain = results["nginx-compresses"], results["direct"]

    assert any("6 of 6 answers came compressed (gzip)" in each for each in compressed.warnings)
    assert not any("compressed" in each for each in plain.warnings)
    assert compressed.overall.ttft.p50_ms is not None
    assert plain.overall.ttft.p50_ms is not None
    assert compressed.overall.ttft.p50_ms > 2 * plain.overall.ttft.p50_ms
