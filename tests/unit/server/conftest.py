"""Server fixtures."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving import SCRIPT, Running, running

from chaoskit.units import Duration


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_unseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An exception that only asyncio logged fails the test."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.name == "asyncio"] == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """A server with `SCRIPT`."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[Running]:
    """One that takes a minute for its first token."""
    minute = Duration.parse("60s")
    with running(tmp_path, replace(SCRIPT, first_token_median=minute, first_token_p99=minute)) as server:
        yield server
