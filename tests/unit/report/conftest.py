"""Runs that the tests of every format share: they are made once."""

from __future__ import annotations

import pytest
from hostile_text import HOSTILE, hostile_run

from chaoskit.report.formats.source import Source, load


@pytest.fixture(scope="session", params=HOSTILE.values(), ids=list(HOSTILE))
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A run in which everything is one hostile text."""
    return load(hostile_run(tmp_path_factory.mktemp("hostile"), request.param))
