"""Experiments on a real interface with a key from a file, and through a proxy: faults hit what carries the requests."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asked_endpoint import Asked, Endpoint, everything_in, reply, serve, stream
from commands import typed
from lab import give_addresses, state

from chaoskit.kernel.linux import LinuxKernel
from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase, Request

MS = 1_000_000
KEY = "sk-not-to-be-seen-4711"
PORT, PROXY_PORT = 8000, 3128
EXPERIMENT = """\
name: guarded
question: Does the fault hit the requests?
stage:
  target: {target}
  interface: cable
  model: m
{stage}
workload: {{max-concurrency: 1, output-tokens: 2, connections: fresh}}
faults: {{slow: {{direction: down, netem: {{delay: 60ms}}}}}}
timeline: [{{baseline: 2s}}, {{slow: 3s}}]
seed: 5
"""


@contextmanager
def serving(kernel: LinuxKernel, port: int) -> Iterator[Endpoint]:
    """An endpoint at that port `there`, which refuses whoever does not bring the key."""

    def guarded(asked: Asked) -> bytes:
        time.sleep(0.01)  # in virtual time all else takes none, and a phase of seconds has no end of requests
        has_key = asked.headers.get("authorization") == f"Bearer {KEY}"
        return stream() if has_key else reply(401, {"error": {"message": f"no key, but {asked.headers}"}})

    with kernel.inside("there"):
        listener = socket.create_server(("10.0.0.2", port))
    with listener:
        found = Endpoint(f"http://10.0.0.2:{port}")
        serve(listener, found, guarded)
        yield found
        listener.shutdown(socket.SHUT_RDWR)


def experiment(kernel: LinuxKernel, folder: Path, target: str, *stage: str, **variables: str) -> tuple[int, str]:
    """Run it `here`, with the records in `run`; the exit code, and what it said."""
    file = folder / "guarded.yaml"
    file.write_text(EXPERIMENT.format(target=target, stage="\n".join(f"  {line}" for line in stage)))
    with kernel.inside("here"):
        return typed(folder / "state", "run", str(file), "--out", str(folder / "run"), environment=variables)


def first_tokens(run: Path) -> dict[str, float]:
    """The median time to the first token in each phase, ms."""
    phases = [phase for phase in read(run, Phase) if phase.name != "drain"]
    requests = [each for each in read(run, Request) if each.first_token is not None and not each.warmup]
    return {
        phase.name: statistics.median(
            (each.first_token - each.scheduled) / MS
            for each in requests
            if each.first_token is not None and phase.ready <= each.scheduled < phase.until
        )
        for phase in phases
    }


@pytest.fixture
def cable(kernel: LinuxKernel) -> LinuxKernel:
    """The cable with addresses."""
    give_addresses(kernel)
    return kernel


def test_without_the_key_the_run_ends_at_its_first_requests(cable: LinuxKernel, tmp_path: Path) -> None:
    """A wrong key is no measurement: the sentence is the server's, without the key that it echoes."""
    key = tmp_path / "key"
    key.write_text("sk-wrong-0815-0815")
    key.chmod(0o600)
    before = state(cable, "here")

    with serving(cable, PORT) as found:
        code, said = experiment(cable, tmp_path, found.url, f"key-file: {key}")

    assert code == 3, said
    assert "401" in said
    assert "sk-wrong-0815-0815" not in said + everything_in(tmp_path / "run")
    assert state(cable, "here") == before


@pytest.mark.parametrize("is_secret", [False, True], ids=["proxy", "proxy-env"])
def test_faults_hit_the_way_to_a_proxy(cable: LinuxKernel, is_secret: bool, tmp_path: Path) -> None:
    """The target's name is known to the proxy alone: what is delayed is the traffic to the proxy, which is asked for
    the whole URL and, where only the environment has its URL, gets the password from there.

    Each request has the key, though its file is known by a path beside the experiment; neither key nor password is in
    the run directory, the state folder or the output; and the interface is as before.
    """
    url = f"http://user:pass-word-42@10.0.0.2:{PROXY_PORT}" if is_secret else f"http://10.0.0.2:{PROXY_PORT}"
    stage = ["proxy: {env: MY_PROXY}", f"to: [10.0.0.2:{PROXY_PORT}]"] if is_secret else [f"proxy: {url}"]
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")
    key.chmod(0o600)
    before = state(cable, "here")

    with serving(cable, PROXY_PORT) as found:
        code, said = experiment(cable, tmp_path, "http://llm.nowhere.example", *stage, "key-file: key", MY_PROXY=url)

    assert code == 0, said
    assert {asked.headers["authorization"] for asked in found.posts} == {f"Bearer {KEY}"}
    assert {asked.path for asked in found.posts} == {"http://llm.nowhere.example/v1/chat/completions"}
    assert {asked.headers.get("proxy-authorization", "")[:5] for asked in found.posts} == (
        {"Basic"} if is_secret else {""}
    )
    took = first_tokens(tmp_path / "run")
    assert took["slow"] > took["baseline"] + 100, "the handshake and the answer, each 60 ms later"
    for secret in (KEY, "pass-word-42"):
        assert secret not in said + everything_in(tmp_path / "run") + everything_in(tmp_path / "state")
    assert state(cable, "here") == before
