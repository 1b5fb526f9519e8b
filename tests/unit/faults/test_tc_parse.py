"""Tests that tc syntax of netem parses to keys of an experiment file, or gives one clear error."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chaoskit.faults.netem import NetemFault, NetemSpec
from chaoskit.faults.tc_format import format_setting
from chaoskit.faults.tc_parse import parse_netem

WORDS: list[tuple[str, dict[str, Any]]] = [
    ("delay 80ms", {"delay": "80ms"}),
    ("latency 0.5s", {"delay": "0.5s"}),
    ("delay 80ms 20MS 25%", {"delay": "80ms", "jitter": "20ms", "correlation": "25%"}),
    ("dist pareto delay 8ms 2ms", {"delay": "8ms", "jitter": "2ms", "distribution": "pareto"}),
    ("loss 1%", {"loss": "1%"}),
    ("drop random 1% 25%", {"loss": {"share": "1%", "correlation": "25%"}}),
    ("loss gemodel 1%", {"loss": {"gemodel": {"p": "1%", "r": "99%"}}}),
    (
        "loss gemodel 1% 10% 70% 0.1%",
        {"loss": {"gemodel": {"p": "1%", "r": "10%", "loss-in-bad": "70%", "loss-in-good": "0.1%"}}},
    ),
    ("loss state 1%", {"loss": {"state": {"p13": "1%", "p31": "99%"}}}),
    (
        "loss state 1% 2% 3% 4% 5%",
        {"loss": {"state": {"p13": "1%", "p31": "2%", "p32": "3%", "p23": "4%", "p14": "5%"}}},
    ),
    ("ecn loss 1%", {"ecn": True, "loss": "1%"}),
    ("corrupt 1% dup 2% 3%", {"corrupt": "1%", "duplicate": {"share": "2%", "correlation": "3%"}}),
    ("gap 5 delay 1ms reorder 25% 50%", {"delay": "1ms", "reorder": {"share": "25%", "correlation": "50%", "gap": 5}}),
    ("rate 1kbps", {"rate": "8kbit"}),
    (
        "rate 1Kibit -14 53 -5",
        {"rate": {"rate": "1024bit", "packet-overhead": -14, "cell-size": "53B", "cell-overhead": -5}},
    ),
    ("slot 1ms 2ms packets 3 bytes 9k", {"slot": {"min": "1ms", "max": "2ms", "packets": 3, "bytes": "9KiB"}}),
    ("slot distribution normal 5ms 1ms", {"slot": {"distribution": "normal", "delay": "5ms", "jitter": "1ms"}}),
    ("delay 1ms limit 1k", {"delay": "1ms", "limit": 1024}),
]  # fmt: skip
MISTAKES = [
    ("", "empty; write for example delay 80ms 20ms loss 1%"),
    ("dealy 80ms", "found 'dealy'; did you mean delay?"),
    ("delay", "delay ends too early; expected a time such as 50ms after it"),
    ("fast", "found 'fast', expected one of limit, latency, delay, loss"),
    ("80ms", "found '80ms', expected an option before it; write for example delay 80ms"),
    ("delay 80", "delay: '80' has no unit; write 80ms"),
    ("delay 80mbit", "delay: '80mbit' has the unit 'mbit'; expected one of s, sec, secs, ms"),
    ("delay soon", "delay: found 'soon', expected a time such as 50ms"),
    ("delay 1ms 5", "delay: '5' has no unit; write 5ms"),
    ("delay 1ms delay 2ms", "'delay': delay is given twice; keep one"),
    ("delay 1ms latency 2ms", "'latency': delay is given twice; keep one"),
    ("loss", "loss: expected a share such as 1%, random, state or gemodel"),
    ("loss gemodle 1%", "loss: found 'gemodle', expected a share such as 1%, random, state or gemodel"),
    ("loss 1", "loss: '1' has no unit; write 1%"),
    ("loss 101%", "loss: '101%' is out of range for a share"),
    ("loss gemodel 1% 5", "loss gemodel: '5' has no unit; write 5%"),
    ("rate 1000", "rate: '1000' has no unit; write 1000mbit"),
    ("rate 50%", "rate 50%: a share of the link speed is not supported"),
    ("rate 1mbit 1.5", "rate: found '1.5', expected a whole number"),
    ("gap 5", "gap 5 belongs to reorder; write reorder 25% gap 5"),
    ("distribution gauss", "distribution: found 'gauss', expected one of uniform, normal"),
    ("slot", "slot ends too early; expected a time or distribution after it"),
    ("slot soon", "slot: found 'soon', expected a time such as 50ms, or distribution"),
    ("seed 5", "seed is not an option of a single netem here"),
    ("limit many", "limit: found 'many', expected a number of packets"),
]


@pytest.mark.parametrize(("line", "words"), WORDS)
def test_each_option_equals_its_yaml_form(line: str, words: dict[str, Any]) -> None:
    """A line of tc syntax and a mapping of an experiment file give the same netem."""
    assert NetemSpec.model_validate(parse_netem(line)).setting(9, 1) == NetemSpec.model_validate(words).setting(9, 1)


@pytest.mark.parametrize(("line", "sentence"), MISTAKES)
def test_each_mistake_is_explained(line: str, sentence: str) -> None:
    """The message names the wrong word and what was expected there."""
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        parse_netem(line)


def test_an_experiment_accepts_tc_syntax() -> None:
    """`netem:` of a fault accepts a line of tc syntax."""
    words = {"link": "client-router", "direction": "down", "netem": "delay 30ms loss 1%"}

    fault = NetemFault.model_validate(words)

    assert fault == NetemFault.model_validate(words | {"netem": {"delay": "30ms", "loss": "1%"}})


SHARE = some.integers(0, 1000).map(lambda permille: f"{permille / 10:g}%")
TIME = some.integers(0, 10**7).map(lambda us: f"{us}us")
LATE = some.integers(1, 10**7).map(lambda us: f"{us}us")
LOSSES = some.one_of(
    SHARE,
    some.fixed_dictionaries({"share": SHARE, "correlation": SHARE}),
    some.fixed_dictionaries({"gemodel": some.fixed_dictionaries({"p": SHARE, "r": SHARE, "loss-in-bad": SHARE})}),
    some.fixed_dictionaries({"state": some.fixed_dictionaries({"p13": SHARE, "p31": SHARE, "p14": SHARE})}),
)
SLOTS = some.one_of(
    some.fixed_dictionaries({"min": LATE, "packets": some.integers(0, 99), "bytes": some.just("9000B")}),
    some.fixed_dictionaries({"distribution": some.just("normal"), "delay": TIME, "jitter": LATE}),
)
RATES = some.fixed_dictionaries(
    {"rate": some.integers(1, 2**40).map(lambda n: f"{8 * n}bit"), "cell-size": some.just("53B")},
    optional={"packet-overhead": some.integers(-99, 99)},
)
NETEMS = some.fixed_dictionaries(
    {"delay": LATE, "jitter": LATE},
    optional={
        "correlation": SHARE,
        "distribution": some.sampled_from(["uniform", "normal", "pareto", "paretonormal"]),
        "loss": LOSSES,
        "duplicate": SHARE,
        "corrupt": SHARE,
        "reorder": some.fixed_dictionaries({"share": SHARE, "gap": some.integers(1, 9)}),
        "rate": RATES,
        "slot": SLOTS,
        "limit": some.integers(1, 2**32 - 1),
    },
)


@given(NETEMS)
def test_formatted_netems_parse_to_the_same_setting(words: dict[str, Any]) -> None:
    """The text that is shown for a netem parses to the same netem."""
    setting = NetemSpec.model_validate(words).setting(int(words.get("limit", 1000)), 1)

    again = NetemSpec.model_validate(parse_netem(format_setting(setting)))

    assert format_setting(again.setting(again.limit or 1000, 1)) == format_setting(setting)


@given(NETEMS)
def test_written_netems_load_to_the_same_setting(words: dict[str, Any]) -> None:
    """What `written` gives, with units, loads to an equal netem."""
    netem = NetemSpec.model_validate(words)

    assert NetemSpec.model_validate(netem.written()) == netem
