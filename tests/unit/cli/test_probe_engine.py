"""`chaoskit probe` waits for what an engine plans, and excuses what a script plans: the answers say which it was."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from cli_words import MEASURED

from chaoskit.analysis.analyse import analyse

LAB = """\
name: x
question: Does it answer?
stage:
  lab: service
  hosts:
    gateway: {{gateway: {{workflows: {{chat: [generate]}}}}}}
    model: {{reference: {server}}}
  target: http://gateway:8000/v1/chat/completions
workload: {{request-rate: 1/s}}
timeline: [{{baseline: 1s}}]
"""
SLOW_STEPS = "engine: {profile: {step: {1: 300ms}}, kv-cache-tokens: 10000}"  # each is a stall to a reader
SLOW_SCRIPT = "{first-token: {median: 1ms, p99: 1ms}, token-interval: 300ms}"
TOKENS = 4


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.mark.parametrize(
    ("server", "in_lab", "stalls"),
    [(f"{{{SLOW_STEPS}}}", False, 3), (f"{{{SLOW_STEPS}}}", True, 3), (SLOW_SCRIPT, False, 0)],
    ids=["engine", "engine in a lab", "script"],
)
def test_the_answer_tells_that_an_engine_computed_it(tmp_path: Path, server: str, in_lab: bool, stalls: int) -> None:
    """No file of the probe knows the server, behind a gateway neither; the stalls of an engine are the server's."""
    file, port = tmp_path / "file.yaml", free_port()
    file.write_text(LAB.format(server=server) if in_lab else server)
    words = [sys.executable, "-m", "chaoskit", "serve", "--lab" if in_lab else "--script", str(file)]
    with subprocess.Popen([*words, "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for _ in range(2 if in_lab else 1):
                process.stdout.readline()
            asked = ("--model", "m", "--requests", "1", "--output-tokens", str(TOKENS), "--out", str(tmp_path / "run"))
            done = warm.chaoskit("probe", f"http://127.0.0.1:{port}/v1", *asked)
        finally:
            process.kill()

    assert done.returncode in MEASURED, done.stderr
    result = analyse(tmp_path / "run")
    (phase,) = result.phases
    assert (result.overall.complete, result.overall.stalls) == (1, stalls)
    assert phase.stall_attribution.stalls == stalls
    assert phase.stall_attribution.server_ms == pytest.approx(100 * stalls, abs=30)
