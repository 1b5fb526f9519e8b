"""Tests the plans of exec commands: one fault of the file, by name, while the command runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import shipped

from chaoskit.errors import SpecError
from chaoskit.knobs import Netem, Route
from chaoskit.planning.exec import compile_exec, netem_settings
from chaoskit.spec.exec import exec_faults
from chaoskit.spec.load import load, parse
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.phases import CLEAN_PHASES
from chaoskit.spec.stage import InterfaceStage

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
LABS = {
    f"{path.stem} {variant.name}".strip(): variant.experiment
    for path in shipped.FILES
    for variant in load_variants(path).each
    if not isinstance(variant.experiment.stage, InterfaceStage) and variant.experiment.client.tcp_keepalive is None
}
REAL = EXPERIMENTS / "own-endpoint-loss.yaml"
ONE = EXPERIMENTS / "loss-first-token.yaml"
SEVERAL = EXPERIMENTS / "slow-start-after-idle.yaml"
THREE = """\
name: three
question: Which of them?
stage: {lab: edge}
workload: {request-rate: 2/s}
faults:
  lag: {link: client-router, direction: down, netem: {delay: 50ms}}
  more: {link: client-router, direction: down, netem: {delay: 90ms}}
  loss: {link: client-router, direction: up, netem: {loss: 1%}}
timeline: [{baseline: 2s}]
"""
TUNED = """\
name: tuned
question: Does it help?
stage: {{lab: edge, ip: {ip}}}
workload: {{request-rate: 2/s}}
client: {{{tuned}}}
timeline: [{{baseline: 2s}}]
"""


@pytest.mark.parametrize("lab", LABS)
def test_every_fault_of_every_experiment_compiles(lab: str) -> None:
    """Every fault, every combination in the timeline, and the clean lab; of a matrix, in each variant.

    All of them need the same features, so that they run on the same substrate.
    """
    experiment = LABS[lab]
    needs = set()
    combined = {span.name for span in experiment.timeline if set(span.name.split("+")) <= experiment.faults.keys()}
    for name in {"baseline", *experiment.faults, *combined}:
        plan = compile_exec(experiment, [name])

        needs.add(plan.needs)
        assert plan.phases[0].faults == (() if name in CLEAN_PHASES else tuple(name.split("+")))
        assert any(change.setting for change in plan.phases[0].changes) == (name in experiment.faults or "+" in name)
    assert len(needs) == 1


def test_no_fault_is_in_force_unless_asked_for() -> None:
    """Without a name the lab is clean, but needs what its fault needs; with it, the settings are those of a run."""
    clean, faulty = compile_exec(load(ONE)), compile_exec(load(ONE), ["wifi"])

    assert [phase.name for phase in clean.phases] == ["baseline"]
    assert clean.needs == faulty.needs >= {"netem"}
    (change,) = faulty.phases[0].changes
    assert isinstance(change.setting, Netem)
    assert change.setting.delay == 15_000_000


@pytest.mark.parametrize("asked", [["lag", "loss"], ["lag+loss"], ["loss", "lag", "loss", "baseline"]])
def test_several_faults_that_fit_are_in_force_together(asked: list[str]) -> None:
    """Repeated options and a plus are the same; each fault counts once."""
    plan = compile_exec(parse(THREE, "three.yaml"), asked)

    assert sorted(plan.phases[0].faults) == ["lag", "loss"]
    assert len([change for change in plan.phases[0].changes if change.setting]) == 2


@pytest.mark.parametrize(
    ("path", "asked", "words"),
    [
        (SEVERAL, ["x"], ["--fault: 'x'", "--fault far", "--fault mended"]),
        (ONE, ["wfi"], ["'wfi'", "did you mean --fault wifi?"]),
        (ONE, ["wifi", "vpn"], ["'vpn'", "--fault wifi"]),
        (REAL, [], ["builds no lab", "--down"]),
    ],
)
def test_an_unknown_fault_is_refused(path: Path, asked: list[str], words: list[str]) -> None:
    """One sentence lists the options that can be typed."""
    with pytest.raises(SpecError) as error:
        compile_exec(load(path), asked)

    assert all(word in str(error.value) for word in words), error.value


def test_faults_that_set_the_same_are_refused_together() -> None:
    """The sentence names both, and what they both set."""
    with pytest.raises(SpecError, match=r"--fault lag --fault more: both set qdisc .*, so they do not fit together"):
        compile_exec(parse(THREE, "three.yaml"), ["lag", "more"])


@pytest.mark.parametrize(("ip", "mtu"), [("4", 1400), ("6", 1420)])
def test_probe_socket_options_are_refused_for_commands(ip: str, mtu: int) -> None:
    """An MSS of the probe's sockets is refused, with the equivalent route MTU; other remedies apply."""
    lab = parse(TUNED.format(ip=ip, tuned="maxseg: 1360"), "x.yaml")
    with pytest.raises(SpecError, match=f"write route-mtu: {mtu}"):
        compile_exec(lab)

    compiled = compile_exec(parse(TUNED.format(ip=ip, tuned=f"route-mtu: {mtu}"), "x.yaml"))

    assert {change.setting.mtu for change in compiled.stage if isinstance(change.setting, Route)} == {0, mtu}


def test_each_direction_has_its_own_netem_and_seed() -> None:
    """In tc syntax or YAML; a direction without text has none; equal seeds give equal settings."""
    both = netem_settings(exec_faults("delay 80ms 20ms loss 1%", "{delay: 5ms}", 7))

    assert both == netem_settings(exec_faults("{delay: 80ms, jitter: 20ms, loss: 1%}", "delay 5ms", 7))
    assert {way: netem.delay for way, netem in both.items()} == {"up": 5_000_000, "down": 80_000_000}
    assert both["up"].seed != both["down"].seed
    assert set(netem_settings(exec_faults(None, "delay 5ms", 7))) == {"up"}


@pytest.mark.parametrize(
    ("down", "up", "words"),
    [
        (None, None, "--down"),
        ("delay fast", None, "--down: "),
        (None, "{delay: 5}", "--up: "),
        (None, "{dealy: 5ms}", "did you mean delay"),
        ("", None, "--down: "),
    ],
)
def test_an_invalid_fault_is_named_by_its_option(down: str | None, up: str | None, words: str) -> None:
    """The message says what was expected."""
    with pytest.raises(SpecError) as error:
        exec_faults(down, up, 0)

    assert words in str(error.value)
