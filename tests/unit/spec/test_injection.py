"""Tests injections from files, from the output of status, and from options, and their errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chaoskit.errors import SpecError
from chaoskit.spec.injection import Injection
from chaoskit.spec.load import load_injection
from chaoskit.spec.options import injection

WORDS = {"to": ["api.example.com:443"], "down": "delay 80ms 20ms loss 1%", "for": "60s"}
FILE = """\
to: api.example.com:443
protocol: tcp
down:
  delay: 80ms
  loss: 1%
up: delay 5ms
for: 60s
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return path


def sentence(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_injection(path)
    return str(caught.value).replace(str(path), "x.yaml")


def test_a_file_and_options_say_the_same(tmp_path: Path) -> None:
    """YAML, JSON and options of the same content are equal injections."""
    options = injection(
        {
            "to": ["api.example.com:443"],
            "protocol": "tcp",
            "down": "{delay: 80ms, loss: 1%}",
            "up": "delay 5ms",
            "for": "1min",
            "ip": None,
        }
    )

    assert load_injection(written(tmp_path, FILE)) == options
    assert load_injection(written(tmp_path, json.dumps(options.written()))) == options


@pytest.mark.parametrize(
    ("right", "wrong", "answer"),
    [
        ("80ms", "80", "x.yaml:4: down.delay: '80' has no unit"),
        ("loss: 1%", "los: 1%", "x.yaml:5: down.los: unknown key; did you mean loss?"),
        ("delay 5ms", "delay 5", "x.yaml:6: up: delay: '5' has no unit; write 5ms"),
        ("for: 60s", "", "x.yaml:1: for: missing; add for: ..."),
        ("for: 60s", "for: 1ms", "x.yaml:7: for: 1ms is out of bounds; a lease lasts 1s to 720h (30 days)"),
        ("tcp", "tpc", "x.yaml:2: protocol: found 'tpc', expected 'tcp', 'udp' or 'icmp'"),
        ("tcp", "icmp", "x.yaml:1: the file: icmp has no ports"),
        (
            "to: api.example.com:443\nprotocol: tcp\n",
            "",
            "x.yaml:1: the file: no traffic selected; give for example to: api.example.com:443, or",
        ),
        ("api.example.com:443", "https://api.example.com", "x.yaml:1: to: 'https://api.example.com' is a URL"),
        ("api.example.com:443", "api_example com", "x.yaml:1: to: 'api_example com' is no host"),
        ("api.example.com:443", "10.0.0.256", "x.yaml:1: to: '10.0.0.256' is no host"),
        ("api.example.com:443", "api.example.com:0", "x.yaml:1: to: found 'api.example.com:0', expected 1 or more"),
        ("for: 60s", "for: 60s\ninterface: eth 0", "x.yaml:8: interface: found 'eth 0', expected an interface"),
        ("for: 60s", "for: 60s\neverything: true", "x.yaml:1: the file: everything is all traffic of"),
        (FILE, "- a\n", "x.yaml:1: found a list of 1, expected keys such as to:, down: and for:"),
        (FILE, "", "x.yaml:1: empty; start with to:, down: and for:, or take what chaoskit status --json prints"),
    ],
)
def test_each_mistake_is_answered_at_its_line(tmp_path: Path, right: str, wrong: str, answer: str) -> None:
    """File, line, dotted path, what was found, what was expected."""
    assert right in FILE

    assert sentence(written(tmp_path, FILE.replace(right, wrong, 1))).startswith(answer)


@pytest.mark.parametrize(
    ("option", "value", "answer"),
    [
        ("mss-clamp", 87, "--mss-clamp: "),
        ("down", "delay 80", "--down: delay: '80' has no unit; write 80ms"),
        ("down", "{delay: 80}", "--down: delay: '80' has no unit"),
        ("down", "{delay: ", "--down:1: not YAML"),
        ("for", None, "--for: missing; give for example --for 60s"),
        ("for", "60", "--for: '60' has no unit"),
        ("to", ["x:y"], "--to: port: found 'y', expected a whole number"),
        ("to", ["x:"], "--to: 'x:' ends in a colon"),
        ("local-port", "many", "--local-port: found 'many', expected a whole number"),
        ("down", None, "nothing to do; give --down or --up, for example --down 'delay 80ms 20ms loss 1%'"),
        ("to", None, "no traffic selected; give for example --to api.example.com:443, or --everything"),
        ("everything", True, "--everything is all traffic of the interface"),
    ],
)
def test_each_wrong_option_is_named(option: str, value: Any, answer: str) -> None:
    """A complaint about an option begins with its name."""
    with pytest.raises(SpecError) as caught:
        injection(WORDS | {option: value})

    assert str(caught.value).startswith(answer)


def status(*leases: dict[str, Any] | None) -> str:
    """What status prints, as far as it matters here."""
    told = [{"id": f"lease-{n}", "state": "in force", "injection": words} for n, words in enumerate(leases)]
    return json.dumps({"schema": 1, "leases": told}, indent=1)


def test_the_output_of_status_is_an_injection(tmp_path: Path) -> None:
    """The one injection in it is taken, from a file or from standard input; leases that are none do not count."""
    wanted = injection(WORDS)
    text = status(None, wanted.written())

    program = (
        "import json, pathlib; from chaoskit.spec.load import load_injection;"
        "print(json.dumps(load_injection(pathlib.Path('-')).written()))"
    )

    piped = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, check=True)

    assert load_injection(written(tmp_path, text)) == wanted
    assert Injection.model_validate_json(piped.stdout) == wanted


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (status(), "x.yaml:3: leases: it contains no injection; write one"),
        (status(None), "x.yaml:3: leases: it contains no injection"),
        (status(WORDS, WORDS), "x.yaml:3: leases: 2 injections, and one is expected; choose one: "
         "chaoskit status lease-0 --json (there are lease-0, lease-1)"),
        (status(WORDS | {"for": "60"}), "x.yaml:12: leases.0.injection.for: '60' has no unit"),
        ('{"leases": 5}', "x.yaml:1: leases: it contains no injection"),
    ],
)  # fmt: skip
def test_a_file_with_no_or_several_injections_is_refused(tmp_path: Path, text: str, answer: str) -> None:
    """Without an injection, or with two, status's document is no injection, and the sentence says what to type."""
    assert sentence(written(tmp_path, text)).startswith(answer)


