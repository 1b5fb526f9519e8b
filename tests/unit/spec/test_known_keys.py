"""An unknown key is answered with what was meant: another spelling, another place, another tool's word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mistaken_files import GOOD

from chaoskit.errors import SpecError
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.known_keys import OURS, places
from chaoskit.spec.load import parse

PATHS = list(places(Experiment))


def answered(before: str, after: str) -> str:
    """What is said of the good file with this change, without its line."""
    assert before in GOOD
    with pytest.raises(SpecError) as refused:
        parse(GOOD.replace(before, after), "x.yaml")
    (line,) = str(refused.value).splitlines()
    return line.partition(": ")[2]


def test_every_key_of_the_file_has_a_place() -> None:
    """The top, what is below it, what is below the name of a fault, and what only one kind of stage has."""
    expected = {"seed", "workload.timeouts.idle", "faults.NAME.netem.loss.gemodel.p", "stage.key-env", "stage.lab"}

    assert expected <= {".".join(path) for path in PATHS}


def test_every_word_of_another_tool_leads_to_a_key_that_there_is() -> None:
    """No entry of the table names a key that the file does not have, or a word that is a key with that meaning."""
    for theirs, ours in OURS.items():
        for key in ours:
            assert any(".".join(path).endswith(key) for path in PATHS), (theirs, key)
            assert theirs != key


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("output-tokens", "max-new-tokens", "workload.max-new-tokens: unknown key; did you mean output-tokens?"),
        ("request-rate", "rps", "workload.rps: unknown key; did you mean request-rate?"),
        ("prompt-size: 4kB", "vus: 4", "workload.vus: unknown key; did you mean max-concurrency?"),
        ("prompt-size: 4kB", "timeout: 4s", "workload.timeout: unknown key; did you mean timeouts?"),
        ("delay: 30ms", "latency: 30ms", "faults.wifi.netem.latency: unknown key; did you mean delay?"),
        ("delay: 30ms", "dely: 30ms", "faults.wifi.netem.dely: unknown key; did you mean delay?"),
        ("delay: 30ms", "bandwidth: 1mbit", "faults.wifi.netem.bandwidth: unknown key; did you mean rate?"),
        ("objectives:", "thresholds:", "thresholds: unknown key; did you mean objectives?"),
        ("idle: 5s", "idle:5s", "workload.timeouts.idle:5s: unknown key; write a space after the colon, idle: 5s"),
        ("prompt-size: 4kB", "seed: 4", "workload.seed: unknown key; its place is seed, at the top of the file"),
        ("seed: 42", "prompt-size: 4kB", "prompt-size: unknown key; its place is workload.prompt-size"),
        ("seed: 42", "connect-timeout: 4s", "connect-timeout: unknown key; did you mean workload.timeouts.connect?"),
        ("seed: 42", "url: http://x", "url: unknown key; did you mean stage.target?"),
        (
            "    netem: {",
            "    delay: 3ms\n    netem: {",
            "faults.wifi.delay: unknown key; its place is faults.NAME.netem.delay",
        ),
        (
            "loss: {gemodel",
            "gemodel: {p: 1%}, loss: {gemodel",
            "faults.wifi.netem.gemodel: unknown key; its place is faults.NAME.netem.loss.gemodel",
        ),
        (
            "prompt-size: 4kB",
            "<<: {a: 1}",
            "workload.<<: unknown key; merge keys of YAML are not read; write the keys out",
        ),
        ("seed: 42", "colour: red", "colour: unknown key; expected one of name, question, stage"),
    ],
)
def test_an_unknown_key_is_answered_with_what_to_write(before: str, after: str, told: str) -> None:
    """The key that is meant, with its path where it belongs elsewhere."""
    assert answered(before, after).startswith(told)


MISTAKES = [
    ("prompt-size: 4kB", "prompt-size: 4", ["8: workload.prompt-size: '4' has no unit"]),
    ("{wifi: 30s}", "{wfi: 30s}", ["19: timeline.1: 'wfi' is neither a fault nor"]),
    ("interruption_rate <= 1%", "interruption_rate <= 1% during nowhere", ["22: objectives.1: 'nowhere' is no phase"]),
    (
        "seed: 42",
        "seed: 42\nseed: 43\ncolour: red",
        ["25: seed: duplicate key, first in line 24", "26: colour: unknown"],
    ),
]


def subsets() -> Iterator[list[tuple[str, str, list[str]]]]:
    """Some of the mistakes, two or more at a time."""
    for number in range(2 ** len(MISTAKES)):
        chosen = [each for at, each in enumerate(MISTAKES) if number >> at & 1]
        if len(chosen) > 1:
            yield chosen


@pytest.mark.parametrize("mistakes", list(subsets()))
def test_mistakes_of_different_kinds_are_told_at_once(mistakes: list[tuple[str, str, list[str]]]) -> None:
    """A wrong value, a phase without a fault, an objective without a phase, a key twice and an unknown one, by line.

    Except that an unknown key hides no phase, and an objective is not blamed for a phase that is misspelled.
    """
    text = GOOD
    for before, after, _ in mistakes:
        text = text.replace(before, after)
    expected = sorted((each for *_, told in mistakes for each in told), key=lambda told: int(told.partition(":")[0]))

    with pytest.raises(SpecError) as refused:
        parse(text, "x.yaml")

    lines = str(refused.value).splitlines()
    assert len(lines) == len(expected), lines
    for line, told in zip(lines, expected, strict=True):
        assert line.startswith(f"x.yaml:{told}")


TIERS = """\
name: x
question: Which key is meant?
stage:
  lab: service
  hosts:
    gateway: {gateway: {workflows: {chat: [{retrieve: {k: 8}}, {generate: {per-try: 9s}}]}}}
    vectors: {retrieval: {latency: {median: 9ms, p99: 20ms}}}
    ready: {run: python x.py, ready: {tcp: 80}}
    model: {reference: {engine: {profile: llama-3-8b-a100}}}
  target: http://gateway:8000/v1/chat/completions
