"""Mistakes at the commands that enter a lab: exec --host, shell, up."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from cli_words import LIBRARY_PHRASES, chaoskit

EDGE = Path(__file__).parents[3] / "experiments" / "loss-first-token.yaml"
SERVICE = """\
name: chain
question: Does it answer?
stage:
  lab: service
  hosts:
    gateway: {run: [sleep, "1000"], replicas: 2}
    model: {reference: true}
  target: http://model:8000/v1/chat/completions
workload: {request-rate: 2/s}
timeline: [{baseline: 10s}]
"""
NODES = "client, edge, fabric, gateway-1, gateway-2, model"


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A service lab with two replicas."""
    path = tmp_path / "chain.yaml"
    path.write_text(SERVICE)
    return str(path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("exec {file} --host modle -- true", "--host: 'modle' is no host of chain; did you mean model?"),
        ("exec {file} --host x -- true", f"--host: 'x' is no host of chain; it has {NODES}"),
        ("exec {file} --host gateway -- true", "--host: gateway is 2 hosts; name one: gateway-1 or gateway-2"),
        (
            "exec {edge} --host gateway -- true",
            "--host: 'gateway' is no host of loss-first-token; it has client, router",
        ),
        ("exec --down 'loss 1%' --host model -- true", "--host goes with FILE, whose lab it is about; remove it"),
        ("shell {file} --host modle", "--host: 'modle' is no host of chain; did you mean model?"),
        ("shell {file} --fault wifi", "--fault: 'wifi' is no fault of chain; it has no fault"),
        ("shell {file} model", "'model' is one word too many; did you mean --host model or --fault model?"),
        ("up {file} --port 80", "chaoskit up has no option --port; did you mean --publish?"),
        ("up {file} --publish gateway", "--publish: 'gateway' is not HOST:PORT or HOST:PORT:LOCALPORT, as in"),
        ("up {file} --publish model:http", "--publish: 'model:http' is not HOST:PORT or HOST:PORT:LOCALPORT, as in"),
        ("up {file} --publish model:70000", "--publish: 'model:70000' is not HOST:PORT or HOST:PORT:LOCALPORT, as in"),
        ("up {file} --publish edge:80", "--publish: edge is a router, on which nothing listens; name a host"),
        ("up {file} --publish modle:80", "--publish: 'modle' is no host of chain; did you mean model?"),
        (
            "up {file} --publish model:8000:9000 --publish gateway:80:9000",
            "--publish: the local port 9000 is given twice; remove one, or its LOCALPORT",
        ),
    ],
)
def test_a_mistake_is_answered_with_what_to_type(line: str, said: str, file: str) -> None:
    """Exit code 2, and nothing is built."""
    done = chaoskit(*(word.format(file=file, edge=EDGE) for word in shlex.split(line)))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"chaoskit: {said}")
    assert not LIBRARY_PHRASES.search(done.stderr)


def test_a_shell_without_a_terminal(file: str) -> None:
    """It is refused with what does the same for a pipe."""
    done = chaoskit("shell", file, "--host", "gateway-2")

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"chaoskit: a shell needs a terminal; commands from a pipe: chaoskit exec {file} --host gateway-2 -- sh\n"
    )
