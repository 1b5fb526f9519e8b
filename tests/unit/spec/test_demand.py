"""Workflows and their shares, who asks again, and what conversations are numbered by."""

import itertools
from collections import Counter

import pytest
from far_side import workload
from pydantic import ValidationError

from chaoskit.spec.conversations import openings, workflow_of
from chaoskit.spec.demand import Retry
from chaoskit.spec.sizes import largest_prompt, late_tokens, mean_tokens, most_tokens
from chaoskit.spec.workload import Workload
from chaoskit.token_lengths import TOKEN_LENGTHS
from chaoskit.units import Share

MIXED = workload(
    request_rate="2/s",
    output_tokens=100,
    prompt_size="1kB",
    demand={
        "chat": "70%",
        "support": {"share": "20%", "turns": 3, "output-tokens": 400, "prompt-size": "9kB", "model": "big"},
        "batch": {"share": "10%", "output-tokens": {"median": 10, "p99": 2000}, "extra-body": {"temperature": 0}},
    },
)


def test_shares_are_those_of_the_conversations() -> None:
    """Each workflow has its share of 20,000 conversations, to three standard deviations."""
    found = Counter(workflow_of(MIXED, 5, number) for number in range(20_000))

    assert found["chat"] == pytest.approx(14_000, abs=3 * 65)
    assert found["support"] == pytest.approx(4_000, abs=3 * 57)
    assert found["batch"] == pytest.approx(2_000, abs=3 * 43)


def test_a_workflow_changes_what_it_says_and_nothing_else() -> None:
    """Its own keys replace those of the workload."""
    support, batch = MIXED.of("support"), MIXED.of("batch")

    assert (support.turns, support.output_tokens, support.prompt_size) == (3, 400, 9000)
    assert (batch.turns, batch.prompt_size, batch.extra_body) == (1, 1000, {"temperature": 0})
    assert support.timeouts == MIXED.timeouts


def test_questions_are_numbered_without_gaps() -> None:
    """Conversations of several turns take as many numbers, and the last one what is left of the requests."""
    found = list(openings(MIXED, 5, 500))

    assert [opening.first for opening in found] == [0, *itertools.accumulate(each.turns for each in found[:-1])]
    assert sum(opening.turns for opening in found) == 500
    assert {opening.turns for opening in found[:-1] if opening.workflow == "support"} == {3}
    assert [opening.number for opening in found] == list(range(len(found)))


def test_sizes_are_those_of_all_workflows() -> None:
    """The mean by the requests that each sends; what few requests exceed, in any of them."""
    batch = MIXED.of("batch").output_tokens

    assert not isinstance(batch, int)
    assert mean_tokens(MIXED) == pytest.approx((0.7 * 100 + 0.6 * 400 + 0.1 * batch.mean) / 1.4)
    assert late_tokens(MIXED) == 2000
    assert most_tokens(MIXED) > 2000
    assert largest_prompt(MIXED) == 9000


def test_a_workload_has_a_hash_and_reads_back() -> None:
    """As a plan stores it."""
    assert hash(MIXED) == hash(MIXED.model_copy())
    assert Workload.model_validate_json(MIXED.model_dump_json()) == MIXED


@pytest.mark.parametrize(
    ("demand", "answer"),
    [
        ({"chat": "70%", "support": "50%"}, "the shares add up to 120% and must be 100%; write support: 30%"),
        ({"chat": "70%", "support": "20%"}, "the shares add up to 90% and must be 100%; write support: 30%"),
        ({"chat": "70%", "a": "70%", "b": "10%"}, "add up to 150% and must be 100%; lower some of them"),
    ],
)
def test_shares_that_are_not_the_whole_are_refused(demand: dict[str, str], answer: str) -> None:
    """With what to write."""
    with pytest.raises(ValidationError, match=answer):
        workload(request_rate="2/s", demand=demand)


def test_a_share_of_the_users_asks_again() -> None:
    """Who does follows from the conversation's number, and is as many as the share says."""
    retry = Retry(share=Share(400_000_000))

    who = [retry.is_by(7, number) for number in range(10_000)]

    assert sum(who) == pytest.approx(4000, abs=150)
    assert who == [retry.is_by(7, number) for number in range(10_000)]


def test_times_to_think_follow_their_distribution() -> None:
    """A fixed time is that time; a distribution has its median."""
    fixed = Retry.model_validate({"after": "3s"})
    drawn = Retry.model_validate({"after": {"median": "2s", "p99": "20s"}})

    times = sorted(drawn.think_time(1, number, 1) for number in range(2001))

    assert fixed.think_time(1, 5, 1) == 3 * 10**9
    assert times[1000] == pytest.approx(2 * 10**9, rel=0.1)


@pytest.mark.parametrize("name", TOKEN_LENGTHS)
def test_named_lengths_are_those_of_their_trace(name: str) -> None:
    """A name stands for the distribution's median and p99, of prompts in bytes of which a token has four."""
    work = workload(prompt_size=name, output_tokens=name)

    size, tokens, lengths = work.prompt_size, work.output_tokens, TOKEN_LENGTHS[name]
    assert not isinstance(size, int)
    assert not isinstance(tokens, int)
    assert size.median == 4 * round(lengths.prompt.median)
    assert size.mean == pytest.approx(4 * lengths.prompt.mean, rel=0.01)
    assert tokens.mean == pytest.approx(lengths.output.mean, rel=0.05)


def test_prompts_may_be_given_in_tokens() -> None:
    """Of four bytes each."""
    assert workload(prompt_size="500 tokens").prompt_size == 2000
