"""Limiters that go by latency: they follow a slow service, and take long answers for one."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from chaoskit.tiers.admission import Admission, AdmissionSettings, Admitted, Rank
from chaoskit.tiers.limiters import LimiterName, LimiterSettings, Sampled, limiter

MS, S = 10**6, 10**9
NAMES: list[LimiterName] = ["envoy", "gradient2"]


@pytest.mark.parametrize("name", NAMES)
def test_a_steady_latency_lets_the_limit_grow(name: LimiterName) -> None:
    """While all places are taken and nothing gets slower, up to the most."""
    found = limiter(LimiterSettings(name, most=100))

    limits = []
    for number in range(2000):
        found.sample(100 * MS, found.limit, number * 10 * MS)
        limits.append(found.limit)

    assert limits[-1] == 100
    after = limits[60:]
    assert all(later >= earlier for earlier, later in pairwise(after))


@pytest.mark.parametrize("name", NAMES)
def test_a_rising_latency_lowers_the_limit(name: LimiterName) -> None:
    """Towards the least, which it never falls below."""
    found = limiter(LimiterSettings(name, first_limit=100, least=3, min_rtt_interval=3600 * S))
    for number in range(200):
        found.sample(100 * MS, found.limit, number * 10 * MS)
    before = found.limit

    lowest = before
    for number in range(200, 400):
        found.sample(1000 * MS, found.limit, number * 10 * MS)
        lowest = min(lowest, found.limit)
        assert found.limit >= 3

    assert lowest < before / 3


def test_gradient2_takes_the_numbers_of_its_source() -> None:
    """Limit 20, RTT twice the long mean of 100 ms with tolerance 1.5: 20 x 0.75 + 4, smoothed by a fifth."""
    found = limiter(LimiterSettings("gradient2"))
    for _ in range(10):
        found.sample(100 * MS, 1, 0)  # in flight below half of the limit: it stays
    assert found.limit == 20

    long = 100 + (200 - 100) * 2 / 601
    found.sample(200 * MS, 20, 0)

    gradient = 1.5 * long / 200
    assert found._limit == pytest.approx(20 * 0.8 + (20 * gradient + 4) * 0.2)  # type: ignore[attr-defined]


def test_envoy_takes_the_numbers_of_its_source() -> None:
    """minRTT 100 ms, buffer 25 %, sampleRTT 250 ms: gradient 0.5, limit 20 x 0.5 + sqrt(10)."""
    found = limiter(LimiterSettings("envoy", min_rtt_requests=2))
    assert found.limit == 3  # while minRTT is measured
    found.sample(100 * MS, 3, 0)
    found.sample(100 * MS, 3, 0)
    assert found.limit == 20

    found.sample(250 * MS, 3, 50 * MS)
    found.sample(250 * MS, 3, 100 * MS)

    assert found.limit == 13


def shed_share(name: LimiterName, sampled: Sampled, answer: int) -> float:
    """The part that is refused of 4 requests/s whose answers take so long from the 60th second on, 2 s before.

    The first token takes 100 ms all the time: the model is not slower, and has room for all.
    """
    numbers = random.Random(1)
    settings = LimiterSettings(name, sampled, first_limit=20, min_rtt_interval=3600 * S)
    queue = Admission(AdmissionSettings("gradient", (Rank("all", 0),), limiter=settings))
    events: list[tuple[int, int, str, int]] = []
    at, number = 0, 0
    while at < 300 * S:
        at += round(numbers.expovariate(4) * S)
        number += 1
        events.append((at, number, "arrive", 0))
    events.sort()
    refused = asked = 0
    while events:
        now, one, what, _ = events.pop(0)
        if what == "end":
            queue.ended(one, now)
            continue
        if what == "token":
            queue.first_token(one, now)
            continue
        asked += now > 60 * S
        if not isinstance(queue.arrive(one, "all", now)[0], Admitted):
            refused += now > 60 * S
            continue
        length = answer if now > 60 * S else 2 * S
        events += [(now + 100 * MS, one, "token", 0), (now + length, one, "end", 0)]
        events.sort()
    return refused / asked


@pytest.mark.parametrize("name", NAMES)
def test_a_limiter_of_whole_answers_sheds_because_answers_got_longer(name: LimiterName) -> None:
    """Answers of 8 s for 2 s, of a model that is as fast as before: much is refused, and nothing by first tokens."""
    assert shed_share(name, "answer", 8 * S) > 0.3
    assert shed_share(name, "answer", 2 * S) < shed_share(name, "answer", 8 * S) / 3
    assert shed_share(name, "first-token", 8 * S) < 0.02
