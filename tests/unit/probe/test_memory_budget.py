"""All streams together hold a bounded number of bytes, and the bound is told."""

import pytest

from chaoskit.probe.framing import TooLargeError
from chaoskit.probe.memory_budget import MemoryBudget
from chaoskit.units import Size


def test_what_one_stream_gives_back_another_may_hold() -> None:
    """A stream that wants more than is left fails and takes nothing; what is given back can be held again."""
    budget = MemoryBudget(Size(1000))
    budget.change(0, 600)

    with pytest.raises(TooLargeError, match="all streams together are more than 1kB"):
        budget.change(0, 500)
    budget.change(600, 100)

    budget.change(0, 900)
