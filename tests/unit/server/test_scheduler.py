"""The engine does what vLLM's scheduler does, and what queueing theory says of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import other_engine
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from simulated_engine import A100, SECOND, SETTINGS, Asked, azure, cache_row, load_row, quantile, run

from chaoskit.seed import source
from chaoskit.server.inference.profiles import PROFILES, StepTimes
from chaoskit.server.inference.scheduler import Engine
from chaoskit.server.inference.sequence import Sequence
from chaoskit.server.inference.settings import EngineSettings
from chaoskit.units import Duration

MS = 10**6
REGULAR = EngineSettings(StepTimes(((1, 10 * MS), (1001, 1010 * MS)), Duration(0)), 100_000)
"""A token takes 10 ms, and each further one of a step 1 ms."""


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("prompt", [1, 100, 128, 777, 2048, 5000])
def test_a_lone_request_takes_the_time_of_its_steps(name: str, prompt: int) -> None:
    """Its first token comes after its chunks, to the nanosecond, its next ones after steps of one token."""
    profile = PROFILES[name]
    seen = run([Asked(7, prompt, 3)], EngineSettings(profile.steps, profile.kv_cache))
    (stamps,) = seen.tokens.values()
    steps = profile.steps

    chunks = [min(2048, prompt - done) for done in range(0, prompt, 2048)]
    first = sum(steps.of_tokens(chunk) + steps.of_context(2048 * number) for number, chunk in enumerate(chunks))
    assert stamps[0] - 7 == first
    assert stamps[1] - stamps[0] == steps.of_tokens(1) + steps.of_context(prompt)
    assert stamps[2] - stamps[1] == steps.of_tokens(1) + steps.of_context(prompt + 1)


def test_the_published_times_are_those_of_the_source() -> None:
    """9.7 ms for a token, 146 ms for 2048; 66 us a token at 4096, and as much beyond."""
    steps = A100.steps

    assert [steps.of_tokens(tokens) / MS for tokens in (1, 256, 2048, 4096)] == [9.7, 19.5, 146, 274]
    assert steps.of_tokens(8192) / MS == 274 + 2 * (274 - 146)
    assert steps.of_context(1000) == 65_536


@pytest.mark.parametrize(
    ("budget", "most", "kv"), [(2048, 256, 412_000), (512, 256, 412_000), (2048, 256, 30_000), (2048, 16, 30_000)]
)
def test_it_agrees_with_an_engine_written_apart(budget: int, most: int, kv: int) -> None:
    """Each token of 240 requests comes at the same time, and as many are preempted."""
    requests = azure(5, 48)
    seen = run(requests, max_batched_tokens=budget, max_seqs=most, kv_cache=kv)

    came, preemptions = other_engine.run(
        [each.at / 1e6 for each in requests],
        [each.prompt for each in requests],
        [each.output for each in requests],
        budget,
        most,
        kv,
    )
    assert seen.engine.preemptions == preemptions
    assert (preemptions > 0) == (kv < 100_000)
    for stamps, expected in zip(seen.tokens.values(), came, strict=True):
        assert [stamp / 1e6 for stamp in stamps] == pytest.approx(expected, abs=0.01)


def test_it_obeys_littles_law() -> None:
    """Requests in the engine = arrivals a second x time in it, counted in two ways."""
    requests = azure(5, 60)
    seen = run(requests)
    stays = [seen.tokens[each][-1] - each.arrival for each in seen.sequences]

    changes = sorted([(each.arrival, 1) for each in seen.sequences] + [(s[-1], -1) for s in seen.tokens.values()])
    inside, area, before = 0, 0, 0
    for at, change in changes:
        area, inside, before = area + inside * (at - before), inside + change, at
    assert area / seen.end == pytest.approx(len(stays) / (seen.end / SECOND) * fmean(stays) / SECOND, rel=1e-9)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_at_a_time_it_is_the_m_d_1_queue(load: float) -> None:
    """With max-num-seqs 1 and equal requests each waits as Lindley's recursion says, on average as Pollaczek and
    Khinchine say: rho / (2 (1 - rho)) services."""
    service, gaps, now, requests = 10 * MS, source(4, "m/d/1"), 0, []
    for _ in range(40_000):
        now += round(gaps.expovariate(load / service))
        requests.append(Asked(now, 1, 1))
    seen = run(requests, EngineSettings(StepTimes(((1, service),), Duration(0)), 100_000, max_seqs=1))

    waits, wait, before = [], 0, requests[0].at - service
    for each in requests:
        wait = max(0, wait + service - (each.at - before))
        before = each.at
        waits.append(wait)
    assert [seen.tokens[each][0] - service - each.arrival for each in seen.sequences] == waits
    assert fmean(waits) / service == pytest.approx(load / (2 * (1 - load)), rel=0.1)


def test_a_prompt_makes_one_gap_of_its_chunks_step() -> None:
    """While a prompt of 1500 tokens is computed, the gap of others is the time of that step."""
    seen = run([Asked(0, 10, 40), Asked(95 * MS, 1500, 2)])
    first, second = seen.sequences
    gaps = [(b - a) / MS for a, b in pairwise(seen.tokens[first])]
    steps = A100.steps

    context = [20, 19, 18, 17]  # where the prompt may have come in
    step = max(gaps)
    assert any(step == (steps.of_tokens(1501) + steps.of_context(each)) / MS for each in context)
    assert first.interference == pytest.approx(step * MS - steps.of_tokens(1), abs=10_000)
    assert sum(gap > 15 for gap in gaps) == 1
    assert second.interference == 0
    assert first.prefill_interference == 0
    assert second.prefill_interference == pytest.approx(step * MS - steps.of_tokens(1500), abs=10_000)


def test_a_prompt_among_prompts_is_told_what_they_cost_it() -> None:
    """Of four prompts at once each has its own part of the time, and the rest is the others'."""
    seen = run([Asked(0, 500, 2)] * 4)
    steps = A100.steps

    for each in seen.sequences:
        assert each.first_scheduled is not None
        first = seen.tokens[each][0] - each.first_scheduled
        assert first - each.prefill_interference == pytest.approx(steps.of_tokens(500), rel=0.01)
    assert [each.prefill_interference > 3 * steps.of_tokens(500) // 2 for each in seen.sequences] == [True] * 4


def test_a_smaller_budget_makes_smaller_gaps() -> None:
    """A budget of 512 turns one gap of 146 ms into four of 35 ms."""
    requests = [Asked(0, 10, 40), Asked(95 * MS, 2040, 2)]

    def gaps(budget: int) -> list[float]:
        return [each for each in run(requests, max_batched_tokens=budget).gaps if each > 20]

    assert gaps(2048) == pytest.approx([145.6], abs=0.5)
    assert gaps(512) == pytest.approx([34.6] * 4, abs=0.5)


def test_a_long_prefill_threshold_bounds_a_chunk() -> None:
    """With 256 a prompt of 2040 tokens takes eight steps."""
    seen = run([Asked(0, 2040, 1)], long_prefill_threshold=256)

    steps = A100.steps
    read = sum(steps.of_context(256 * number) for number in range(8))
    assert seen.end == 7 * steps.of_tokens(256) + steps.of_tokens(2040 - 7 * 256) + read


def test_the_last_of_the_batch_is_preempted_and_computes_all_anew() -> None:
    """It loses its blocks, is the first of the queue, and its prompt with the tokens so far is computed again."""
    seen = run([Asked(0, 80, 60), Asked(0, 80, 60), Asked(1, 16, 1)], REGULAR, kv_cache=12 * 16)
    first, second, third = seen.sequences

    assert (first.preemptions, second.preemptions, third.preemptions) == (0, 1, 0)
    stamps = seen.tokens[second]
    longest = max(b - a for a, b in pairwise(stamps))
    assert second.preempted == longest
    assert seen.tokens[third][0] >= next(stamp for stamp in stamps if stamp - longest in stamps)


def test_priority_decides_who_waits_and_who_is_preempted() -> None:
    """Lower comes earlier, as in vLLM; with fcfs the field says nothing."""
    requests = [Asked(0, 80, 60, 5), Asked(0, 80, 60, 0), Asked(0, 80, 60, 1)]
    by_priority = run(requests, REGULAR, policy="priority", kv_cache=12 * 16)
    by_arrival = run(requests, REGULAR, kv_cache=12 * 16)

    def order(seen: object) -> list[int]:
        return sorted(range(3), key=lambda number: seen.tokens[seen.sequences[number]][-1])  # type: ignore[attr-defined]

    assert order(by_priority) == [1, 2, 0]
    assert order(by_arrival) == [0, 1, 2]
    assert by_priority.sequences[0].preemptions + by_priority.sequences[2].preemptions > 0
    assert by_priority.sequences[1].preemptions == 0


def test_a_full_queue_and_a_long_prompt_are_known_before() -> None:
    """`is_full` counts those that wait, `fits` the tokens of prompt and answer."""
    engine = Engine(replace(REGULAR, max_waiting=2, kv_cache=160, max_model_len=1000))

    assert engine.fits(100, 60)
    assert not engine.fits(100, 61)
    for _ in range(2):
        assert not engine.is_full
        engine.arrive(10, 10, 0)
    assert engine.is_full
    engine.step(0)
    assert not engine.is_full


@pytest.fixture(scope="module")
def curve() -> dict[int, list[float]]:
    """By requests a second: busy share, first token p95, ITL p50 and p95."""
    found = {}
    for rate in (2, 4, 7, 9):
        seen = run(azure(rate, 150))
        gaps, first = seen.gaps, seen.first_tokens
        found[rate] = [seen.busy, quantile(first, 0.95), quantile(gaps, 0.5), quantile(gaps, 0.95)]
    return found


class TestLoad:
    """What operators see as load grows, with the lengths of Azure's conversations on an A100."""

    def test_the_busy_gpu_says_nothing(self, curve: dict[int, list[float]]) -> None:
        """It is busy at 2/s and at 9/s; first tokens take ten times as long."""
        assert all(busy > 0.95 for busy, *_ in curve.values())
        assert curve[9][1] > 10 * curve[2][1]

    def test_gaps_grow_before_first_tokens_do(self, curve: dict[int, list[float]]) -> None:
        """ITL p95 is that of a whole chunk at 7/s, where the first token is not yet three times as late."""
        assert curve[2][3] < 20
        assert 140 < curve[7][3] < 165
        assert curve[7][1] < 4 * curve[2][1]

    def test_the_cliff_of_the_kv_cache_shows_in_preemptions_alone(self) -> None:
        """Below a size it preempts in hundreds, and first tokens take seconds, at the same median gap."""
        large, small = (run(azure(5, 150), kv_cache=size) for size in (412_000, 40_000))

        assert large.engine.preemptions == 0
        assert small.engine.preemptions > 300
        assert quantile(small.gaps, 0.5) == pytest.approx(quantile(large.gaps, 0.5), rel=0.15)
        assert small.busy == pytest.approx(large.busy, abs=0.02)
        assert quantile(small.first_tokens, 0.5) > 30 * quantile(large.first_tokens, 0.5)
        assert small.gaps[-1] > 1000 > large.gaps[-1]

    def test_fewer_sequences_are_the_remedy(self) -> None:
        """As vLLM's documentation says: with max-num-seqs 16 there are far fewer preemptions, and earlier tokens."""
        many, few = (run(azure(5, 150), kv_cache=30_000, max_seqs=most) for most in (256, 16))

        assert few.engine.preemptions < many.engine.preemptions / 5
        assert quantile(few.first_tokens, 0.5) < quantile(many.first_tokens, 0.5)


class TestThePage:
    """docs/tiers.md has the numbers of this engine."""

    PAGE = (Path(__file__).parents[3] / "docs/tiers.md").read_text().splitlines()

    @pytest.mark.parametrize("rate", [1, 2, 4, 6, 7, 8, 10])
    def test_its_loads(self, rate: int) -> None:
        """Each line of the table."""
        assert load_row(rate) in self.PAGE

    @pytest.mark.parametrize(
        ("kv_cache", "most"),
        [(412_000, 256), (100_000, 256), (60_000, 256), (40_000, 256), (20_000, 256), (40_000, 16)],
    )
    def test_its_caches(self, kv_cache: int, most: int) -> None:
        """Each line of the table."""
        assert cache_row(kv_cache, most) in self.PAGE

    @pytest.mark.parametrize("name", PROFILES)
    def test_its_profiles(self, name: str) -> None:
        """Times of steps, size of the cache, source."""
        profile = PROFILES[name]
        times = " / ".join(f"{profile.steps.of_tokens(tokens) / MS:.3g}" for tokens in (1, 128, 2048))

        assert f"| `{name}` | {times} ms | {profile.kv_cache:,} | {profile.source} |" in self.PAGE


ASKED = st.builds(Asked, st.integers(0, 2 * SECOND), st.integers(1, 300), st.integers(1, 60), st.integers(-2, 2))


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    requests=st.lists(ASKED, max_size=25),
    policy=st.sampled_from(["fcfs", "priority"]),
    kv_cache=st.integers(23, 80).map(lambda blocks: blocks * 16),
    most=st.integers(1, 8),
    budget=st.integers(1, 300),
    aborts=st.lists(st.tuples(st.integers(0, 24), st.integers(0, 100)), max_size=6),
)
def test_nothing_is_lost(
    requests: list[Asked], policy: str, kv_cache: int, most: int, budget: int, aborts: list[tuple[int, int]]
) -> None:
    """Each request gets all its tokens or was taken out, one a step; no block of the cache leaks; limits are kept."""
    engine = Engine(
        replace(SETTINGS, policy=policy, kv_cache=kv_cache, max_seqs=most, max_batched_tokens=budget)  # type: ignore[arg-type]
    )
    waiting = sorted(requests, key=lambda each: each.at)
    counts: Counter[Sequence] = Counter()
    now, number, steps = 0, 0, 0
    sequences = []
    while True:
        while number < len(waiting) and waiting[number].at <= now:
            each = waiting[number]
            sequences.append(engine.arrive(each.prompt, each.output, each.at, each.priority))
            number += 1
        for which, when in aborts:
            if when == steps and which < len(sequences):
                engine.abort(sequences[which])
        step = engine.step(now)
        steps += 1
        if step is None:
            if number == len(waiting):
                break
            now = waiting[number].at
            continue
        assert len(set(step.tokens)) == len(step.tokens)
        assert 0 < step.computed <= budget
        assert len(engine.running) <= most
        assert engine.free_blocks == kv_cache // 16 - sum(each.blocks for each in engine.running) >= 0
        counts.update(step.tokens)
        now = step.end

    assert engine.free_blocks == kv_cache // 16
    assert not engine.running
    assert not engine.waiting
    taken_out = {sequences[which] for which, _ in aborts if which < len(sequences)}
    for sequence in sequences:
        assert counts[sequence] == sequence.output or sequence in taken_out
        assert sequence.is_gone
