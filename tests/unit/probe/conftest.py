"""A drive collects garbage before it measures: here it does not look through everything that the tests have imported.

What a module leaves is looked through once, when the next one begins.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    gc.collect()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _frozen() -> None:
    if not gc.get_freeze_count():  # a drive unfreezes at its end
        gc.freeze()
