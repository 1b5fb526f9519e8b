"""Tests of this repository's own that run an experiment."""

from __future__ import annotations

import json
import time
from urllib.request import Request, urlopen

QUESTION = {"model": "any", "messages": [{"role": "user", "content": "Why?"}], "stream": True, "max_tokens": 5}


def test_a_longer_way_costs_what_it_must(chaoskit_run):
    """A delay of 200 ms each way costs a handshake and a request, and no more."""
    result = chaoskit_run("experiments/wifi.yaml", overrides={"faults.wifi.netem": "delay 200ms"})

    wifi, baseline = (result.phase(name).metrics.ttft for name in ("wifi", "baseline"))
    assert 350 < wifi.p50_ms - baseline.p50_ms < 500
    assert result.phase("wifi").metrics.interrupted == 0


def test_a_client_reads_a_whole_answer_behind_a_lossy_link(chaoskit_lab):
    """A client of this repository, here urllib, streams from a server behind the fault, in real time."""
    lab = chaoskit_lab("experiments/wifi.yaml", fault="wifi")

    begin = time.monotonic()
    with urlopen(Request(f"{lab.url}/v1/chat/completions", json.dumps(QUESTION).encode()), timeout=60) as answer:
        lines = answer.read().split(b"\n")

    assert time.monotonic() - begin > 0.04  # 20 ms of a handshake, and 20 ms of an answer
    assert b"data: [DONE]" in lines
