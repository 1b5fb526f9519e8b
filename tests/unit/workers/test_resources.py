"""A sweep runs as many cells as fit, and says what to type where they do not."""

from __future__ import annotations

import pytest

from chaoskit.errors import RefusedError
from chaoskit.units import Size
from chaoskit.workers import resources

GUEST = Size.parse("512MiB")
_GB = 10**9


@pytest.mark.parametrize(
    ("asked", "processors", "available", "found"),
    [(None, 4, 16 * _GB, 4), (None, 8, 2 * _GB, 3), (3, 2, 16 * _GB, 3), (1, 8, _GB, 1)],
)
def test_memory_and_processors_bound_the_jobs(asked: int | None, processors: int, available: int, found: int) -> None:
    """What was asked for may be more than the processors."""
    assert resources.jobs(asked, processors, GUEST, available) == found


@pytest.mark.parametrize(
    ("asked", "available", "sentence"),
    [
        (8, 2 * _GB, r"^8 guests of 537 MB and 268 MB are more than the 2.0 GB of free memory: --jobs 3$"),
        (None, _GB // 2, r"^1 guest of 537 MB and 268 MB are more than the 500 MB of free memory: free some$"),
    ],
)
def test_too_little_memory_is_refused(asked: int | None, available: int, sentence: str) -> None:
    """Before anything runs."""
    with pytest.raises(RefusedError, match=sentence):
        resources.jobs(asked, 2, GUEST, available)


def test_without_guests_memory_is_no_matter() -> None:
    """In this kernel."""
    assert resources.jobs(None, 1, None, 0) == 1
