"""Objectives that cannot be decided are told before a run, and what is advised removes the warning."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import shipped
from decidable_files import ENDPOINT, LAB, Words, advice, applied, warned

from chaoskit.planning.compile import compile_plan
from chaoskit.planning.decidability import decidability_warnings, joint_advice, probe_warnings
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.report.plan import render
from chaoskit.report.screen import Screen
from chaoskit.spec.load import parse
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.options import objectives, workload
from chaoskit.units import Duration

FILES = shipped.FILES


def joint(base: Words, *sentences: str) -> tuple[str, ...]:
    """What is advised for all these objectives together."""
    experiment = parse(json.dumps(base | {"objectives": list(sentences)}), "made.yaml")
    return joint_advice(compile_plan(experiment, placeholder_lookups(experiment)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_included_experiment_can_be_decided(path: Path) -> None:
    """No objective of any variant of an included experiment lacks streams."""
    for variant in load_variants(path).each:
        plan = compile_plan(variant.experiment, placeholder_lookups(variant.experiment))

        assert decidability_warnings(plan) == ()


def test_the_warning_says_what_is_needed_what_is_given_and_what_to_type() -> None:
    """A p95 of sixty streams: 72 are needed, and each of the ways to get them is named."""
    assert warned(LAB, "ttft_p95 < 800ms during wifi") == (
        "ttft_p95 < 800ms during wifi: needs 72 streams to be met, gets about 60 in wifi; write one of: "
        "wifi: 37s, request-rate: 2.5/s, repeats: 2, ttft_p90 < 800ms during wifi",
    )
    assert warned(LAB, "ttft_p95 < 800ms during wifi", timeline=[{"wifi": "36s"}]) == ()
    assert warned(LAB, "ttft_p95 < 800ms during wifi", workload={"request-rate": "2.4/s", "burstiness": "0"}) == ()


def test_a_trace_is_replayed_faster_or_is_too_short(tmp_path: Path) -> None:
    """No phase is made longer for requests that a trace does not have; the speed is raised while it has them."""

    def told(rows: int) -> tuple[str, ...]:
        path = tmp_path / f"{rows}.csv"
        path.write_text("seconds,input_tokens,output_tokens\n" + "".join(f"{at},100,10\n" for at in range(rows)))
        return warned(LAB, "ttft_p95 < 800ms", workload={"trace": str(path)}, timeline=[{"wifi": "50s"}])

    assert told(3) == (
        "ttft_p95 < 800ms: needs 72 streams to be met, gets about 3 in the run; write a longer trace "
        "(3.csv has 3 requests)",
    )
    (faster,) = told(300)
    assert "needs 72 streams to be met, gets about 50 in the run; write one of: trace: {file: " in faster
    assert "300.csv, speed: 1.6x}" in faster


@pytest.mark.parametrize(
    ("base", "sentence", "told"),
    [
        (
            LAB,
            "ttft_p95 during wifi < 3x baseline",
            "72 streams in each phase to be decided, gets about 60 in wifi, about 40 in baseline",
        ),
        (LAB, "interruption_rate <= 1%", "368 streams to be met, gets about 120 in the run"),
        (LAB, "interruption_rate < 1% during wifi", "368 streams to be met, gets about 60 in wifi"),
        (LAB, "stalls_per_minute < 2 during wifi", "111 s of streaming to be met, gets about 71 s in wifi"),
        (LAB, "stall_ratio <= 4% during wifi", "93 streams to be met, gets about 60 in wifi"),
        (LAB, "delivered_fraction > 97% during wifi", "123 streams to be met, gets about 60 in wifi"),
        (LAB, "e2el_p99 < 10s during wifi", "368 streams to be met, gets about 60 in wifi"),
        (ENDPOINT, "ttft_p95 < 2s during wifi", "72 streams to be met, gets about 14 in wifi at 20 tokens/s"),
        (
            ENDPOINT,
            "stalls_per_minute < 2 during wifi",
            "111 s of streaming to be met, gets about 32 s in wifi at 50 tokens/s",
        ),
        (ENDPOINT, "connect_p99 < 2s", "368 streams to be met, gets about 30 in the run at 20 tokens/s"),
    ],
)
def test_every_advice_removes_the_warning(base: Words, sentence: str, told: str) -> None:
    """Each alternative, typed into the file as it stands, makes the objective decidable."""
    (warning,) = warned(base, sentence)

    assert f"{sentence}: needs {told}" in warning
    assert len(advice(warning)) >= 2
    for one in advice(warning):
        assert decidability_of(applied(base, one, sentence)) == (), one


def decidability_of(file: Words) -> tuple[str, ...]:
    """The warnings for this file as it is."""
    return warned(file, *file["objectives"])


@pytest.mark.parametrize("burstiness", ["0", "1", "4"])
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_advice_follows_the_arrivals_of_the_seed(burstiness: str, seed: str) -> None:
    """However bursty the arrivals are, the advice is enough for those of this file's own seed."""
    base = LAB | {"seed": seed, "workload": LAB["workload"] | {"burstiness": burstiness}}
    sentence = "ttft_p99 < 2s during wifi"

    (warning,) = warned(base, sentence)

    for one in advice(warning):
        assert decidability_of(applied(base, one, sentence)) == (), one


