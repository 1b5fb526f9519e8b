"""Tests the plans of exec commands: one fault of the file, by name, while the command runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import SpecError
from chaoskit.knobs import Netem, Route
from chaoskit.plan.exec import compile_exec, netem_settings
from chaoskit.spec.exec import exec_faults
from chaoskit.spec.load import load, parse
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.stage import InterfaceStage

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
LABS = {
    f"{path.stem} {variant.name}".strip(): variant.experiment
    for path in sorted(EXPERIMENTS.glob("*.yaml"))
    for variant in load_variants(path).each
    if not isinstance(variant.experiment.stage, InterfaceStage)
}
REAL = next(path for path in sorted(EXPERIMENTS.glob("*.yaml")) if path.stem not in {name.split()[0] for name in LABS})
ONE = EXPERIMENTS / "loss-first-token.yaml"
SEVERAL = EXPERIMENTS / "slow-start-after-idle.yaml"
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
    """Every fault, every combination in the timeline, and the clean lab; of a matrix, in each variant."""
    experiment = LABS[lab]
    for name in {"baseline", *experiment.faults, *(span.name for span in experiment.timeline)}:
        plan = compile_exec(experiment, name)

        assert [phase.name for phase in plan.phases] == [name]
        assert any(change.setting for change in plan.phases[0].changes) == (name in experiment.faults or "+" in name)


def test_the_only_fault_needs_no_name() -> None:
    """Without a name the only fault is used, with the settings of a run."""
    plan = compile_exec(load(ONE), None)

    (change,) = plan.phases[0].changes
    assert isinstance(change.setting, Netem)
    assert change.setting.delay == 15_000_000


@pytest.mark.parametrize(
    ("path", "fault", "words"),
    [
        (SEVERAL, None, ["several", "--fault far", "--fault mended", "--fault baseline"]),
        (ONE, "wfi", ["'wfi'", "--fault wifi"]),
        (ONE, "wifi+vpn", ["'vpn'", "--fault wifi"]),
        (REAL, None, ["builds no lab", "--down"]),
    ],
)
def test_an_unknown_or_ambiguous_fault_is_refused(path: Path, fault: str | None, words: list[str]) -> None:
    """One sentence lists the options that can be typed."""
    with pytest.raises(SpecError) as error:
        compile_exec(load(path), fault)

    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(("ip", "mtu"), [("4", 1400), ("6", 1420)])
def test_probe_socket_options_are_refused_for_commands(ip: str, mtu: int) -> None:
    """An MSS of the probe's sockets is refused, with the equivalent route MTU; other remedies apply."""
    lab = parse(TUNED.format(ip=ip, tuned="maxseg: 1360"), "x.yaml")
    with pytest.raises(SpecError, match=f"write route-mtu: {mtu}"):
        compile_exec(lab, None)

    compiled = compile_exec(parse(TUNED.format(ip=ip, tuned=f"route-mtu: {mtu}"), "x.yaml"), None)

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
