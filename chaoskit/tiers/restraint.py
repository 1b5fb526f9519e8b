"""Decides when a tier does not ask: a retry budget, breakers for hosts that keep failing. Pure."""

from __future__ import annotations

from typing import Literal

from chaoskit.tiers.settings import Breaker

Outcome = Literal["success", "failure", "unknown"]
_MOST = 10.0  # retries in a burst, as gRPC's retryThrottling (A6)


class RetryBudget:
    """A token bucket: each request adds `ratio` of a retry, each retry or hedge takes a whole one."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._left = _MOST if ratio else 0.0

    def deposit(self) -> None:
        """A request begins."""
        self._left = min(_MOST, self._left + self._ratio)

    def withdraw(self) -> bool:
        """Take a retry; False where there is none left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class CircuitBreaker:
    """Closed; open after some failures in a row; half open, for one request, when it has been open for a time."""

    def __init__(self, settings: Breaker) -> None:
        self._settings = settings
        self._failures = 0
        self._opened: int | None = None
        self._is_trying = False

    def allows(self, now: int) -> bool:
        """Whether a request may be sent at `now`, ns. Where it is half open, the one that is allowed is the trial."""
        if self._opened is None:
            return True
        if self._is_trying or now < self._opened + self._settings.open_for:
            return False
        self._is_trying = True
        return True

    def tell(self, outcome: Outcome, now: int) -> None:
        """How a request that was allowed ended; `unknown`: it was given up."""
        was_trial, self._is_trying = self._is_trying, False
        match outcome:
            case "success":
                self._failures, self._opened = 0, None
            case "failure":
                self._failures += 1
                if was_trial or self._failures >= self._settings.failures:
                    self._opened = now