def test_a_rate_below_that_of_the_workload_is_not_mentioned() -> None:
    """Goodput and tokens per second are compared with what is asked for, and a closed loop asks for no rate."""
    sentences = ("goodput > 1.5/s during wifi", "tokens_per_second > 100", "goodput during wifi > 0.5x baseline")

    assert warned(LAB, *sentences) == warned(ENDPOINT, "goodput > 500/s") == ()


def test_several_warnings_are_followed_by_what_decides_all() -> None:
    """One sentence, which is no warning itself; each of its alternatives removes all warnings at once."""
    sentences = ("ttft_p95 < 800ms during wifi", "interruption_rate <= 1%", "stalls_per_minute < 1 during wifi")

    told = warned(LAB, *sentences)
    (last,) = joint(LAB, *sentences)

    assert [each.partition(":")[0] for each in told] == list(sentences)
    assert last.startswith("to decide all 3 at once; write one of: request-rate: ")
    assert joint(LAB, sentences[0]) == ()
    for one in advice(last):
        changed = applied(LAB, one, "")
        assert warned(changed, *sentences) == (), one


@pytest.mark.parametrize(
    ("base", "sentence", "told"),
    [
        (
            LAB,
            "interruption_rate <= 0%",
            "can never be met, whatever the number .* interruption_rate <= 5%$",
        ),
        (LAB, "stalls_per_minute <= 0 during wifi", "can never be met.* stalls_per_minute <= 5 during wifi$"),
        (LAB, "delivered_fraction >= 100%", "can never be met.* delivered_fraction >= 95%$"),
        (LAB, "stall_ratio <= 100%", "can never be broken"),
        (
            LAB,
            "interruption_rate during wifi < 2x baseline",
            "undecided where baseline has none at all; give",
        ),
        (
            LAB,
            "goodput > 2/s during wifi",
            "the workload asks for 2/s and no more; write less",
        ),
        (LAB, "tokens_per_second > 150", "the workload asks for 120/s and no more"),
        (LAB, "ttft_p95 < 0ms", "can never be met, for nothing is below 0"),
        (LAB, "ttft_p95 during wifi < 0x baseline", "can never be met, for nothing is below 0"),
        (LAB, "ttft_p95 >= 0ms", "can never be broken, for nothing is below 0"),
        (LAB, "goodput >= 0", "can never be broken"),
        (LAB, "goodput < 0", "can never be met"),
        (LAB, "goodput < 5/s", "can never be broken, for the workload asks for 2/s and no more"),
        (LAB, "stalls_per_minute >= 0", "can never be broken"),
        (LAB, "interruption_rate <= 100%", "can never be broken"),
        (LAB, "tls_p95 < 1s", "has no value, for this lab has no TLS; write tls: true in its stage, or remove it$"),
        (ENDPOINT, "tls_max < 1s during wifi", "has no value, for the URL has no TLS; write https:, or remove it$"),
        (LAB, "dns_p50 < 1s", "has no value, for a run looks names up before it begins"),
        (ENDPOINT, "dns_p50 < 1s", "has no value, for a run looks names up before it begins"),
        (LAB | {"server": {"token-interval": "0s"}}, "planned_pace_p50 < 1s", "has no value, for the server plans no"),
        (ENDPOINT, "delivered_fraction > 90%", "stays undecided, for only the lab's server records what it sent"),
        (
            LAB | {"workload": {"max-concurrency": "9", "http": "2", "connections": "shared"}},
            "ttft_p50 < 1s",
            "stays undecided, for all streams share one connection .*; write connections: kept, or a request-rate",
        ),
    ],
)
def test_what_no_number_decides_is_said(base: Words, sentence: str, told: str) -> None:
    """An objective that can end in one way only, or in none, is named with another that can be decided."""
    (warning,) = warned(base, sentence)

    assert re.search(told, warning)
    assert warning.startswith(f"{sentence}: ")


@pytest.mark.parametrize("stage", [{"lab": "edge", "tls": "true"}, {"target": "https://127.0.0.1"}])
def test_a_stage_with_tls_has_handshakes(stage: Words) -> None:
    """What is advised for an objective about TLS removes the warning."""
    base = (LAB if "lab" in stage else ENDPOINT) | {"stage": stage}

    assert warned(base, "tls_max < 1s") == ()


def test_objectives_that_exclude_each_other_are_named() -> None:
    """Of one metric in one phase, an upper bound below a lower one; not where both can hold."""
    (told,) = warned(LAB, "ttft_max < 100ms during wifi", "ttft_max > 200ms during wifi")

    assert told == "ttft_max < 100ms during wifi and ttft_max > 200ms during wifi cannot both be met; remove one"
    assert warned(LAB, "ttft_max < 200ms during wifi", "ttft_max > 100ms during wifi") == ()
    assert warned(LAB, "ttft_max < 100ms during wifi", "ttft_max > 200ms during baseline") == ()


