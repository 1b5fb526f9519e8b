"""The JSON Schema of experiment files says what the loader says, as far as JSON Schema can say it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shipped
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from mistaken_files import GOOD, MISTAKES

from chaoskit.errors import SpecError
from chaoskit.spec.json_schema import experiment_schema
from chaoskit.spec.matrix import parse_variants

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
SCHEMA = experiment_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
BEYOND = (
    "needs a jitter|applies to jitter|reorder needs a delay|ecn marks|an empty netem|neither a fault nor a clean phase"
    "|says what objectives|with itself"
    "|too short|twice|no phase of the timeline|names two phases|duplicate key"
    "|below the median|more than the maximum|needs http|correlation belongs to share|max needs a min|is below min"
    "|is below 8bit|have an MTU of|IPv6 requires|speaks IPv6|the stage uses|the target is a real server"
    "|a real interface has no link|add link: |end belongs to|is no end of|sysctl has |has ports|icmp has no ports"
    "|everything is all traffic|is no hop|hop of it|is a host of the lab|does not change parameters|only TCP has"
    "|a switch sends no|is no host|ends in a colon|is a URL|this URL has|a lab has its own server"
    "|is no multiple of|shares add up|nobody |no class of|no classes in|needs classes|no place for a class| as well"
    "|overlaps|without end|rising order|the same measure|is more important than|is no engine|in whole seconds"
    "|expected a number such as|has no unit, and|is a time, and|expected a URL such as|say where in the lab"
    r"|\.ready: found|a host without a server"
    r"|no traffic selected|matrix|\.netem: |listens on 8000 alone|give a CSV or JSONL file|nothing answers the client"
)
"""What JSON Schema cannot say, or only clumsily: it depends on two keys, on names, on the grammar of tc or of hosts."""


def _properties(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield from part.get("properties", {}).items()
        for below in part.values():
            yield from _properties(below)
    elif isinstance(part, list):
        for each in part:
            yield from _properties(each)


def _loaded(text: str) -> str:
    """What the loader says of a file; nothing of a good one."""
    try:
        parse_variants(text, "x.yaml")
    except SpecError as error:
        return str(error)
    return ""


def _is_valid(words: Any) -> bool:
    return bool(VALIDATOR.is_valid(words))


def test_it_is_a_json_schema_with_a_name() -> None:
    """An editor can tell it from others, and its version."""
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$id"].startswith("urn:chaoskit:experiment:")
    assert SCHEMA["$schema"].endswith("2020-12/schema")


def test_every_key_has_a_description() -> None:
    """An editor shows a sentence beside each key."""
    assert {key for key, drawn in _properties(SCHEMA) if not drawn.get("description")} == set()


def test_every_mapping_has_a_description() -> None:
    """And one about each mapping."""
    assert {
        name for name, drawn in SCHEMA["$defs"].items() if drawn["type"] == "object" and "description" not in drawn
    } == set()


def test_defaults_are_written_as_in_a_file() -> None:
    """`2s`, and no number of nanoseconds: each default is a value of its own key."""
    checked = 0
    for key, drawn in _properties(SCHEMA):
        if "default" in drawn:
            inside = {"$defs": SCHEMA["$defs"], **drawn}
            assert Draft202012Validator(inside).is_valid(drawn["default"]), (key, drawn["default"])
            checked += 1
    assert checked > 20
    assert dict(_properties(SCHEMA))["token-interval"]["default"] == "20ms"


@pytest.mark.parametrize("path", shipped.FILES, ids=lambda path: path.stem)
def test_every_included_experiment_is_valid(path: Path) -> None:
    """As an editor reads it."""
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(path.read_text()))] == []


@pytest.mark.parametrize(("right", "wrong", "answer"), MISTAKES, ids=range(len(MISTAKES)))
def test_every_mistake_that_it_can_see_is_seen(right: str, wrong: str, answer: str) -> None:
    """Each mistake that the loader answers is one for the schema too, or needs more than JSON Schema has."""
    words = yaml.safe_load(GOOD.replace(right, wrong, 1))

    assert _is_valid(words) == bool(re.search(BEYOND, answer)), answer


def _locations(part: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield where
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, below in inside:
        yield from _locations(below, (*where, key))


BASES = [
    yaml.safe_load(text)
    for text in (
        GOOD,
        *(path.read_text() for path in shipped.FILES),
        """
