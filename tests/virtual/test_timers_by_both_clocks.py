"""The timers of unmodified programs cut streams at the same time, whatever clock a lab has."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import real_programs
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import Closing
from chaoskit.analysis.result import PhaseResult
from chaoskit.substrate.uml import GuestKernel

SERVICE = Path(__file__).parents[2] / "experiments/service"
TIMERS = {"nginx": 2.0, "haproxy": 3.0, "httpx": 5.0, "envoy": 3.7}
"""Seconds of silence after which each gives the model up; Envoy 4 s after the request, some tokens later."""

SAME = 0.35  # s: nginx sets a timer again only where it moves by 300 ms
CUT_OFF = 5  # no stream was complete
EXPERIMENT = """\
name: both-clocks
question: Do timers run out at the same time?
stage:
  lab: service
  hosts:
    nginx: {run: [nginx, -p, ., -c, nginx.conf, -e, stderr, -g, "daemon off;"], ready: 8080}
    haproxy: {run: [haproxy, -db, -f, haproxy.cfg], ready: 8080}
    envoy: {run: [envoy, -c, envoy.yml, --log-level, warn, --concurrency, "1"], ready: 8080}
    httpx: {run: [python3, gateway.py], ready: 8080}
    model: {reference: {pause: {after: 5 tokens, for: 8s}}}
  target: http://nginx:8080/v1/chat/completions
workload: {WORK}
workloads:
  haproxy: {target: "http://haproxy:8080/v1/chat/completions", WORK}
  envoy: {target: "http://envoy:8080/v1/chat/completions", WORK}
  httpx: {target: "http://httpx:8080/v1/chat/completions", WORK}
timeline: [{baseline: 4s}]
seed: 1
""".replace("WORK", "request-rate: 1/s, burstiness: 0, output-tokens: 40, timeouts: {first-token: 20s, idle: 20s}")


@pytest.fixture(scope="module")
def cuts(kernel: GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Closing]]:
    """By clock and by program, what ended its streams. Both guests run side by side: real time is mostly waiting."""
    folder = tmp_path_factory.mktemp("clocks")
    path = real_programs.search_path(folder / "bin")
    _write(folder)

    def run(clock: str) -> dict[str, Closing]:
        words = ["run", "both.yaml", "--clock", clock, "--kernel", str(kernel.path), "--out", clock]
        words += ["--guest-memory", "1GB"]  # Envoy, and five Python processes
        done = warm.chaoskit(*words, cwd=folder, environment={"PATH": path}, limit=280)
        assert done.returncode == CUT_OFF, done.stdout + done.stderr
        result = analyse(folder / clock)
        phases = {"nginx": result.phases, **{each.name: each.phases for each in result.workloads}}
        return {name: _most(found) for name, found in phases.items()}

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(("real", "virtual"), pool.map(run, ("real", "virtual")), strict=True))


def _write(folder: Path) -> None:
    """The included configurations, each with a timer of a few seconds."""
    changed = {
        "nginx.conf": ("nginx-untouched.conf", "proxy_pass", "proxy_buffering off; proxy_read_timeout 2s; proxy_pass"),
        "haproxy.cfg": ("haproxy-debian.cfg", "timeout server  50000", "timeout server  3000"),
        "envoy.yml": (
            "envoy-untouched.yml",
            "cluster: model\n  clusters",
            "cluster: model\n                            timeout: 4s\n  clusters",
        ),
        "gateway.py": ("gateway.py", "", ""),
    }
    for name, (source, before, after) in changed.items():
        text = (SERVICE / source).read_text()
        assert before in text, (source, before)
        (folder / name).write_text(text.replace(before, after, 1) if before else text)
    (folder / "both.yaml").write_text(EXPERIMENT)


def _most(phases: tuple[PhaseResult, ...]) -> Closing:
    """The end of most of the streams, all of which one host ended."""
    ((first, *others),) = (phase.closings for phase in phases)
    assert {each.by for each in others} <= {first.by}
    assert first.streams + sum(each.streams for each in others) == first.of_streams
    return first


@pytest.mark.parametrize("clock", ["real", "virtual"])
@pytest.mark.parametrize("program", TIMERS)
def test_a_timer_runs_out_when_it_says(program: str, clock: str, cuts: dict[str, dict[str, Closing]]) -> None:
    """Every stream was cut by the program that has the timer, after its time."""
    found = cuts[clock][program]

    assert (found.by, found.waited_for) == (program, "model")
    assert found.seconds == pytest.approx(TIMERS[program], abs=SAME)


@pytest.mark.parametrize("program", TIMERS)
def test_the_clocks_agree_on_a_timer(program: str, cuts: dict[str, dict[str, Closing]]) -> None:
    """Who, how, for whom, and when."""
    real, virtual = cuts["real"][program], cuts["virtual"][program]

    assert (real.kind, real.since) == (virtual.kind, virtual.since)
    assert real.seconds == pytest.approx(virtual.seconds, abs=SAME)
