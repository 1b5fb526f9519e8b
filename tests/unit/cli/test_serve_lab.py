"""`chaoskit serve --lab FILE`: the tiers of a lab on loopback, for a client of one's own."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

FILE = """\
name: x
question: Does it answer?
stage:
  lab: service
  hosts:
    guard: {policy: {latency: 1ms}}
    vectors: {retrieval: {latency: 1ms}}
    gateway: {gateway: {workflows: {support: [policy, {retrieve: {k: 2}}, generate]}}}
    model: {reference: {first-token: {median: 1ms, p99: 1ms}, token-interval: 1ms}}
  target: http://gateway:8000/v1/chat/completions
workload: {request-rate: 1/s}
timeline: [{baseline: 1s}]
"""


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_a_client_asks_the_whole_chain(tmp_path: Path) -> None:
    """Each tier has an address, the gateway the first one; SIGTERM ends all."""
    (tmp_path / "x.yaml").write_text(FILE)
    port = free_port()
    words = ["-m", "chaoskit", "serve", "--lab", str(tmp_path / "x.yaml"), "--port", str(port)]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        told = [server.stdout.readline().split()[:2] for _ in range(4)]
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        asked = {"model": "support", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3, "stream": True}
        client.request("POST", "/v1/chat/completions", json.dumps(asked), {"content-type": "application/json"})
        answer = client.getresponse()
        body = answer.read().decode()
        client.close()
        server.send_signal(signal.SIGTERM)
        code = server.wait(20)

    assert told[0] == ["gateway", f"http://127.0.0.1:{port}"]
    assert [name for name, _ in told[1:]] == ["guard", "vectors", "model"]
    assert (answer.status, body.count('"seq"'), "[DONE]" in body) == (200, 3, True)
    assert answer.headers["x-chaoskit-retrieval"] == "hit"
    assert code == 143


def test_any_free_port_is_one_and_the_same_for_all_tiers(tmp_path: Path) -> None:
    """`--port 0` is what a message advises where 8000 is in use: the printed addresses answer, the gateway's too."""
    (tmp_path / "x.yaml").write_text(FILE)
    words = ["-m", "chaoskit", "serve", "--lab", str(tmp_path / "x.yaml"), "--port", "0"]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            ports = {int(server.stdout.readline().split()[1].rpartition(":")[2]) for _ in range(4)}
            client = http.client.HTTPConnection("127.0.0.1", max(ports), timeout=20)
            asked = {"model": "support", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
            client.request("POST", "/v1/chat/completions", json.dumps(asked))
            status = client.getresponse().status
            client.close()
        finally:
            server.terminate()

    assert len(ports) == 1
    assert 0 not in ports
    assert status == 200


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "--lab listens on 127.0.0.1, .2, ... and answers as its file says; leave out --host"),
        (["--script", "refused-429"], "answers as its file says; leave out --script"),
        (["--first-token", "1s", "--seed", "0"], "leave out --first-token and --seed"),
        (["--list"], "leave out --list"),
    ],
)
def test_an_option_that_a_lab_would_not_obey_is_refused(tmp_path: Path, options: list[str], told: str) -> None:
    """Nothing that was asked for is left out without a word."""
    (tmp_path / "x.yaml").write_text(FILE)

    words = [sys.executable, "-m", "chaoskit", "serve", "--lab", str(tmp_path / "x.yaml"), *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            complaint = server.communicate(timeout=10)[1]
        except subprocess.TimeoutExpired:
            server.terminate()
            complaint = ""

    assert told in complaint
    assert server.returncode == 2


def test_a_lab_with_programs_is_refused(tmp_path: Path) -> None:
    """With what to type instead."""
    (tmp_path / "x.yaml").write_text(FILE.replace("    model:", "    extra: {run: ./extra}\n    model:"))

    words = [sys.executable, "-m", "chaoskit", "serve", "--lab", str(tmp_path / "x.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "extra runs a command" in done.stderr
    assert "chaoskit up" in done.stderr