workload: {request-rate: 3/s, users: {retry: {share: 50%, patience: 5s}}}
timeline: [{baseline: 20s}]
"""


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("k: 8", "timeout: 2s", "did you mean deadline?"),
        ("k: 8", "top-k: 8", "did you mean k?"),
        ("k: 8", "host: vectors", "did you mean from?"),
        ("per-try: 9s", "max-retries: 2", "did you mean retries?"),
        ("retrieve: {k", "search: {k", "did you mean retrieve?"),
        ("generate: {per", "model: {per", "did you mean generate?"),
        ("median: 9ms", "p50: 9ms", "did you mean median?"),
        ("p99: 20ms", "p95: 20ms", "did you mean p99?"),
        ("reference: {eng", "model: {eng", "did you mean reference?"),
        ("profile: llama-3-8b-a100", "profile: llama-3-8b-a100, policy: priority", "did you mean scheduling-policy?"),
        ("patience: 5s", "wait: 5s", "did you mean patience or after?"),
        ("patience: 5s", "timeout: 5s", "did you mean patience?"),
        ("tcp: 80", "tcp: 80, timeout: 5s", "did you mean within?"),
        ("request-rate: 3/s", "timeout: 3s", "did you mean timeouts?"),
        ("tcp: 80}", "tcp: 80}, timeout: 9s", "did you mean timers?"),
    ],
)
def test_of_words_with_several_meanings_the_key_beside_it_is_meant(before: str, after: str, told: str) -> None:
    """Not one of the same name in another part of the file."""
    assert before in TIERS
    with pytest.raises(SpecError) as refused:
        parse(TIERS.replace(before, after, 1), "x.yaml")

    assert any(line.endswith(f"unknown key; {told}") for line in str(refused.value).splitlines()), str(refused.value)


def test_a_recovery_is_answered_with_a_phase_of_the_file() -> None:
    """One with a fault."""
    told = answered("interruption_rate <= 1%", "recovers within 9s")

    assert told.endswith("does not say after; write for example 'recovers within 9s after wifi'")


def test_a_key_is_not_sent_to_where_it_stands() -> None:
    """A direction belongs to a fault, but not to every kind of fault."""
    fault = GOOD[GOOD.index("    netem:") : GOOD.index("timeline:")]

    what = "unknown key; expected one of link, host, end, mtu: remove direction, which goes with others"
    assert answered(fault, "    mtu: 1400\n") == f"faults.wifi.direction: {what}"


@pytest.mark.parametrize(
    ("before", "after", "meant"),
    [
        ("direction: down", "direction: download", "down"),
        ("paretonormal", "Pareto", "pareto"),
        ("protocol: openai-chat", "protocol: anthropic", "anthropic-messages"),
        ("lab: edge", "lab: egde", "edge"),
    ],
)
def test_a_choice_that_is_close_is_suggested(before: str, after: str, meant: str) -> None:
    """After all choices."""
    assert answered(before, after).endswith(f"; did you mean {meant}?")


def test_a_number_of_thousands_of_digits_is_shown_in_part() -> None:
    """Its beginning, how long it is, and what is expected."""
    told = answered("seed: 42", f"seed: {'9' * 5000}")

    assert told == f"seed: found '{'9' * 60}'… (5000 characters), expected a whole number of 18 digits at most"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            "{link: client-router, direction: down, pmtu: 1400}",
            "faults.wifi: the router of lab: edge limits the whole path, not a link of it; remove link",
        ),
        (
            "{direction: down, pmtu: 1400, netem: {delay: 3ms}}",
            "faults.wifi: has pmtu and netem; write a fault for each, in a list: "
            "[{direction: down, pmtu: ...}, {direction: down, netem: ...}]",
        ),
    ],
)
def test_a_key_of_another_kind_of_fault_is_answered_with_what_to_do(fault: str, told: str) -> None:
    """It is spelled well, and in its place: only not with this fault."""
    text = GOOD[: GOOD.index("faults:")] + f"faults: {{wifi: {fault}}}\ntimeline: [{{wifi: 10s}}]\n"
    with pytest.raises(SpecError) as refused:
        parse(text, "x.yaml")

    assert told in str(refused.value)