@pytest.mark.parametrize(
    ("url", "sentence", "told"),
    [
        ("http://127.0.0.1:8000", "tls_max < 1s", "has no value, for the URL has no TLS"),
        ("https://127.0.0.1:8000", "tls_max < 1s", ""),
        ("https://127.0.0.1:8000", "dns_max < 1s", "has no value, for the URL has an address and no name"),
        ("https://[::1]:8000", "dns_max < 1s", "has no value, for the URL has an address and no name"),
        ("http://localhost:8000", "dns_max < 1s", ""),
    ],
)
def test_a_probe_says_what_its_url_never_shows(url: str, sentence: str, told: str) -> None:
    """Before its first request."""
    found = probe_warnings(objectives([sentence]), workload({"max-concurrency": 1}), url, 50, Duration.parse("30s"))

    assert told in " ".join(found)
    assert bool(found) == bool(told)


@pytest.mark.parametrize(
    ("change", "sentence", "remedy"),
    [
        ({"connections": "kept", "request-rate": "40/s"}, "connect_p95 < 1s", "connections: fresh"),
        ({"output-tokens": "1", "request-rate": "40/s"}, "itl_p50 < 30ms", "output-tokens: 2"),
    ],
)
def test_where_more_streams_do_not_help_the_workload_is_named(change: Words, sentence: str, remedy: str) -> None:
    """Kept connections have few handshakes, and a single token has no gap: more of the same is no advice."""
    base = LAB | {"workload": {"request-rate": "40/s", "output-tokens": "60"} | change}

    (warning,) = warned(base, sentence)

    assert remedy in advice(warning)
    for one in advice(warning):
        assert decidability_of(applied(base, one, sentence)) == (), one


def test_a_plan_names_the_arrivals_that_its_objectives_are_compared_with() -> None:
    """Of a seed: a random schedule of 8/s for 28 seconds has not just 224 arrivals."""
    base = LAB | {"seed": "1", "workload": {"request-rate": "8/s"}, "timeline": [{"baseline": "12s"}, {"wifi": "16s"}]}
    experiment = parse(json.dumps(base), "made.yaml")
    plan = compile_plan(experiment, placeholder_lookups(experiment))
    (warning,) = warned(base, "interruption_rate <= 0.5%")
    output = io.StringIO()

    render(plan, Screen(output, width=200))

    count = re.search(r"about (\d+) in the run", warning)
    assert count is not None
    assert count[1] != "224"
    assert f"(about {count[1]} streams)" in output.getvalue()


def test_a_huge_load_is_counted_by_its_rate() -> None:
    """A million requests are not drawn one by one."""
    base = LAB | {"workload": {"request-rate": "10000/s"}, "timeline": [{"baseline": "60s"}, {"wifi": "600s"}]}

    assert warned(base, "ttft_p99 < 2s during wifi", "interruption_rate <= 0.1%") == ()


PROBE_TRIALS: list[tuple[str, str, Words, int]] = [
    (
        "ttft_p95 < 800ms",
        "needs 72 streams to be met, gets about 50; give one of: --requests 72, ttft_p90 < 800ms",
        {},
        50,
    ),
    ("ttft_p95 < 800ms", "", {}, 72),
    ("interruption_rate <= 5%", "needs 72 streams to be met, gets about 20; give one of: --requests 72, ", {}, 20),
    (
        "connect_p90 < 1s",
        "needs 36 streams to be met and 2 streams to be broken, gets about 1",
        {"connections": "kept"},
        50,
    ),
    (
        "ttft_p95 < 800ms",
        "100 requests at 2/s take longer than --max-time 30s, give --max-time 51s",
        {"request-rate": "2/s"},
        100,
    ),
]


@pytest.mark.parametrize(("sentence", "told", "words", "requests"), PROBE_TRIALS)
def test_a_probe_says_how_many_requests_it_takes(sentence: str, told: str, words: Words, requests: int) -> None:
    """Before its first request; what is advised is enough."""
    load = workload({"max-concurrency": None if words.get("request-rate") else 1, **words})
    limit = Duration.parse("30s")
    say: Callable[[int, Duration], tuple[str, ...]] = lambda number, time: probe_warnings(  # noqa: E731
        objectives([sentence]), load, "https://llm.example.com", number, time
    )

    found = " ".join(say(requests, limit))

    assert told in found
    assert bool(found) == bool(told)
    for option, value in re.findall(r"give (?:one of: )?--(requests|max-time) ([^\s,]+)", found):
        assert say(int(value), limit) == () if option == "requests" else say(requests, Duration.parse(value)) == ()


def test_an_endpoint_is_not_loaded_more_than_twice_as_much() -> None:
    """Somebody pays for it: more load is advised up to twice its own; longer phases always are."""
    (little,) = warned(ENDPOINT, "ttft_p50 < 2s during wifi", timeline=[{"wifi": "10s"}])
    (much,) = warned(ENDPOINT, "ttft_p95 < 2s during wifi")

    assert "max-concurrency: 4" in advice(little)
    assert "max-concurrency" not in much
    assert {one.partition(":")[0] for one in advice(much)} >= {"wifi", "repeats"}
