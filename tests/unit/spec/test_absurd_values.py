"""Every number of a file, absurdly small and large: one sentence that names the key and the reason, or a plan."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from warm import chaoskit

from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.decidability import decidability_warnings
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import EXPERIMENT as KIND
from chaoskit.spec.load import Document, parse_document
from chaoskit.spec.options import duration, injection, pace
from chaoskit.units import Quantity

EVERYTHING = """
name: everything
question: Does every number have a bound?
stage: {lab: edge}
workload:
  request-rate: 2/s
  burstiness: 1
  turns: 1
  warm-up: 1
  prompt-size: 1kB
  output-tokens: 50
  stall-threshold: 1s
  reading-rate: 20/s
  timeouts: {connect: 5s, first-token: 10s, idle: 5s, stream: 60s}
  limits: {events: 1000, body: 1MB, event: 1kB, headers: 2kB}
client: {maxseg: 1400, tcp-keepalive: 30s}
server:
  first-token: {median: 100ms, p99: 200ms}
  token-interval: 20ms
  tokens-per-event: 2
  reasoning-tokens: 5
  pause: {after: 20 tokens, for: 1s, share: 5%}
  error: {status: 503, retry-after: 2s, share: 5%}
  cut: {after: 20, share: 5%}
  route-mtu: 1400
  advmss: 1400
faults:
  one:
    link: client-router
    direction: down
    netem:
      delay: 30ms
      jitter: 5ms
      correlation: 1%
      loss: {gemodel: {p: 1%, r: 10%, loss-in-bad: 70%, loss-in-good: 0%}}
      duplicate: {share: 1%, correlation: 1%}
      reorder: {share: 1%, correlation: 1%, gap: 5}
      limit: 2000
  two:
    link: router-server
    direction: up
    netem:
      delay: 10ms
      loss: {state: {p13: 1%, p31: 10%, p32: 1%, p23: 10%, p14: 1%}}
      rate: {rate: 10mbit, packet-overhead: 10, cell-size: 53B, cell-overhead: 5}
  three: {link: client-router, mtu: 1400}
  slots:
    link: client-router
    direction: up
    netem: {slot: {min: 1ms, max: 2ms, packets: 10, bytes: 10kB}}
timeline: [{baseline: 10s}, {one: 10s}, {two: 10s}, {three: 10s}, {slots: 10s}]
repeats: 2
objectives: ["ttft_p95 < 800ms"]
seed: 42
"""
SERVICE = """
name: service
question: And of a lab with hosts?
stage:
  lab: service
  memory: 512MB
  hosts:
    gateway:
      run: ./gateway
      replicas: 2
      ready: {tcp: 8080, within: 10s}
      stop-after: 2s
      timers: {connect: 5s, first-byte: 30s, idle: 60s, total: 600s, retries: 2, keep-alive: 75s, reuse: 60s}
    front:
      gateway:
        retry-budget: 20%
        breaker: {failures: 5, open: 10s}
        admission:
          policy: shed
          max-in-flight: 20
          max-queue: 100
          ttl: 60s
          thresholds: {premium: 0.6, batch: 0.6}
          limiter: {first-limit: 20, least: 3, most: 200}
          retry-after: 1s
          poll: 50ms
          stale-after: 200ms
        degradation:
          hold: 5s
          window: 10s
          steps: [{breadth: 40%, at: 0.6, release: 0.3}, {max-tokens: 80, at: 1, release: 0.8}]
        workflows:
          support:
          - retrieve:
              k: 8
              deadline: 2s
              connect: 1s
              per-try: 900ms
              retries: 1
              backoff: 10ms
              hedge-after: 500ms
          - tools: {calls: {p50: 2, p95: 9}}
          - generate: {idle: 5s, max-tokens: 100}
    guard: {policy: {latency: {median: 8ms, p99: 30ms}, denies: 1%, failures: 1%}}
    vectors: {retrieval: {latency: 30ms, per-result: 1ms, miss: 5%, result-size: 2kB, shards: 4, shard-deadline: 1s}}
    tools: {tool: {latency: 200ms, failures: 1%, size: 4kB}}
    model:
      reference:
        engine:
          profile: {step: {1: 10ms, 100: 20ms}, per-1000-context-tokens: 65us}
          max-num-seqs: 16
          max-num-batched-tokens: 512
          long-prefill-token-threshold: 256
          kv-cache-tokens: 40000
          block-size: 16
          max-model-len: 8000
          max-waiting-queue-length: 100
          prompt-tokens: 1000
          output-tokens: {median: 100, p99: 400}
  target: http://gateway:8080/v1
