"""What a command meets in a lab: one fault of the file, by name, for as long as it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import SpecError
from chaoskit.knobs import Netem, Route
from chaoskit.plan.exec import shaped, visit
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
def test_every_fault_of_every_experiment_can_be_visited(lab: str) -> None:
    """And every combination that its timeline names, and the clean lab; of a matrix, in each of its variants."""
    experiment = LABS[lab]
    for name in {"baseline", *experiment.faults, *(span.name for span in experiment.timeline)}:
        plan = visit(experiment, name)

        assert [phase.name for phase in plan.phases] == [name]
        assert any(change.setting for change in plan.phases[0].changes) == (name in experiment.faults or "+" in name)


def test_the_only_fault_needs_no_name() -> None:
    """And its settings are the run's own."""
    plan = visit(load(ONE), None)

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
def test_a_choice_that_cannot_be_made_is_one_sentence(path: Path, fault: str | None, words: list[str]) -> None:
    """It says what there is, in what can be typed."""
    with pytest.raises(SpecError) as error:
        visit(load(path), fault)

    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(("ip", "mtu"), [("4", 1400), ("6", 1420)])
def test_a_commands_sockets_are_its_own(ip: str, mtu: int) -> None:
    """An MSS for the probe's sockets is refused, with the MTU that does the same; the other remedies are in force."""
    lab = parse(TUNED.format(ip=ip, tuned="maxseg: 1360"), "x.yaml")
    with pytest.raises(SpecError, match=f"write route-mtu: {mtu}"):
        visit(lab, None)

    compiled = visit(parse(TUNED.format(ip=ip, tuned=f"route-mtu: {mtu}"), "x.yaml"), None)

    assert {change.setting.mtu for change in compiled.stage if isinstance(change.setting, Route)} == {0, mtu}


def test_each_direction_has_its_own_fault_and_chance() -> None:
    """In tc's words or in YAML's; a direction without words has none; the same seed, the same chance."""
    both = shaped(exec_faults("delay 80ms 20ms loss 1%", "{delay: 5ms}", 7))

    assert both == shaped(exec_faults("{delay: 80ms, jitter: 20ms, loss: 1%}", "delay 5ms", 7))
    assert {way: netem.delay for way, netem in both.items()} == {"up": 5_000_000, "down": 80_000_000}
    assert both["up"].seed != both["down"].seed
    assert set(shaped(exec_faults(None, "delay 5ms", 7))) == {"up"}


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
def test_a_fault_that_makes_no_sense_is_named_by_its_option(down: str | None, up: str | None, words: str) -> None:
    """With what was expected."""
    with pytest.raises(SpecError) as error:
        exec_faults(down, up, 0)

    assert words in str(error.value)
