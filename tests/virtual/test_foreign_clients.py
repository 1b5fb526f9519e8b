"""Foreign clients run unchanged in a lab, through `chaoskit exec`, and have its fault to the millisecond."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import warm

PROGRAM = Path(__file__).with_name("foreign_clients.py")
CLIENTS = ("openai", "openai responses", "anthropic", "ollama", "langchain openai", "langchain anthropic")
TOKENS, FIRST, INTERVAL, DELAY = 30, 200, 20, 100  # ms
PATIENCE = 280  # s
LAB = f"""\
name: clients
question: What do they have of a delay?
stage: {{lab: edge}}
workload: {{max-concurrency: 1}}
server: {{first-token: {{median: {FIRST}ms, p99: {FIRST}ms}}, token-interval: {INTERVAL}ms}}
faults:
  far: {{link: client-router, direction: down, netem: {{delay: {DELAY}ms}}}}
timeline: [{{baseline: 1s}}, {{far: 1s}}]
"""


class Answer(NamedTuple):
    """What a client had of an answer: the ms to its first piece and to its end, and the pieces."""

    first: float
    took: float
    pieces: list[str]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What all clients had, in one guest."""
    file = tmp_path_factory.mktemp("clients") / "lab.yaml"
    file.write_text(LAB)
    words = ["exec", str(file), "--fault", "far", "--clock", "virtual", "--", sys.executable, str(PROGRAM)]
    done = warm.chaoskit(*words, limit=PATIENCE)
    assert done.returncode == 0, done.stderr
    return {name: Answer(*found) for name, found in json.loads(done.stdout).items()}


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_has_every_token_and_the_delay(client: str, answers: dict[str, Answer]) -> None:
    """A delay towards it costs the first token once, and once more where it makes a connection; no gap is longer."""
    found = answers[client]
    trips = (found.first - FIRST) / DELAY

    assert len(found.pieces) == TOKENS
    assert trips == pytest.approx(round(trips), abs=0.05)
    assert round(trips) in (1, 2)
    assert found.took - found.first == pytest.approx((TOKENS - 1) * INTERVAL, abs=5)
