"""`chaoskit serve --lab FILE`: the tiers of a lab on loopback, for a client of one's own."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaoskit.clock import realtime_offset
from chaoskit.conduct.loopback_spans import ENDPOINT, receiver
from chaoskit.records.span_names import WORKFLOW_NAME
from chaoskit.telemetry.mapping import to_span
from chaoskit.telemetry.otlp_json import read_spans

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
    """Each tier has an address, the gateway the first one; SIGTERM ends all, and the last spans are exported."""
    (tmp_path / "x.yaml").write_text(FILE)
    port = free_port()
    words = ["-m", "chaoskit", "serve", "--lab", str(tmp_path / "x.yaml"), "--port", str(port)]
    exported: list[bytes] = []
    with (
        collector(exported) as endpoint,
        subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
        ) as server,
    ):
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
    spans = [to_span(each, each.service, realtime_offset()) for body in exported for each in read_spans(body).spans]
    assert {each.trace for each in spans} == {spans[0].trace}
    root = next(each for each in spans if each.parent is None)
    assert (root.host, root.operation, root.attributes[WORKFLOW_NAME]) == ("gateway", "workflow", "support")
    served = {(each.host, each.operation) for each in spans if each.host != "gateway"}
    assert served == {("guard", "policy"), ("vectors", "retrieval"), ("model", "model")}


@contextmanager
def collector(exported: list[bytes]) -> Iterator[str]:
    """A collector of spans that keeps what it gets, by its endpoint."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            exported.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize(
    "endpoint", ["http://192.0.2.1:4318", "https://127.0.0.1:4318", "http://collector", "[", "x:y:z"]
)
def test_spans_leave_no_machine(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no address of loopback gets none, and is named."""
    assert receiver({ENDPOINT: endpoint}) is None
    assert f"{ENDPOINT}: {endpoint} gets no spans" in " ".join(capsys.readouterr().err.split())


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
