"""Retries have a budget, and a host that keeps failing is left alone for a time."""

from __future__ import annotations

from chaoskit.tiers.restraint import CircuitBreaker, RetryBudget
from chaoskit.tiers.settings import Breaker


def test_a_budget_allows_a_burst_and_then_a_share() -> None:
    """Ten retries at once, then one for every five requests."""
    budget = RetryBudget(0.2)

    assert [budget.withdraw() for _ in range(11)] == [True] * 10 + [False]
    allowed = 0
    for _ in range(100):
        budget.deposit()
        allowed += budget.withdraw()
    assert allowed == 20


def test_a_budget_of_nothing_allows_nothing() -> None:
    """Not even at first."""
    assert not RetryBudget(0.0).withdraw()


def test_a_breaker_opens_and_tries_once() -> None:
    """After so many failures in a row; when its time is over, one request decides."""
    breaker = CircuitBreaker(Breaker(2, 100))
    breaker.tell("failure", 0)
    breaker.tell("success", 1)
    breaker.tell("failure", 2)

    assert breaker.allows(3)
    breaker.tell("failure", 3)
    assert not breaker.allows(102)
    assert breaker.allows(103)
    assert not breaker.allows(104)  # one is enough
    breaker.tell("failure", 110)
    assert not breaker.allows(209)
    assert breaker.allows(210)
    breaker.tell("success", 211)
    assert breaker.allows(211)
    assert breaker.allows(212)


def test_a_trial_that_was_given_up_decides_nothing() -> None:
    """The next request tries again."""
    breaker = CircuitBreaker(Breaker(1, 100))
    breaker.tell("failure", 0)

    assert breaker.allows(100)
    breaker.tell("unknown", 101)
    assert breaker.allows(102)