name: every-key
question: How?
stage: {lab: edge, ip: 4, tls: false}
workload: {max-concurrency: 3, http: 2, connections: shared, timeouts: {stream: 1h30m, keepalive-extends-idle: true}}
client: {sysctl: {net.ipv4.tcp_mtu_probing: 1}, maxseg: 1200, congestion-control: bbr, tcp-keepalive: 30s}
server: {route-mtu: 1400, advmss: 1300}
faults:
  a: {link: client-router, direction: both, netem: {delay: 30ms, jitter: 3ms, correlation: 3%, reorder: 5%}}
  b: [{link: router-server, direction: up, netem: delay 30ms loss 1%}, {node: router, sysctl: {net.core.x: a b}}]
  c: {link: client-router, direction: up, netem: {slot: {min: 3ms, max: 1s}, loss: {state: {p13: 1%, p31: 3%}}}}
  d: {direction: down, pmtu: {mtu: 1400, signal: dropped}}
  e: {link: client-router, direction: down, size-drop: 1400}
  f: {tunnel: wireguard}
  g: {mss-clamp: 1200}
  cuts: {cut: {after: 1kB, by: reset}}
  nats: {idle-timeout: 60s}
  h: {link: client-router, end: client, mtu: 1400}
timeline: [{baseline: 1m30s}, {a: 2s}, {b: 2s}, {f: 3s}]
repeats: 2
objectives: [ttft_p95 during a < 2x baseline, stalls_per_minute <= 3]
""",
        """
name: real
question: How?
stage: {target: "https://api.example.com/v1", model: 4, key-env: KEY, interface: eth0, to: ["api.example.com:443"]}
workload: {request-rate: 2/s}
faults: {slow: {direction: down, netem: {delay: 3ms, loss: {share: 1%}}}}
timeline: [{baseline: 10s}, {slow: 10s}]
""",
    )
]
TEXTS = """
50ms|1h30m|30m1h|2min|1.5x|5 parsecs|4kB|1%|150%|2/s|0/s|10mbit|10 MBit|down|client-router|router|edge|delivered|dropped
|normal|wireguard|bbr|BBR!|eth0|openai-chat|shared|tcp|ttft_p95 < 800ms|ttft_p95 < 800ms during wifi|ttfx < 1|text|
|delay 30ms|a/b|https://x.example/v1|ftp://x|net.ipv4.tcp_sack|x y|OPENAI_API_KEY|a-b
"""
VALUES = st.one_of(
    st.sampled_from(TEXTS.replace("\n", "").split("|")),
    st.integers(-5, 100_000),
    st.sampled_from([0.5, 1.1, 2.5, -0.5]),
    st.booleans(),
    st.none(),
    st.sampled_from([[], {}, ["50ms"], [1], [{"a": 1}], {"delay": "30ms"}, {"share": "1%"}, {"wifi": "3s"}]),
)
KEYS = st.sampled_from(
    ["delay", "jitter", "link", "direction", "wifi", "request-rate", "request_rate", "http", "seed", "x", "to"]
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_schema_and_loader_agree_about_changed_files(data: st.DataObject) -> None:
    """Of good files with one to three changes anywhere, both refuse the same ones, but for what needs more."""
    words = copy.deepcopy(data.draw(st.sampled_from(BASES)))
    words.pop("matrix", None)
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.sampled_from(sorted(_locations(words), key=str)[1:] or [()]))
        if not where:
            return
        parent: Any = words
        for step in where[:-1]:
            parent = parent[step]
        match data.draw(st.sampled_from(["set", "set", "set", "remove", "add"])):
            case "remove":
                del parent[where[-1]]
            case "add" if isinstance(parent, dict):
                parent[data.draw(KEYS)] = copy.deepcopy(data.draw(VALUES))
            case _:
                parent[where[-1]] = copy.deepcopy(data.draw(VALUES))

    said, is_valid = _loaded(yaml.safe_dump(words, sort_keys=False)), _is_valid(words)

    if not said:
        assert is_valid, [error.message for error in VALIDATOR.iter_errors(words)]
    elif is_valid:
        assert all(re.search(BEYOND, line) for line in said.splitlines()), said


@settings(max_examples=25)  # each is slow to make
@given(text=st.from_regex(dict(_properties(SCHEMA))["objectives"]["items"]["pattern"]))
def test_whatever_the_schema_takes_for_an_objective_is_one(text: str) -> None:
    """The grammar of objectives is the loader's."""
    from chaoskit.spec.objectives import parse

    assert parse(text).metric