workload:
  request-rate: 2/s
  clients: {count: 5, burstiness: 4, skew: 1}
  diurnal: {peak-to-trough: 3x, period: 60s, peak: 10s}
  demand: {support: {share: 60%, turns: 2, output-tokens: 70, prompt-size: 500 tokens}, chat: 40%}
  users: {retry: {share: 50%, patience: 5s, after: {median: 1s, p99: 9s}, times: 2}}
classes:
  premium: {share: 50%, priority: 1, budget: 4}
  batch: {share: 50%, priority: 0}
faults:
  slow: {between: [gateway, model], direction: to-gateway, netem: {delay: 80ms}}
  gone: {host: gateway-1, process: killed, restart-after: 2s}
timeline: [{baseline: 10s}, {slow: 10s}, {gone: 10s}, {surge: {for: 10s, demand: 3x}}]
"""
TEXTS = {"everything": EVERYTHING, "service": SERVICE}
FILES = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
DOCUMENTS = {name: parse_document(text, "x.yaml", KIND) for name, text in TEXTS.items()}
ABSURD = ["0", "-1", "1e400", "nan", ".inf", "99999999999999999999999999", "x"]
NUMBERS = ["0", "-5", "9" * 15, "nan"]


def leaves(words: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all numbers and quantities."""
    if isinstance(words, dict | list):
        for key, value in words.items() if isinstance(words, dict) else enumerate(words):
            yield from leaves(value, (*path, key))
    elif isinstance(words, int | float) or (isinstance(words, str) and words[:1].isdigit()):
        yield path


def with_value(file: str, path: tuple[str | int, ...], value: str) -> Document:
    """The file with this value at that place, as text."""
    words: Any = deepcopy(DOCUMENTS[file].words)
    place = words
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return replace(DOCUMENTS[file], words=words)


def loaded(document: Document) -> tuple[Experiment | None, str]:
    """The experiment, or why there is none."""
    try:
        return document.read_experiment(), ""
    except SpecError as error:
        return None, str(error)


def units_to_try(file: str, path: tuple[str | int, ...]) -> list[str]:
    """That of the file at this place, and another."""
    value: Any = FILES[file]
    for step in path:
        value = value[step]
    own = str(value).lstrip("0123456789.")
    return [own, "%" if own != "%" else "ms"]


PLACES = [(file, path) for file, words in FILES.items() for path in leaves(words)]


@pytest.mark.parametrize(("file", "path"), PLACES, ids=[".".join(map(str, path)) for _, path in PLACES])
def test_every_number_has_a_sentence_or_works(file: str, path: tuple[str | int, ...]) -> None:
    """Zero, negative, enormous, not a number: the error names the key, and what is accepted gives a plan."""
    values = [*ABSURD, *(f"{number}{unit}" for number in NUMBERS for unit in units_to_try(file, path))]
    for value in dict.fromkeys(values):
        experiment, said = loaded(with_value(file, path, value))
        if experiment is None:
            name = "timeline" if path[0] == "timeline" else next(str(s) for s in reversed(path) if isinstance(s, str))
            assert name in said, (value, said)
            assert "Error" not in said, (value, said)
            continue
        plan = compile_plan(experiment, placeholder_lookups(experiment))
        decidability_warnings(plan)
        assert 0 < plan.length <= 7 * 24 * 3600 * 10**9, value
        assert plan.drain < 8 * 24 * 3600 * 10**9, value
        assert plan.model_dump_json()


