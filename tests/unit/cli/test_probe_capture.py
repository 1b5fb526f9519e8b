"""`chaoskit probe --capture`: what is refused before anything is sent, and what another user may not do."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from asked_endpoint import endpoint, probe
from cli_words import MEASURED

from chaoskit.conduct.capture_process import endpoints_of
from chaoskit.kernel.capture_filter import MOST_ENDPOINTS
from chaoskit.probe.target import Target
from chaoskit.records.pcapng import CAPTURE

_PR_CAPBSET_DROP, _NET_RAW = 24, 13  # linux/prctl.h, capabilities(7)


def without_net_raw() -> None:
    """No program of this process gets the right to read packets; one that has none has nothing to lose."""
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _NET_RAW, 0, 0, 0)


def test_without_the_right_it_is_refused(tmp_path: Path) -> None:
    """In one sentence with what to type, before the endpoint is asked and before a directory is made."""
    with endpoint() as found:
        words = (sys.executable, "-m", "chaoskit", "probe", found.url, "--capture", "--out", str(tmp_path / "run"))
        done = subprocess.run(
            words, capture_output=True, text=True, preexec_fn=without_net_raw, timeout=60, check=False
        )

    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "--capture: reading packets needs CAP_NET_RAW, which you do not have: " in done.stderr
    assert ("docker run --cap-add NET_RAW" if os.geteuid() == 0 else "sudo chaoskit probe ... --capture") in done.stderr
    assert found.posts == []
    assert not (tmp_path / "run").exists()


def test_a_unix_socket_has_no_packets(tmp_path: Path) -> None:
    """A mistake of the author: exit code 2, and nothing is asked."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "model.sock"))
        listener.listen()
        done = probe("http://localhost/v1", "--uds", str(tmp_path / "model.sock"), "--capture")

    assert (done.returncode, "what passes a Unix socket has no packets" in done.stderr) == (2, True), done.stderr


def test_without_it_no_packet_is_kept(tmp_path: Path) -> None:
    """A capture is only made where it is asked for."""
    with endpoint() as found:
        done = probe(found.url, "--requests", "2", "--out", str(tmp_path / "run"))

    assert done.returncode in MEASURED, done.stderr
    assert not (tmp_path / "run" / CAPTURE).exists()


@pytest.mark.parametrize(
    ("target", "endpoints"),
    [
        (Target("http://127.0.0.1:8000/v1"), (("127.0.0.1", 8000),)),
        (Target("https://127.0.0.1"), (("127.0.0.1", 443),)),
        (Target("http://[::1]/v1"), (("::1", 80),)),
        (Target("https://model", addresses=("10.0.0.1", "fd00::1")), (("10.0.0.1", 443), ("fd00::1", 443))),
        (Target("https://model:1", addresses=("10.0.0.1",), proxy="http://127.0.0.1:3128"), (("127.0.0.1", 3128),)),
        (Target("http://no-such-name.invalid"), ()),
        (Target("http://" + "a" * 300), ()),
    ],
)
def test_the_target_s_addresses_are_captured(target: Target, endpoints: tuple[tuple[str, int], ...]) -> None:
    """With its port, those of the proxy where there is one; a name without an address has none."""
    assert endpoints_of([target, target]) == endpoints


def test_of_very_many_addresses_some_are_captured() -> None:
    """As many as a filter can tell."""
    many = Target("http://model", addresses=tuple(f"10.0.{n // 250}.{n % 250 + 1}" for n in range(900)))

    assert len(endpoints_of([many])) == MOST_ENDPOINTS
