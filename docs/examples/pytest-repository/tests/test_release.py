"""Tests of this repository's own that run an experiment."""

from __future__ import annotations


def test_a_longer_way_costs_what_it_must(chaoskit_run):
    """A delay of 200 ms each way costs a handshake and a request, and no more."""
    result = chaoskit_run("experiments/wifi.yaml", overrides={"faults.wifi.netem": "delay 200ms"})

    wifi, baseline = (result.phase(name).metrics.ttft for name in ("wifi", "baseline"))
    assert 350 < wifi.p50_ms - baseline.p50_ms < 500
    assert result.phase("wifi").metrics.interrupted == 0
