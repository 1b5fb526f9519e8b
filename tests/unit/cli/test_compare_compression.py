"""`probe --compare-compression N` shows what compression costs a stream, beside the measurement and never in it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asked_endpoint import HEAD, Asked, Endpoint, endpoint, probe, reply

from chaoskit.records.jsonl import read
from chaoskit.records.model import Request

EVENTS, INTERVAL = 12, 0.02  # s
FIRST = b'data: {"choices":[{"delta":{"content":"word "}}]}\n\n'
LAST = b'data: {"choices":[{"delta":{"content":"end"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def compresses(asked: Asked) -> bytes | Iterator[bytes]:
    """An event each 20 ms; for a client that accepts gzip all at once, when the block is full: at the end."""
    if asked.method != "POST":
        return reply(404, {})
    return _held() if "gzip" in asked.headers["accept-encoding"] else _as_they_come(HEAD)


def always_compresses(asked: Asked) -> bytes | Iterator[bytes]:
    """Whatever the client accepts."""
    return _held() if asked.method == "POST" else reply(404, {})


def never_compresses(asked: Asked) -> bytes | Iterator[bytes]:
    """Whatever the client accepts."""
    return _as_they_come(HEAD) if asked.method == "POST" else reply(404, {})


def refuses_without(asked: Asked) -> bytes | Iterator[bytes]:
    """An error for those that accept no compression."""
    is_accepted = asked.method != "POST" or "gzip" in asked.headers["accept-encoding"]
    return compresses(asked) if is_accepted else reply(406, {"error": {"message": "gzip only"}})


def _as_they_come(head: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(EVENTS - 1):
        yield chunk(FIRST)
        time.sleep(INTERVAL)
    yield chunk(LAST) + chunk(b"")


def _held() -> Iterator[bytes]:
    yield HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    time.sleep(INTERVAL * (EVENTS - 1))
    coder = zlib.compressobj(wbits=31)
    yield chunk(coder.compress(FIRST * (EVENTS - 1) + LAST) + coder.flush()) + chunk(b"")


COMPARE = ("--model", "m", "--requests", "4", "--compare-compression", "3")


def document(found: Endpoint, *options: str, codes: tuple[int, ...] = (0, 5)) -> dict[str, Any]:
    """The whole result of a probe."""
    done = probe(found.url, *COMPARE, *options, "--json")
    assert done.returncode in codes, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)["chaoskit"]
    return result


def test_both_are_shown_side_by_side(tmp_path: Path) -> None:
    """First token, reads and bursts of answers that were held, and of the same without compression."""
    out = tmp_path / "run"
    with endpoint(compresses) as found:
        done = probe(found.url, *COMPARE, "--out", str(out))
        accepted = [each.headers["accept-encoding"] for each in found.posts]
        prompts = {each.body["messages"][0]["content"] for each in found.posts}

    assert done.returncode in (0, 5), done.stderr
    assert accepted == ["gzip, deflate"] * 4 + ["identity"] * 3
    assert len(prompts) == 7
    shown = " ".join(done.stdout.split())
    assert "With and without compression" in shown
    assert "median of an answer gzip none" in shown
    assert f"reads with tokens 1 {EVENTS}" in shown
    assert "bursts 1 " in shown
    assert "count nowhere else" in shown
    assert "--accept-encoding identity" not in shown


def test_the_main_figures_are_those_of_the_compressed_answers(tmp_path: Path) -> None:
    """Counts, latencies and records have the others in a folder of their own, and `report` says the same."""
    out = tmp_path / "run"
    with endpoint(compresses) as found:
        result = document(found, "--out", str(out))

    held, plain = result["compression"]
    assert (result["overall"]["started"], result["overall"]["complete"]) == (4, 4)
    assert result["overall"]["ttft"]["p50_ms"] > 200 > plain["first_token_ms"]
    assert held["first_token_ms"] > 200
    assert (held["streams"], plain["streams"]) == (4, 3)
    assert (held["coding"], plain["coding"]) == ("gzip", "none")
    assert held["longest_gap_ms"] < 5 < plain["longest_gap_ms"]
    assert [each.coding for each in read(out, Request)] == ["gzip"] * 4
    assert [each.coding for each in read(out / plain["records"], Request)] == [None] * 3
    again = subprocess.run(
        [sys.executable, "-m", "chaoskit", "report", str(out), "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(again.stdout)["compression"] == [held, plain]


def test_several_processes_are_compared_too() -> None:
    """The further requests come from one process, after the others."""
    with endpoint(compresses) as found:
        result = document(found, "--processes", "2", "--max-concurrency", "2")
        accepted = [each.headers["accept-encoding"] for each in found.posts]

    assert accepted == ["gzip, deflate"] * 4 + ["identity"] * 3
    assert result["compression"][1]["streams"] == 3


def test_nothing_is_sent_where_nothing_came_compressed() -> None:
    """A warning says that nothing was compared."""
    with endpoint(never_compresses) as found:
        result = document(found)

    assert len(found.posts) == 4
    assert result["compression"] == []
    assert "nothing was compared with requests without compression: no answer came compressed" in result["warnings"]


def test_a_server_that_compresses_all_the_same_is_named() -> None:
    """Both columns are compressed then, and it is said."""
    with endpoint(always_compresses) as found:
        result = document(found)

    assert result["compression"][1]["remark"] == "the server compressed (gzip) although none was accepted"


def test_refusals_without_compression_change_no_verdict() -> None:
    """They are told in the comparison; the measurement is met, where the machine had time for it."""
    with endpoint(refuses_without) as found:
        done = probe(found.url, *COMPARE, "--objective", "interruption_rate < 90%")

    shown = " ".join(done.stdout.split())
    assert done.returncode == (5 if "the client was too slow" in shown else 0), done.stdout
    assert "406: gzip only" in shown
    assert "first token" in shown


@pytest.mark.parametrize("options", [("--accept-encoding", "identity"), ("--header", "Accept-Encoding: identity")])
def test_a_comparison_of_nothing_is_refused(options: tuple[str, ...]) -> None:
    """Before anything is asked."""
    with endpoint(compresses) as found:
        done = probe(found.url, *COMPARE, *options)

    assert done.returncode == 2
    assert "accepts no compression: remove one of them" in done.stderr
    assert not found.asked


def test_fewer_than_the_streams_at_a_time_are_doubted() -> None:
    """Their load is another."""
    with endpoint(compresses) as found:
        done = probe(found.url, *COMPARE, "--max-concurrency", "4")

    assert "--compare-compression 3: fewer than max-concurrency, 4, so" in " ".join(done.stderr.split())


def test_advice_names_what_was_not_given() -> None:
    """The option that compares; not an encoding that was given already."""
    with endpoint(always_compresses) as found:
        plain, identity = (
            " ".join(probe(found.url, "--model", "m", *options).stdout.split())
            for options in ((), ("--accept-encoding", "identity"))
        )

    assert "1 of 1 answer came compressed (gzip)" in plain
    assert "--compare-compression 10 shows what that costs" in plain
    assert "although none was accepted" in identity
    assert "--accept-encoding" not in identity
    assert "--compare-compression" not in identity


def test_an_end_during_the_comparison_leaves_the_measurement(tmp_path: Path) -> None:
    """Ctrl-C ends the further requests; the verdict and the figures are those of the finished measurement."""
    out = tmp_path / "run"
    with endpoint(compresses) as found:
        words = [sys.executable, "-m", "chaoskit", "probe", found.url, *COMPARE[:-1], "1000", "--out", str(out)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            until = time.monotonic() + 30
            while len(found.posts) < 6 and time.monotonic() < until:
                time.sleep(0.01)
            running.send_signal(signal.SIGINT)
            shown, _ = running.communicate(timeout=30)

    assert running.returncode in (0, 5)
    assert "4 streams, 4 complete" in shown
    assert "SIGINT" in shown
