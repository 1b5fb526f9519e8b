"""The probe and the formulas of public benchmark clients agree on the same streams, read at the same time by both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_words import MEASURED
from observed_streams import SHAPES, TOKENS, USAGE_LATER
from public_clients import Observed, aiperf, guidellm, vllm

from chaoskit.records.jsonl import read
from chaoskit.records.model import Request

PROGRAM = Path(__file__).parents[2] / "observed_streams.py"
REQUESTS = 40
LATE, LATEST, UNEVEN = 20.0, 60.0, 1.0
"""ms by which two readers of the same streams may differ where others use the machine: in a percentile, a p99, and a
mean over the gaps of a stream. In virtual time it is nothing: tests/virtual/test_agreement.py."""

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use


@contextmanager
def program(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """One of both, with its port."""
    with subprocess.Popen([sys.executable, PROGRAM, *words], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip(), running
        finally:
            running.kill()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[Observed]]:
    """What the probe says of its streams in JSON, and what the relay saw of them.

    A client stamps the begin of its request by itself: here all have that of the probe.
    """
    run = tmp_path_factory.mktemp("agreement") / "run"
    with ExitStack() as stack:
        model, _ = stack.enter_context(program("model", "0"))
        port, relay = stack.enter_context(program("relay", "0", "127.0.0.1", model))
        words = ["probe", f"http://127.0.0.1:{port}", "--requests", str(REQUESTS), "--max-concurrency", "8", "--json"]
        words += ["--model", "any", "--out", str(run)]
        done = subprocess.run(
            [sys.executable, "-m", "chaoskit", *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode in MEASURED, done.stderr
        assert relay.stdout is not None
        seen = [Observed.of_line(relay.stdout.readline()) for _ in range(REQUESTS)]
    started = {request.stream: request.started for request in read(run, Request)}
    return json.loads(done.stdout), [replace(stream, begin=started[stream.number]) for stream in seen]


def near(value: float, values: list[float], percent: int) -> None:
    """It is the percentile of these values, by nearest rank, but for the time that two readers differ."""
    most = LATEST if percent == 99 else LATE
    assert value == pytest.approx(np.percentile(values, percent, method="inverted_cdf"), abs=most), (percent, values)


def test_the_streams_are_of_every_shape(both: tuple[dict[str, Any], list[Observed]]) -> None:
    """A role alone, several tokens an event, reasoning, two events in one read, and usage at the end were all there."""
    _, seen = both

    firsts = {(stream.events[0].has_content, stream.events[0].has_text, len(stream.content)) for stream in seen}
    assert firsts == {(False, False, 12), (True, False, 12), (True, True, 12), (True, True, 3)}
    assert len(SHAPES) == 5
    assert all(stream.tokens == TOKENS and not stream.events[-1].has_choices for stream in seen)
    assert any(len(set(stream.content)) == TOKENS // 2 for stream in seen)


def test_it_says_what_aiperf_says(both: tuple[dict[str, Any], list[Observed]]) -> None:
    """First tokens, gaps of events, time per token, latency and throughput are AIPerf's, at every percentile."""
    said, theirs = both[0]["chaoskit"]["overall"], aiperf(both[1])

    for name, values in (("ttft", theirs.ttft), ("itl", theirs.itl), ("tpot", theirs.tpot), ("e2el", theirs.e2el)):
        for percent in (50, 90, 99):
            near(said[name][f"p{percent}_ms"], values, percent)
    assert said["itl"]["count"] == len(theirs.itl)
    assert said["tokens_per_second"]["value"] == pytest.approx(theirs.throughput, rel=0.05)


def test_it_says_what_vllm_says(both: tuple[dict[str, Any], list[Observed]]) -> None:
    """vLLM's keys are vLLM's: a role alone is a first token. Its end of an answer, without text, is no gap here."""
    said, seen = both
    theirs = vllm(seen)
    later = USAGE_LATER * 1000

    for percent in (90, 99):
        assert said[f"p{percent}_ttft_ms"] == pytest.approx(np.percentile(theirs.ttft, percent), abs=LATEST)
    assert said["median_ttft_ms"] == pytest.approx(np.median(theirs.ttft), abs=LATE)
    assert said["mean_ttft_ms"] == pytest.approx(np.mean(theirs.ttft), abs=LATE)
    assert said["mean_e2el_ms"] == pytest.approx(np.mean(theirs.e2el) - later, abs=LATE)
    assert said["mean_tpot_ms"] == pytest.approx(np.mean(theirs.tpot) - later / (TOKENS - 1), abs=UNEVEN)
    whole = sum(theirs.itl) / (len(theirs.itl) - REQUESTS)  # one gap of each stream ends with the finish, 0 ms long
    assert said["mean_itl_ms"] == pytest.approx(whole, abs=UNEVEN)
    assert said["output_throughput"] == pytest.approx(theirs.throughput, rel=0.05)
    assert said["total_output_tokens"] == sum(stream.tokens for stream in seen)


def test_guidellm_differs_as_the_page_says(both: tuple[dict[str, Any], list[Observed]]) -> None:
    """Its ITL is our TPOT; its TPOT has the first token in it; first tokens and latencies are the same."""
    said, theirs = both[0]["chaoskit"]["overall"], guidellm(both[1])

    for ours, values in (("ttft", theirs.ttft), ("tpot", theirs.itl), ("e2el", theirs.e2el)):
        for percent in (50, 99):
            near(said[ours][f"p{percent}_ms"], values, percent)
    with_first = (said["ttft"]["mean_ms"] + (TOKENS - 1) * said["tpot"]["mean_ms"]) / TOKENS
    assert with_first == pytest.approx(np.mean(theirs.tpot), abs=UNEVEN)


def test_the_formulas_by_hand() -> None:
    """A role after 60 ms, two events of two tokens at 100 and 140 ms, usage at 150 ms: the numbers of each client."""
    head = "HTTP/1.1 200 OK\r\n\r\n"
    texts = [{"role": "assistant", "content": ""}, {"content": "a b"}, {"content": "c d"}]
    events = [{"choices": [{"delta": delta}]} for delta in texts] + [{"choices": [], "usage": {"completion_tokens": 4}}]
    reads = [[0, head]] + [
        [at * 10**6, f"data: {json.dumps(data)}\n\n"] for at, data in zip((60, 100, 140, 150), events, strict=True)
    ]
    seen = [Observed.of_line(json.dumps({"stream": 0, "begin": 0, "reads": reads}))]

    for figures, expected in (
        (vllm(seen), ([60], [40, 40], [30], [150], 4 / 0.15)),
        (aiperf(seen), ([100], [40], [40 / 3], [140], 4 / 0.14)),
        (guidellm(seen), ([100], [40 / 3], [35], [140], 4 / 0.14)),
    ):
        assert all(found == pytest.approx(known) for found, known in zip(astuple(figures), expected, strict=True))
