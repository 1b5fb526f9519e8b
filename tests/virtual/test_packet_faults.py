"""What is measured of each parameter of a netem, on a real kernel in virtual time."""

from __future__ import annotations

from pathlib import Path

from clocks import measure

from chaoskit.substrate.uml import GuestKernel

EXPERIMENT = """\
name: parameters
question: What is measured of each parameter?
stage: {lab: edge}
workload: {request-rate: 8/s, prompt-size: 60kB, output-tokens: 40}
server: {first-token: {median: 100ms, p99: 200ms}, token-interval: 20ms}
faults:
  slow: {link: client-router, direction: up, netem: {rate: 2mbit, delay: 5ms}}
  wide: {link: client-router, direction: down, netem: {rate: 100mbit}}
  twice: {link: client-router, direction: down, netem: {duplicate: 5%, delay: 5ms}}
  mixed: {link: client-router, direction: up, netem: {delay: 20ms, jitter: 2ms, reorder: 10%, corrupt: 1%}}
timeline: [{baseline: 2s}, {slow: 5s}, {wide: 3s}, {twice: 6s}, {mixed: 5s}]
seed: 3
"""


def test_each_parameter_is_measured_or_said_to_be_not(kernel: GuestKernel, tmp_path: Path) -> None:
    """A full queue tells its rate, an empty one does not; duplicates and reordering are seen by TCP; corruption, jitter
    and the round trip of a rate are not measured; and nothing is wrong with any."""
    file = tmp_path / "parameters.yaml"
    file.write_text(EXPERIMENT)

    found = {(each.phase, each.kind): each for each in measure(file, "virtual", kernel.path, tmp_path / "run").fidelity}

    verdicts = {key: each.verdict for key, each in found.items() if key[1] != "loss"}
    assert verdicts == {
        ("slow", "rate"): "achieved",
        ("slow", "round-trip"): "not-measured",
        ("wide", "rate"): "not-measured",
        ("wide", "round-trip"): "not-measured",
        ("twice", "duplicate"): "achieved",
        ("twice", "round-trip"): "achieved",
        ("mixed", "reorder"): "achieved",
        ("mixed", "corrupt"): "not-measured",
        ("mixed", "jitter"): "not-measured",
        ("mixed", "round-trip"): "not-measured",
    }
    assert abs((found["slow", "rate"].measured or 0) / 2e6 - 1) < 0.02
    assert all(each.remark for each in found.values() if each.verdict == "not-measured")