def test_every_number_of_the_schema_is_tried() -> None:
    """The file above has every numeric key; these are tried elsewhere."""
    elsewhere = {
        "bound",
        "factor",
        "local-port",
        "pid",
        "port",
        "lease",
        "max-concurrency",
        "table",
        "maxseg",
        "size-drop",
        "mss-clamp",
        "length",
        "speed",
    }
    tried = {str(step) for _, path in PLACES for step in path}

    assert numeric_keys(Experiment, set()) - tried - elsewhere == set()


def numeric_keys(kind: Any, seen: set[Any]) -> set[str]:
    """The keys of a model, and of those in it, whose values are numbers."""
    found: set[str] = set()
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind in seen:
            return found
        seen.add(kind)
        for name, field in kind.model_fields.items():
            if is_number(field.annotation):
                found.add(field.alias or name)
            found |= numeric_keys(field.annotation, seen)
        return found
    for part in get_args(kind):
        found |= numeric_keys(part, seen)
    return found


def is_number(kind: Any) -> bool:
    """Whether a value of this type is one number."""
    if isinstance(kind, type):
        return issubclass(kind, int | float | Quantity) and not issubclass(kind, bool)
    return any(is_number(part) for part in get_args(kind)[:1]) or (
        type(None) in get_args(kind) and any(is_number(part) for part in get_args(kind))
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("prompt-size: 4GB", "more than the maximum, 100MB: every open stream holds its prompt in memory"),
        ("delay: 5000s", "TCP gives up after about 15 minutes"),
        ("request-rate: 100000/s", "more than the maximum, 10000/s: one process cannot start as many"),
        ("baseline: 10000h", "a run may take"),
        ("repeats: 100000", "expected 1000 or less"),
        ("output-tokens: 1000000000", "expected 100000 or less"),
        ("connect: 0s", "less than the minimum, 1ms"),
        ("idle: 1000h", "at its end a run waits as long"),
    ],
)
def test_what_is_absurd_is_refused_with_its_reason(change: str, said: str) -> None:
    """At its own place, with line and dotted path."""
    key, value = change.split(": ")
    path = next(path for _, path in PLACES if path[-1] == key)

    with pytest.raises(SpecError) as caught:
        with_value("everything", path, value).read_experiment()

    assert said in str(caught.value)
    assert str(path[0]) in str(caught.value)


def test_a_delay_beyond_the_connect_timeout_is_a_warning() -> None:
    """Nothing could begin, and the warning says what to write."""
    path = ("faults", "one", "netem", "delay")
    experiment = with_value("everything", path, "5s").read_experiment()

    warnings = compile_plan(experiment).warnings

    assert any("delay 5s is not below the client's connect timeout 5s" in each for each in warnings)


@pytest.mark.parametrize("option", ["down", "for"])
@pytest.mark.parametrize("value", ["delay 5000s", "delay nans", "delay -1ms", "0s", "100000h", "1e400s", "-5s"])
def test_options_of_an_injection(option: str, value: str) -> None:
    """The same bounds, by the option's name."""
    given = {"to": ["10.0.0.1"], "down": "delay 80ms", "for": "60s", option: value}

    with pytest.raises(SpecError, match=f"--{option}"):
        injection(given)


@pytest.mark.parametrize("text", ["0s", "10000h", "nan", "-1s", "1e400s", "5", ""])
def test_options_that_are_durations(text: str) -> None:
    """A probe's time and the pace of the reference server: one sentence with the option and its bounds."""
    with pytest.raises(SpecError, match=r"^--max-time: "):
        duration("max-time", text)
    if text != "0s":
        with pytest.raises(SpecError, match=r"^--token-interval: "):
            pace("token-interval", text)


@pytest.mark.parametrize("command", ["probe http://127.0.0.1:9", "serve --port 0", "exec"])
@pytest.mark.parametrize("seed", ["-1", "9223372036854775808", "1e3", "nan"])
def test_a_seed_is_a_whole_number_that_fits(command: str, seed: str) -> None:
    """Anything else is refused by the option's name."""
    done = chaoskit(*command.split(), "--seed", seed)

    assert done.returncode == 2
    assert done.stderr.startswith("chaoskit: --seed: ")