HOST = some.sampled_from(["api.example.com", "10.0.0.2", "10.0.0.0/8", "::1", "2001:db8::/32", "a-b_c.local"])
FAR_END = some.tuples(HOST, some.none() | some.integers(1, 65535)).map(
    lambda pair: {"host": pair[0]} | ({"port": pair[1]} if pair[1] else {})
)
SPAN = some.integers(1, 3600 * 10**9).map(lambda ns: f"{ns}ns")
INJECTIONS = some.fixed_dictionaries(
    {
        "to": some.lists(FAR_END, min_size=1, max_size=3),
        "for": some.integers(10**9, 10**15).map(lambda ns: f"{ns}ns"),
        "down": some.one_of(
            some.fixed_dictionaries({"delay": SPAN, "loss": some.integers(0, 10**9).map(lambda n: f"{n}ppb")}),
            some.integers(8, 2**62).map(lambda bits: {"rate": f"{bits}bit"}),
        ),
    },
    optional={
        "interface": some.sampled_from(["eth0", "wlan0.5", "br-lan"]),
        "seed": some.integers(0, 2**63 - 1),
        "ip": some.sampled_from(["4", "6"]),
        "local-port": some.integers(1, 65535),
        "allow-management-interface": some.booleans(),
        "up": some.just("delay 80ms loss gemodel 1% 10%"),
    },
)


@given(INJECTIONS)
def test_the_words_of_an_injection_load_to_an_equal_one(words: dict[str, Any]) -> None:
    """Whatever it is, its words are plain JSON with units that load to the same, whether as a file or as an object."""
    wanted = Injection.model_validate(words)

    told = json.loads(json.dumps(wanted.written()))

    assert Injection.model_validate(told) == wanted
    assert told["for"].endswith("s")
    assert Injection.model_validate(told | {"to": [str(to) for to in wanted.to]}).to == wanted.to


def test_a_remote_end_as_text() -> None:
    """Durations and shares are words with units, never counts of nanoseconds or parts."""
    assert injection(WORDS).written() == {
        "to": [{"host": "api.example.com", "port": 443}],
        "down": {"delay": "80ms", "jitter": "20ms", "loss": {"share": "1%"}},
        "for": "60s",
    }


@pytest.mark.parametrize("protocol", ["udp", "icmp"])
def test_mss_clamp_needs_tcp(protocol: str) -> None:
    """Of other protocols it is refused by the option that says so; of TCP, or of all, it may be all there is to do."""
    words = {"to": ["192.0.2.7"], "mss-clamp": 1360, "for": "60s"}

    with pytest.raises(SpecError, match=f"--protocol: mss-clamp needs TCP, and only {protocol} is selected"):
        injection(words | {"protocol": protocol})
    for asked in (injection(words), injection(words | {"protocol": "tcp"})):
        assert Injection.model_validate(asked.written()) == asked
        assert asked.written()["mss-clamp"] == 1360


@pytest.mark.parametrize(("key", "words"), [("cut", "2s by silence"), ("idle-timeout", "60s")])
def test_what_ends_connections_needs_tcp(key: str, words: str) -> None:
    """It may be all there is to do; of other protocols it is refused by the option that says so."""
    asked = {"to": ["192.0.2.7"], key: words, "for": "60s"}

    with pytest.raises(SpecError, match=f"--protocol: {key} needs TCP, and only udp is selected"):
        injection(asked | {"protocol": "udp"})
    found = injection(asked)
    assert Injection.model_validate(found.written()) == found
    with pytest.raises(SpecError, match=f"--{key}: "):
        injection(asked | {key: "soon"})
