"""What workers cannot be is told in one sentence, before anything is asked of a scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.errors import ChaoskitError, RefusedError, SpecError
from chaoskit.workers.choice import choose


@pytest.mark.parametrize(
    ("address", "is_alone", "jobs", "kernel", "kind", "words"),
    [
        ("", False, None, None, SpecError, "found '', expected the address of a scheduler: tcp://HOST:8786"),
        ("foo", False, None, None, SpecError, "found 'foo'"),
        ("http://127.0.0.1:8786", False, None, None, SpecError, "expected the address of a scheduler"),
        ("tcp://127.0.0.1:99999", False, None, None, SpecError, "expected the address of a scheduler"),
        ("tcp://127.0.0.1", False, None, None, SpecError, "expected the address of a scheduler"),
        ("tcp://127.0.0.1:1", False, 2, None, SpecError, "remove --jobs"),
        ("tcp://127.0.0.1:1", True, None, Path("/no/such"), RefusedError, "/no/such"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    address: str, is_alone: bool, jobs: int | None, kernel: Path | None, kind: type[ChaoskitError], words: str
) -> None:
    """With what to type instead."""
    with pytest.raises(kind) as told:
        choose(address, jobs, is_alone, None, kernel, RealClock())

    assert words in str(told.value)
    assert "\n" not in str(told.value)
