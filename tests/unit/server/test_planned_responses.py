"""Text and timing of a response are determined by the seed and the request's identity."""

import json
from dataclasses import replace

import numpy
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.server.schedule import Script
from chaoskit.spec.server import FirstToken, Server
from chaoskit.units import Duration

MS = 1_000_000
SCRIPT = Script(Duration(150 * MS), Duration(400 * MS), Duration(20 * MS), seed=42)


def test_same_seed_same_response() -> None:
    """The same seed and identity give the same text and timing; any others do not."""
    answer = SCRIPT.plan(50, "stream", 7)
    others = [
        SCRIPT.plan(50, "stream", 8),
        SCRIPT.plan(50, "arrival", 7),
        replace(SCRIPT, seed=43).plan(50, "stream", 7),
    ]

    assert answer == SCRIPT.plan(50, "stream", 7)
    for other in others:
        assert other.first_token != answer.first_token
        assert other.whole() != answer.whole()
        assert other.name != answer.name


def test_first_token_is_log_normal() -> None:
    """Over many streams the first token's median and 99th percentile are the configured ones."""
    delays = [SCRIPT.plan(1, "stream", number).first_token for number in range(4000)]

    median, p99 = numpy.quantile(delays, [0.5, 0.99])

    assert abs(median / (150 * MS) - 1) < 0.03
    assert abs(p99 / (400 * MS) - 1) < 0.12
    logs = numpy.log(delays)
    assert abs(float(((logs - logs.mean()) ** 3).mean() / logs.std() ** 3)) < 0.15  # symmetric in the logarithm


def test_equal_median_and_p99_are_a_constant() -> None:
    """Without spread every first token takes the median; a median of zero means no delay."""
    fixed = replace(SCRIPT, first_token_p99=SCRIPT.first_token_median)
    instant = replace(SCRIPT, first_token_median=Duration(0))

    assert {fixed.plan(1, "stream", n).first_token for n in range(20)} == {150 * MS}
    assert {instant.plan(1, "stream", n).first_token for n in range(20)} == {0}


@given(received=st.integers(0, 2**62), seq=st.integers(0, 100_000))
def test_schedule_never_drifts(received: int, seq: int) -> None:
    """Token n is due exactly n intervals after the first."""
    answer = SCRIPT.plan(10, "stream", 1)

    assert answer.due(received, 0) == received + answer.first_token
    assert answer.due(received, seq) - answer.due(received, 0) == seq * 20 * MS


def test_whole_is_the_sum_of_its_tokens() -> None:
    """The whole text is the concatenation of its tokens."""
    for tokens in range(1, 200):
        answer = SCRIPT.plan(tokens, "stream", tokens)
        assert answer.whole() == "".join(answer.text(seq) for seq in range(tokens))


def test_texts_need_no_escaping() -> None:
    """Every token is the same inside JSON, and on one line."""
    for number in range(50):
        for word in SCRIPT.plan(1, "stream", number).words:
            assert json.dumps(word) == f'"{word}"'
            assert word.strip() + " " == word


def test_a_script_is_made_from_an_experiment() -> None:
    """The script has the server settings of the experiment file."""
    words = Server(
        first_token=FirstToken(median=Duration(5 * MS), p99=Duration(6 * MS)), token_interval=Duration(7 * MS)
    )

    assert words.script(9) == Script(Duration(5 * MS), Duration(6 * MS), Duration(7 * MS), 9)
