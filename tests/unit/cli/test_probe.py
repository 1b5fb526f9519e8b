"""`chaoskit probe`: its options reach the sockets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaoskit.records.files import read
from chaoskit.records.model import TcpInfo

SERVE = "serve --port 0 --first-token 1ms --first-token-p99 1ms --token-interval 1ms"
TIMESTAMPS = 12  # bytes of each segment


@pytest.fixture
def url() -> Iterator[str]:
    """A server at work."""
    words = [sys.executable, "-m", "chaoskit", *SERVE.split()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0]
        process.kill()


def probe(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """One request."""
    words = [sys.executable, "-m", "chaoskit", "probe", url, "--requests", "1", *options]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_sockets_are_tuned(url: str, tmp_path: Path) -> None:
    """Its connection's segments are as long as asked, and an algorithm that is not there is refused."""
    done = probe(url, "--maxseg", "1000", "--congestion-control", "reno", "--out", str(tmp_path / "run"))
    refused = probe(url, "--congestion-control", "no-such")

    assert done.returncode == 0, done.stderr
    assert {info.fields["snd_mss"] for info in read(tmp_path / "run", TcpInfo)} == {1000 - TIMESTAMPS}
    assert refused.returncode == 3
    assert "congestion-control no-such: this kernel has none of that name" in refused.stderr
